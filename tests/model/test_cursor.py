"""The cursor: the next attempt goes on from it, whatever ended the last, and a late run cannot move it."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from longshore import Context, Features, Fixed, Longshore, Retry, Snooze, State
from longshore.contract import Claim
from longshore.errors import InvalidValue, LeaseLost, TooLarge, Unsupported
from longshore.holders import end_lease, rescue
from longshore.telling.voice import Voice
from worker.gate import PATIENCE, Gate

Connect = Callable[..., Longshore]
AT_ONCE = Retry(max_attempts=3, delay=Fixed(0))
ONCE = Retry(max_attempts=1)


@dataclass(frozen=True)
class Place:
    file: Path
    line: int


def walker(app: Longshore, stumble: Callable[[Context, int], None], *, retry: Retry = AT_ONCE) -> list[int]:
    """A task ``walk`` of ten steps that goes on where it stood; gives the list of steps that were taken."""
    steps: list[int] = []

    @app.task(retry=retry)
    def walk(context: Context) -> int:
        begun = context.cursor.get(int, 0)
        for step in range(begun, 10):
            stumble(context, step)
            steps.append(step)
            context.cursor.set(step + 1)
        return begun

    return steps


def walk(app: Longshore) -> Any:
    return app.enqueue(app.call_by_name("walk"))


def stored(app: Longshore, identity: str) -> bytes | None:
    (job,) = (job for job in app.store.select().jobs if job.id == identity)
    return job.cursor


def test_a_retry_goes_on_from_it(app: Longshore) -> None:
    def stumble(context: Context, step: int) -> None:
        if context.attempt < 3 and step == 3 * context.attempt:
            raise OSError("as the test wanted")

    steps = walker(app, stumble)
    job = walk(app)
    app.worker().run(until_empty=True)
    assert steps == list(range(10)), "no step was taken twice"
    assert job.result(timeout=0) == 6


def test_success_removes_it(app: Longshore) -> None:
    walker(app, lambda context, step: None)
    job = walk(app)
    app.worker().run(until_empty=True)
    assert stored(app, job.id) is None
    app.admin.retry(job.id)
    app.worker().run(until_empty=True)
    assert job.result(timeout=0) == 0, "a job that had succeeded begins anew"


def test_a_retry_by_a_person_goes_on_from_it(app: Longshore) -> None:
    broken = True

    def stumble(context: Context, step: int) -> None:
        if broken and step == 4:
            raise OSError("as the test wanted")

    steps = walker(app, stumble, retry=ONCE)
    job = walk(app)
    app.worker().run(until_empty=True)
    assert job.info().state is State.FAILED
    broken = False
    app.admin.retry(job.id)
    app.worker().run(until_empty=True)
    assert steps == list(range(10))


def test_a_snooze_keeps_it(app: Longshore) -> None:
    def stumble(context: Context, step: int) -> None:
        if step == 5 and context.cursor.get() == 5 and not snoozed:
            snoozed.append(step)
            raise Snooze(0)

    snoozed: list[int] = []
    steps = walker(app, stumble)
    job = walk(app)
    app.worker().run(until_empty=True)
    assert (job.result(timeout=0), steps, snoozed) == (5, list(range(10)), [5])


def test_a_worker_that_stops_hands_the_job_back_with_it(app: Longshore, gate: Gate) -> None:
    steps = walker(app, lambda context, step: gate.stop_here() if step == 5 else None)
    job = walk(app)
    worker = app.worker(poll=60.0)
    worker.start()
    gate.arrived()
    worker.stop(drain=0)
    assert job.info().state is State.PENDING
    gate.open()
    app.worker().run(until_empty=True)
    assert (job.result(timeout=0), steps) == (5, list(range(10)))


def test_after_a_crash_the_next_run_goes_on_from_it_and_the_late_one_cannot_move_it(app: Longshore) -> None:
    steps = walker(app, lambda context, step: None)
    job = walk(app)
    (late,) = app.store.claim([Claim(id=job.id)], holder="late", limit=1).jobs
    context = Context(app, late)
    context.cursor.set(7)
    end_lease(app.store, "late")
    assert rescue(app.store, "late", by="test", lease=10**6) is not None
    for move in (context.cursor.set, lambda value: asyncio.run(context.cursor.aset(value))):
        with pytest.raises(LeaseLost, match=job.id):
            move(9)
    context.cursor.mark(9)
    app.worker().run(until_empty=True)
    assert (job.result(timeout=0), steps) == (7, [7, 8, 9])


def test_a_run_that_a_person_has_made_void_cannot_move_it(app: Longshore) -> None:
    steps = walker(app, lambda context, step: None)
    job = walk(app)
    (void,) = app.store.claim([Claim(id=job.id)], holder="void", limit=1).jobs
    context = Context(app, void)
    context.cursor.set(8)
    app.admin.retry(job.id)
    with pytest.raises(LeaseLost):
        context.cursor.set(9)
    app.worker().run(until_empty=True)
    assert (job.result(timeout=0), steps) == (8, [8, 9])


class TestMarks:
    def test_they_go_with_the_end_of_the_run(self, app: Longshore) -> None:
        @app.task(retry=AT_ONCE)
        def walk(context: Context) -> int:
            begun = context.cursor.get(int, 0)
            for step in range(begun, 1_000):
                context.cursor.mark(step + 1)
                if step == 600:
                    raise OSError("as the test wanted")
            return begun

        job = walk.enqueue()
        app.worker().run(until_empty=True)
        assert job.result(timeout=0) == 601

    def test_they_are_written_within_about_a_second(self, app: Longshore, gate: Gate) -> None:
        @app.task
        def walk(context: Context) -> None:
            context.cursor.mark("here")
            gate.stop_here()

        job = walk.enqueue()
        with app.worker(poll=60.0):
            gate.arrived()
            tries = (stored(app, job.id) or threading.Event().wait(0.05) for _ in range(300))
            assert b"here" in next(found for found in tries if isinstance(found, bytes))
            gate.open()

    def test_a_mark_does_not_overtake_what_was_set_after_it(self, app: Longshore) -> None:
        app.enqueue(app.call_by_name("by_hand"))
        (job,) = app.store.claim([Claim(("default",))], holder="here", limit=1).jobs
        voice = Voice(app.post, job)
        voice.keep({"cursor": b"marked"})
        voice.save({"cursor": b"set"}).result(PATIENCE)
        assert voice.unsaid() == {}
        assert stored(app, job.id) == b"set"

    def test_marks_and_transactions_are_not_mixed(self, app: Longshore) -> None:
        @app.task(retry=ONCE)
        def walk(context: Context, first: str) -> str:
            if first == "mark":
                context.cursor.mark(1)
                context.cursor.set(2, tx=object())
            return "mixed"

        job = walk.enqueue("mark")
        app.worker().run(until_empty=True)
        assert "a marked cursor cannot be set with tx=" in (job.info().error or "")


class TestValues:
    def test_it_comes_back_as_the_type_that_is_asked_for(self, app: Longshore) -> None:
        @app.task(retry=AT_ONCE)
        def walk(context: Context) -> str:
            if context.attempt == 1:
                assert context.cursor.get(Place) is None
                assert context.cursor.get(int, 7) == 7
                context.cursor.set(Place(Path("a/b"), 3))
                assert context.cursor.get(Place) == Place(Path("a/b"), 3), "the run itself sees what it has set"
                raise OSError("as the test wanted")
            with pytest.raises(InvalidValue):
                context.cursor.get(int)
            assert context.cursor.get() == {"file": "a/b", "line": 3}
            return str(context.cursor.get(Place))

        job = walk.enqueue()
        app.worker().run(until_empty=True)
        assert job.result(timeout=0) == str(Place(Path("a/b"), 3))

    def test_what_cannot_be_stored_is_refused(self, connect: Connect) -> None:
        app = connect(max_payload=1_000)

        @app.task(retry=ONCE)
        def walk(context: Context) -> None:
            with pytest.raises(InvalidValue):
                context.cursor.set(object())
            with pytest.raises(TooLarge, match="the cursor takes"):
                context.cursor.mark("a" * 1_001)

        job = walk.enqueue()
        app.worker().run(until_empty=True)
        assert job.info().state is State.SUCCEEDED

    def test_an_async_task_awaits_it(self, app: Longshore) -> None:
        @app.task(retry=AT_ONCE)
        async def walk(context: Context) -> Any:
            if context.attempt == 1:
                await context.cursor.aset([1, 2])
                raise OSError("as the test wanted")
            return context.cursor.get()

        job = walk.enqueue()
        app.worker().run(until_empty=True)
        assert job.result(timeout=0) == [1, 2]


class TestTransactions:
    def test_it_moves_with_what_was_done_and_not_without(self, app: Longshore, tmp_path: Path) -> None:
        if Features.TRANSACTIONS not in app.store.features:
            pytest.skip("a store without transactions refuses it: see the next test")

        @app.task(retry=AT_ONCE)
        def walk(context: Context) -> int:
            begun = context.cursor.get(int, 0)
            for step in range(begun, 10):
                with app.transaction() as transaction:
                    context.cursor.set(step + 1, tx=transaction)
                    if step == 5 and context.attempt == 1:
                        raise OSError("before the commit, as the test wanted")
            return begun

        job = walk.enqueue()
        app.worker().run(until_empty=True)
        assert job.result(timeout=0) == 5, "the step that was not committed is taken again"

    def test_a_late_run_s_transaction_is_undone(self, app: Longshore) -> None:
        if Features.TRANSACTIONS not in app.store.features:
            pytest.skip("a store without transactions refuses it: see the next test")
        app.enqueue(app.call_by_name("by_hand"))
        (late,) = app.store.claim([Claim(("default",))], holder="late", limit=1).jobs
        context = Context(app, late)
        app.admin.retry(late.id)

        def work() -> None:
            with app.transaction() as transaction:
                app.enqueue(app.call_by_name("other"), tx=transaction)
                context.cursor.set(1, tx=transaction)

        with pytest.raises(LeaseLost):
            work()
        assert [job.task for job in app.store.select().jobs] == ["by_hand"]

    def test_where_there_are_none_it_is_refused(self, app: Longshore) -> None:
        if Features.TRANSACTIONS in app.store.features:
            pytest.skip("this store has them")
        app.enqueue(app.call_by_name("by_hand"))
        (job,) = app.store.claim([Claim(("default",))], holder="here", limit=1).jobs
        with pytest.raises(Unsupported, match="leave out tx"):
            Context(app, job).cursor.set(1, tx=sqlite3.connect(":memory:"))
