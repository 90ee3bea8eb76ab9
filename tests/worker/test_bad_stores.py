"""A worker on a store that is damaged, full, locked, or of another version: nothing is lost, and nothing hangs."""

from __future__ import annotations

import logging
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from longshore import Fixed, Longshore, Retry, State
from longshore.admin import Verdict
from longshore.contract import SECOND, UNREADABLE, Claim, Write
from longshore.errors import SchemaError, StoreFull, Unavailable
from longshore.guard import Guard
from longshore.history import KIND as HOUR
from longshore.holders import KIND as HOLDER
from longshore.holders import rescue
from longshore.testing.clock import ManualClock
from worker.gate import PATIENCE, Gate, stop, wait_for


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "jobs.db"


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def app(path: Path, clock: ManualClock) -> Iterator[Longshore]:
    """An application on an SQLite file whose time stands still."""
    with Longshore(f"sqlite:///{path}", clock=clock) as app:

        @app.task(retry=Retry(max_attempts=2, delay=Fixed(1), jitter=0))
        def double(number: int) -> int:
            return 2 * number

        app.store.now()
        yield app


@pytest.fixture
def hand(path: Path, app: Longshore) -> Iterator[sqlite3.Connection]:
    """Somebody's hand in the file."""
    connection = sqlite3.connect(path, isolation_level=None)
    yield connection
    connection.close()


class Alarm(logging.Handler):
    """Rings when something is logged."""

    def __init__(self, words: str) -> None:
        super().__init__()
        self.rang = threading.Event()
        self._words = words

    def emit(self, record: logging.LogRecord) -> None:
        if self._words in record.getMessage():
            self.rang.set()


@pytest.fixture
def away() -> Iterator[Alarm]:
    """Rings when a worker says that its store is away."""
    alarm = Alarm("the store is away")
    logger = logging.getLogger("longshore.worker")
    logger.addHandler(alarm)
    yield alarm
    logger.removeHandler(alarm)


class TestDamage:
    """Somebody's hand was in the store, or its disk is ill."""

    def test_a_damaged_job_fails_with_what_is_wrong_and_the_others_go_on(
        self, app: Longshore, hand: sqlite3.Connection, clock: ManualClock
    ) -> None:
        double = app.tasks["double"]
        jobs = [double.options(id=f"job-{number}").enqueue(number) for number in range(5)]
        hand.execute("UPDATE longshore_job SET notes = '{broken' WHERE id = 'job-0'")
        hand.execute("UPDATE longshore_job SET payload = X'FF00' WHERE id = 'job-1'")
        for _ in range(2):
            app.worker().run(until_empty=True)
            clock.advance(30)
        assert [job.result() for job in jobs[2:]] == [4, 6, 8]
        assert [job.info().state for job in jobs[:2]] == [State.FAILED] * 2
        error = jobs[0].info().error or ""
        assert error.startswith("Corrupt: what is stored of this job cannot be read: notes is '{broken'")
        assert "cannot take the arguments that were stored" in str(jobs[1].info().error)
        assert [failure.id for failure in app.admin.failures().failures] == ["job-1", "job-0"]

    def test_a_mended_job_runs(self, app: Longshore, hand: sqlite3.Connection, clock: ManualClock) -> None:
        job = app.tasks["double"].options(id="job", notes={"page": 1}).enqueue(4)
        hand.execute("UPDATE longshore_job SET notes = '{broken'")
        app.worker().run(until_empty=True)
        assert job.info().shown_as == "retrying"
        clock.advance(30)
        assert app.admin.note("job", {UNREADABLE: None, "page": 2})[0].verdict is Verdict.DONE
        app.worker().run(until_empty=True)
        assert (job.result(), job.info().notes) == (8, {"page": 2})

    def test_a_damaged_job_of_a_worker_that_died_is_rescued_with_the_others(
        self, app: Longshore, hand: sqlite3.Connection
    ) -> None:
        for number in range(3):
            app.tasks["double"].options(id=f"job-{number}").enqueue(number)
        app.store.claim([Claim(queues=("default",))], holder="dead", limit=3)
        hand.execute("UPDATE longshore_job SET notes = '[]' WHERE id = 'job-1'")
        freed = rescue(app.store, "dead", by="me", lease=SECOND)
        assert freed is not None
        assert freed.pending == 3

    def test_an_attempt_that_cannot_be_read_is_shown_as_that(
        self, app: Longshore, hand: sqlite3.Connection, clock: ManualClock
    ) -> None:
        job = app.tasks["double"].options(id="job").enqueue(4)
        hand.execute("UPDATE longshore_job SET payload = X'FF00'")
        for _ in range(2):
            app.worker().run(until_empty=True)
            clock.advance(30)
        hand.execute("UPDATE longshore_attempt SET record = 'ink' WHERE number = 2")
        hand.execute("UPDATE longshore_attempt SET record = X'FF' WHERE number = 1")
        assert [attempt.outcome for attempt in job.info().attempts] == ["unreadable", "unreadable"]
        (failure,) = app.admin.failures().failures
        assert "what is stored of this attempt cannot be read" in str(failure.error)
        assert app.admin.retry("job")[0].verdict is Verdict.DONE

    def test_a_record_that_cannot_be_read_keeps_no_worker_from_its_work(self, app: Longshore) -> None:
        now = app.store.now() // (3_600 * SECOND)
        app.store.write([Write(HOLDER, "ink", b"\xff", None), Write(HOUR, f"{now}:ink", b"[]", None)])
        job = app.tasks["double"].enqueue(4)
        with app.worker(slots=1):
            assert job.result(timeout=PATIENCE) == 8
            (worker,) = app.admin.workers()
            assert worker.name != "ink"
        assert sum(hour.succeeded for hour in app.admin.history()) == 1


class Confined(Longshore):
    """Its workers' connections are known, so that a test can take the room from them."""

    def __init__(self, target: Any) -> None:
        super().__init__(target)
        self.workers: list[Guard] = []

    def another_store(self) -> Guard:
        self.workers.append(super().another_store())
        return self.workers[-1]


def give_pages(store: Guard, number: int) -> None:
    """How large the file may grow, to this connection; it never shrinks."""
    with store.driver._source.writer() as connection:  # type: ignore[attr-defined]
        connection.execute(f"PRAGMA max_page_count = {number}")


class TestFullDisk:
    def test_outcomes_are_kept_until_there_is_room_and_no_run_is_repeated(
        self, path: Path, gate: Gate, away: Alarm
    ) -> None:
        with Confined(f"sqlite:///{path}") as app:

            @app.task
            def grow(number: int) -> str:
                gate.stop_here(number)
                return str(number) * 100_000

            jobs = app.enqueue_many([grow.call(number) for number in range(3)])
            with app.worker(slots=3):
                assert sorted(str(gate.arrived()) for _ in jobs) == ["0", "1", "2"]
                for store in (app.store, *app.workers):
                    give_pages(store, 1)
                gate.open()
                wait_for(away.rang, "the worker to find the disk full")
                with pytest.raises(StoreFull, match="nothing was stored"):
                    app.enqueue_many([grow.call(number) for number in range(1_000)])
                assert [job.info().state for job in jobs] == [State.RUNNING] * 3
                for store in (app.store, *app.workers):
                    give_pages(store, 1_000_000)
                assert [job.result(timeout=PATIENCE)[0] for job in jobs] == ["0", "1", "2"]
            assert [(job.info().attempt, job.info().tries, job.info().crashes) for job in jobs] == [(1, 0, 0)] * 3
            assert sum(app.counts().values()) == 3


class TestLock:
    def test_a_file_that_another_program_locks_costs_time_alone(self, path: Path, gate: Gate, away: Alarm) -> None:
        with Longshore(f"sqlite:///{path}?timeout=0.05", patience=0.2) as app:
            gate.serve(app)
            job = app.enqueue(stop(app, "a"))
            other = sqlite3.connect(path, isolation_level=None)
            with app.worker(slots=2):
                gate.arrived()
                other.execute("BEGIN IMMEDIATE")
                gate.open()
                wait_for(away.rang, "the worker to find the file locked")
                with pytest.raises(Unavailable, match="was locked by another connection") as caught:
                    app.enqueue(stop(app, "b"))
                assert not caught.value.unknown
                assert job.info().state is State.RUNNING, "who only reads does not wait"
                other.execute("COMMIT")
                assert job.result(timeout=PATIENCE) == "a"
                assert app.enqueue(stop(app, "c")).result(timeout=PATIENCE) == "c"
            other.close()
            assert (job.info().attempt, job.info().tries, job.info().crashes) == (1, 0, 0)
            assert sum(app.counts().values()) == 2


class TestSchema:
    @pytest.mark.parametrize(("version", "readable"), [(99, 99), (0, 0)], ids=["too new", "too old"])
    def test_a_worker_refuses_a_schema_that_it_cannot_use_and_touches_nothing(
        self, path: Path, app: Longshore, hand: sqlite3.Connection, version: int, readable: int
    ) -> None:
        job = app.tasks["double"].enqueue(4)
        values = {"version": version, "readable_from": readable}
        hand.executemany("UPDATE longshore_meta SET value = :value WHERE name = :name", _named(values))
        with Longshore(f"sqlite:///{path}", migrate=False) as other, pytest.raises(SchemaError):
            other.worker().run(until_empty=True)
        assert hand.execute("SELECT id, state FROM longshore_job").fetchall() == [(job.id, State.PENDING)]


def _named(values: dict[str, int]) -> list[dict[str, object]]:
    return [{"name": name, "value": value} for name, value in values.items()]
