"""One of several stores is away: the others go on, and what it has is done when it is back."""

from __future__ import annotations

import os
import signal
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from redis import Redis

from engines import Server
from longshore import Longshore, State
from longshore.errors import Unavailable
from multi.berth import in_each, named_for_each
from worker.gate import PATIENCE, Gate

LONG = 60.0
SOON = {"retry_seconds": 0.2, "poll": 0.2, "heartbeat": 0.4, "lease": 2.0}


@pytest.fixture
def stores(redis: Server, tmp_path: Path) -> list[str]:
    """A file, and a server that the test may kill."""
    return [f"sqlite:///{tmp_path}/file.db#file", f"{redis.url}#server"]


@pytest.fixture
def app(stores: list[str]) -> Iterator[Longshore]:
    with Longshore(stores, retry_seconds=0.2, patience=1.0) as app:
        yield app


@pytest.fixture
def gate() -> Iterator[Gate]:
    gate = Gate()
    yield gate
    gate.open()


def test_killed_under_load_what_the_living_has_is_done_meanwhile_and_the_rest_when_it_is_back(
    app: Longshore, redis: Server
) -> None:
    ran: Counter[str] = Counter()
    many = threading.Event()

    @app.task
    def work(word: str) -> str:
        ran[word] += 1
        threading.Event().wait(0.005)
        if len(ran) >= 60:
            many.set()
        return word

    jobs = in_each(app, "work", 150)
    with app.worker(slots=4, **SOON):
        assert many.wait(LONG)
        redis.kill()
        living = [job.wait(LONG) for job in jobs["file"]]
        assert {(info.state, info.attempt, info.crashes, info.tries) for info in living} == {
            (State.SUCCEEDED, 1, 0, 0)
        }, "nobody rescued a run of the living store"
        redis.restart()
        assert {job.wait(LONG).state for job in jobs["server"]} == {State.SUCCEEDED}
    assert set(ran) == {f"{tag} {number}" for tag in jobs for number in range(150)}
    twice = [word for word, times in ran.items() if times > 1]
    assert all(word.startswith("server") for word in twice), "at least once is for what the dead one had in hand"


def test_one_that_hangs_holds_up_no_other(stores: list[str], redis: Server) -> None:
    """It takes connections and answers nothing: worse than a dead one, since every call waits as long as it may."""
    with Longshore([stores[0], redis.url + "?timeout=1#server"], retry_seconds=0.2, patience=1.0) as app:

        @app.task
        def work(word: str) -> str:
            return word

        jobs = in_each(app, "work", 30)
        with hung(redis), app.worker(slots=4, **SOON):
            assert {job.wait(LONG).state for job in jobs["file"]} == {State.SUCCEEDED}
        assert app.worker(slots=4, **SOON).run(until_empty=True).succeeded == len(jobs["server"])


@contextmanager
def hung(server: Server) -> Iterator[None]:
    with Redis.from_url(server.url) as client:
        process: int = client.info("server")["process_id"]
    os.kill(process, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(process, signal.SIGCONT)


def test_a_store_that_is_away_at_the_start_is_worked_for_as_soon_as_it_is_back(
    app: Longshore, redis: Server, gate: Gate
) -> None:
    gate.serve(app)
    gate.open()
    jobs = in_each(app, "stop", 2)
    redis.kill()
    with app.worker(slots=4, **SOON):
        assert {job.wait(LONG).state for job in jobs["file"]} == {State.SUCCEEDED}
        redis.restart()
        assert {job.wait(LONG).state for job in jobs["server"]} == {State.SUCCEEDED}


def test_who_only_starts_while_one_is_away_works_at_the_other(stores: list[str], redis: Server) -> None:
    with Longshore(stores) as before:
        before.store.now()
    redis.kill()
    with Longshore(stores, retry_seconds=0.2, patience=0.5) as app:

        @app.task
        def work(number: int) -> int:
            return number

        jobs = app.enqueue_many([work.call(number) for number in range(6)])
        assert app.worker(slots=2, **SOON).run(until_empty=True).succeeded == 6
        assert {job.id.rpartition("@")[2] for job in jobs} == {"file"}


def test_it_ends_when_those_that_answer_are_empty(app: Longshore, redis: Server, gate: Gate) -> None:
    gate.serve(app)
    gate.open()
    jobs = in_each(app, "stop", 2)
    redis.kill()
    assert app.worker(slots=4, **SOON).run(until_empty=True).succeeded == 2
    assert {job.info().state for job in jobs["file"]} == {State.SUCCEEDED}


def test_where_none_answers_it_does_not_start(redis: Server, own_server: Callable[[str], Server]) -> None:
    with Longshore([f"{redis.url}?namespace={name}#{name}" for name in ("one", "two")], patience=0) as app:
        app.store.now()
        redis.kill()
        with pytest.raises(Unavailable):
            app.worker().start()


def test_what_is_limited_by_a_store_that_is_away_waits_and_all_else_goes_on(
    app: Longshore, redis: Server, gate: Gate
) -> None:
    gate.serve(app)
    limited = next(name for number in range(1_000) if app.store.driver._homes.of(name := f"q{number}") == "server")  # type: ignore[attr-defined]
    app.admin.limit(queue=limited, running=1)
    ids = named_for_each(app, 3)["file"]
    calls = [app.tasks["say"].options(id=name, queue=limited) for name in ids]
    with app.worker(slots=4, queues=["default", limited], **SOON):
        calls[0].enqueue("first")
        assert gate.arrived() == "first"
        redis.kill()
        held = calls[1].enqueue("limited")
        app.tasks["say"].options(id=named_for_each(app, 1)["file"][0]).enqueue("free")
        words = {gate.arrived()}
        assert "free" in words or gate.arrived() == "free"
        redis.restart()
        assert held.wait(LONG).state is State.SUCCEEDED


def test_a_hand_takes_jobs_from_those_that_answer(app: Longshore, redis: Server) -> None:
    jobs = in_each(app, "work", 2)
    with app.fetch(limit=10, wait=PATIENCE) as fetch:
        redis.kill()
        batch = fetch.take()
        assert {job.id for job in batch} == {job.id for job in jobs["file"]}
        for job in batch:
            job.start()
            job.finish()
        redis.restart()
