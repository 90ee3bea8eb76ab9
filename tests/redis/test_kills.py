"""Servers that are killed, and connections that break."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable
from urllib.parse import urlsplit, urlunsplit

import pytest
import redis

from conftest import Serve
from longshore.contract import Change, Claim, NewJob, Outcome, State, Where
from longshore.errors import Unavailable
from longshore_redis.driver import RedisDriver

CLAIMS = [Claim(queues=("q",))]
ENOUGH = 150
"""Answers after which the server is killed."""


class Line:
    """A line to a server that, when it is told so, carries what is asked and loses one answer."""

    def __init__(self, host: str, port: int) -> None:
        self.loses_answer = threading.Event()
        self._far = (host, port)
        self._door = socket.create_server(("127.0.0.1", 0))
        self.port = self._door.getsockname()[1]
        self._keeper = threading.Thread(target=self._keep)
        self._keeper.start()

    def close(self) -> None:
        self._door.shutdown(socket.SHUT_RDWR)
        self._door.close()
        self._keeper.join()

    def _keep(self) -> None:
        with contextlib.suppress(OSError), contextlib.ExitStack() as stack:
            while True:
                near = stack.enter_context(self._door.accept()[0])
                far = stack.enter_context(socket.create_connection(self._far))
                self._carry(near, far)

    def _carry(self, near: socket.socket, far: socket.socket) -> None:
        """Asks and answers by turns, as the client does, until one is lost."""
        while asked := near.recv(2**20):
            far.sendall(asked)
            answered = far.recv(2**20)
            if self.loses_answer.is_set():
                self.loses_answer.clear()
                break
            near.sendall(answered)
        near.close()


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
    """Neither a job, nor that it was handed out and to whom, nor its end; and it hands nothing out twice."""
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
    held = [name for name, generation in load.generations if stored[name].generation != generation]
    assert not held, "acknowledged claims are lost"
    again = store.claim(CLAIMS, holder="h", limit=1_000).jobs
    assert not {(job.id, job.generation) for job in again} & set(load.generations)
    store.close()


def test_a_claim_whose_answer_is_lost_is_not_sent_twice(
    store: RedisDriver, connect: Callable[..., RedisDriver], url: str
) -> None:
    store.insert([NewJob(f"{number}", "q", "t", b"") for number in range(10)])
    assert store.claim(CLAIMS, holder="h", limit=0).jobs == []  # From now on the server knows the script.
    parts = urlsplit(url)
    line = Line(str(parts.hostname), parts.port or 0)
    far = connect(urlunsplit(parts._replace(netloc=f"127.0.0.1:{line.port}")))
    line.loses_answer.set()
    with pytest.raises(Unavailable):
        far.claim(CLAIMS, holder="h", limit=1)
    line.close()
    assert len(store.select(Where(holder="h")).jobs) == 1, "a claim whose answer was lost was sent again"


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
