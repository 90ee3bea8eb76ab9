"""A server that restarts, or is promoted, hands out no generation and no version that may have been handed out."""

from __future__ import annotations

from collections.abc import Callable

from conftest import Serve
from longshore.contract import Change, Claim, NewJob, Outcome, State, Write
from longshore_redis.driver import RedisDriver

CLAIMS = [Claim(queues=("q",))]
Connect = Callable[..., RedisDriver]


def claimed(store: RedisDriver) -> int:
    (job,) = store.claim(CLAIMS, holder="h", limit=1).jobs
    return job.generation


def handed_back(store: RedisDriver, generation: int) -> Outcome:
    return store.update([Change("a", State.PENDING, generation=generation, holder="h", settles=True)])[0].outcome


def test_after_a_restart_generations_go_on_above_all_that_may_be_forgotten(own_server: Serve) -> None:
    server = own_server("redis")
    store = RedisDriver.connect(server.url)
    store.migrate()
    store.insert([NewJob("a", "q", "t", b"")])
    assert claimed(store) == 1
    server.kill()
    server.restart()
    assert handed_back(store, 1) is Outcome.MOVED, "a run from before is still the job's own"
    first = claimed(store)
    assert first > 500_000
    assert handed_back(store, 1) is Outcome.REPEATED
    assert handed_back(store, first) is Outcome.MOVED
    assert claimed(store) == first + 1, "within one history each claim takes the next"
    store.update([Change("a", State.CANCELLED)])
    store.update([Change("a", State.PENDING, renews=True)])
    assert claimed(store) == first + 3
    server.kill()
    server.restart()
    store.update([Change("a", State.CANCELLED)])
    assert store.update([Change("a", State.PENDING, renews=True)])[0].generation > first + 500_000
    store.close()


def test_after_a_restart_versions_go_on_above_all_that_may_be_forgotten(own_server: Serve) -> None:
    server = own_server("redis")
    store = RedisDriver.connect(server.url)
    store.migrate()
    (before,) = store.write([Write("k", "a", b"1")])
    server.kill()
    server.restart()
    (after,) = store.write([Write("k", "a", b"2", version=before)])
    assert before is not None
    assert after is not None
    assert after > before + 500_000
    assert store.write([Write("k", "a", b"3", version=after)]) == [after + 1]
    store.close()
