"""One of several stores is killed half-way: workers go on with the other, and with it as soon as it is back."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from conftest import Serve
from engines import Server
from longshore import Longshore, State
from longshore.contract import Where
from multi.conftest import named_for
from stores import fresh_store

PATIENCE = 60.0
MANY = 120


class Runs:
    """What ran, counted; `gate` keeps the runs until the test opens it."""

    def __init__(self) -> None:
        self.counts: Counter[int] = Counter()
        self.gate = threading.Event()
        self.gate.set()
        self._changed = threading.Condition()

    def count(self, number: int) -> None:
        assert self.gate.wait(PATIENCE)
        with self._changed:
            self.counts[number] += 1
            self._changed.notify_all()

    def await_all(self, numbers: set[int]) -> None:
        with self._changed:
            assert self._changed.wait_for(lambda: numbers <= self.counts.keys(), PATIENCE), numbers - self.counts.keys()


@pytest.fixture
def runs() -> Runs:
    return Runs()


@pytest.fixture
def app(tmp_path: Path, shared_server: Serve, redis: Server, runs: Runs) -> Iterator[Longshore]:
    """On PostgreSQL, and on a Redis of its own."""
    stores = [f"{fresh_store('postgres', tmp_path, shared_server)}#east", f"{redis.url}?timeout=2#west"]
    with Longshore(stores, retry_seconds=0.5, patience=2.0) as app:

        @app.task
        def count(number: int) -> int:
            runs.count(number)
            return number

        yield app


def calls(app: Longshore, numbers: range) -> list[Any]:
    return [app.tasks["count"].call(number) for number in numbers]


def at(jobs: list[Any], tag: str) -> set[int]:
    return {number for number, job in enumerate(jobs) if job.id.endswith(f"@{tag}")}


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_what_the_living_has_goes_on_and_the_dead_one_s_is_done_when_it_is_back(
    app: Longshore, redis: Server, runs: Runs
) -> None:
    runs.gate.clear()
    jobs = app.enqueue_many(calls(app, range(MANY)))
    there = at(jobs, "west")
    assert 0 < len(there) < MANY
    redis_has = app.store.driver.parts[1]
    with app.worker(slots=4, poll=0.5, heartbeat=1.0, lease=30.0) as worker:
        running = Where(states=(State.RUNNING,))
        until(lambda: len(redis_has.select(running).jobs) > 0 or not there, "no job of the server began")
        redis.kill()
        runs.gate.set()
        runs.await_all(set(range(MANY)) - there)
        more = app.enqueue_many(calls(app, range(MANY, MANY + 20)))
        assert at(more, "east") == set(range(20)), "a new job was given to the store that is away"
        runs.await_all(set(range(MANY, MANY + 20)))
        redis.restart()
        runs.await_all(there)
        infos = [job.wait(timeout=PATIENCE) for job in jobs + more]
        assert worker is not None
    assert {info.state for info in infos} == {State.SUCCEEDED}
    assert {info.crashes for info in infos} == {0}, "a living worker was rescued"


@pytest.mark.slow
def test_a_worker_that_starts_while_one_is_away_works_for_both_when_it_is_back(
    app: Longshore, redis: Server, runs: Runs
) -> None:
    jobs = app.enqueue_many(calls(app, range(20)))
    named = app.enqueue(app.tasks["count"].options(id=named_for(app.store.driver, "west")).call(99))  # type: ignore[arg-type]
    redis.kill()
    with app.worker(slots=4, poll=0.5, heartbeat=1.0):
        runs.await_all(at(jobs, "east"))
        redis.restart()
        runs.await_all({*range(20), 99})
        assert named.result(timeout=PATIENCE) == 99


def until(holds: Callable[[], bool], otherwise: str) -> None:
    pause = threading.Event()
    for _ in range(3_000):
        if holds():
            return
        pause.wait(0.01)
    raise AssertionError(otherwise)
