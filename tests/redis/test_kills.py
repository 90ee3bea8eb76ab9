"""Servers that are killed, and connections that break."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable

import pytest
import redis

from conftest import Serve
from longshore.contract import Change, Claim, NewJob, Outcome, State, Where
from longshore.errors import Unavailable
from longshore_redis.driver import RedisDriver

CLAIMS = [Claim(queues=("q",))]
ENOUGH = 150
"""Answers after which the server is killed."""


class Load:
    """Threads that insert, and that claim and settle, and remember what was acknowledged."""

    def __init__(self, url: str) -> None:
        self.inserted: list[str] = []
        self.settled: list[str] = []
        self.generations: list[tuple[str, int]] = []
        self.enough = threading.Event()
        self._url = url
        self._threads = [threading.Thread(target=self._work, args=(work,)) for work in (self._insert, self._drain)]
        for thread in self._threads:
            thread.start()

    def join(self) -> None:
        for thread in self._threads:
            thread.join(30)

    def _work(self, work: Callable[[RedisDriver], None]) -> None:
        store = RedisDriver.connect(self._url)
        try:
            while True:
                work(store)
        except Unavailable:
            store.close()

    def _insert(self, store: RedisDriver) -> None:
        names = [f"{len(self.inserted) + number:08}" for number in range(3)]
        store.insert([NewJob(name, "q", "t", b"p" * 100) for name in names])
        self.inserted += names

    def _drain(self, store: RedisDriver) -> None:
        jobs = store.claim(CLAIMS, holder="h", limit=2).jobs
        self.generations += [(job.id, job.generation) for job in jobs]
        fence = [Change(job.id, State.SUCCEEDED, generation=job.generation, holder="h", settles=True) for job in jobs]
        for change, answer in zip(fence, store.update(fence), strict=True):
            assert answer.outcome is Outcome.MOVED
            self.settled.append(change.id)
        if len(self.settled) > ENOUGH:
            self.enough.set()


def test_a_server_that_is_killed_under_load_loses_nothing_acknowledged(own_server: Serve) -> None:
    server = own_server("redis")
    store = RedisDriver.connect(server.url)
    store.migrate()
    load = Load(server.url)
    assert load.enough.wait(30)
    server.kill()
    load.join()
    server.restart()
    stored = {job.id: job for job in store.select(Where(), limit=1_000_000).jobs}
    assert set(load.inserted) <= stored.keys(), "acknowledged jobs are lost"
    lost = [name for name in load.settled if stored[name].state is not State.SUCCEEDED]
    assert not lost, "acknowledged ends are lost"
    assert len(set(load.generations)) == len(load.generations), "a generation was handed out twice"
    again = store.claim(CLAIMS, holder="h", limit=1_000).jobs
    assert not {(job.id, job.generation) for job in again} & set(load.generations)
    store.close()


def test_a_claim_whose_answer_does_not_come_is_not_sent_twice(own_server: Serve) -> None:
    url = own_server("redis").url
    store = RedisDriver.connect(f"{url}?timeout=0.3")
    store.migrate()
    store.insert([NewJob(f"{number}", "q", "t", b"") for number in range(10)])
    with redis.Redis.from_url(url) as client:
        client.client_pause(2_000)
        with pytest.raises(Unavailable):
            store.claim(CLAIMS, holder="h", limit=1)
        assert client.ping()  # Answered when the pause is over, behind what was sent before.
    assert len(store.select(Where(holder="h")).jobs) <= 1, "a claim was sent twice"
    assert len(store.claim(CLAIMS, holder="other", limit=1).jobs) == 1
    store.close()


def test_a_connection_that_broke_is_opened_again(store: RedisDriver, url: str) -> None:
    store.insert([NewJob("a", "q", "t", b"")])
    with redis.Redis.from_url(url.partition("?")[0]) as client:
        client.client_kill_filter(_type="normal", skipme=True)
    with contextlib.suppress(Unavailable):
        store.now()
    assert [job.id for job in store.claim(CLAIMS, holder="h", limit=1).jobs] == ["a"]


def test_listeners_hear_again_after_their_connection_broke(store: RedisDriver, url: str) -> None:
    listener = store.listen(["queue:q"])
    with redis.Redis.from_url(url.partition("?")[0]) as client:
        client.client_kill_filter(_type="pubsub", skipme=True)
    assert listener.wait(30), "hints were lost meanwhile, and nobody was told"
    store.insert([NewJob("a", "q", "t", b"")])
    assert listener.wait(30)
    listener.close()
