"""Hooks of what became of runs: told once the store has settled them, and what was stored."""

from __future__ import annotations

import threading
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from longshore import Context, Discard, Features, Fixed, Job, Longshore, Retry, Snooze, State
from longshore.hooks import Settled
from longshore.testing.clock import ManualClock
from longshore.testing.faults.cut import Moment
from worker.faulty import FaultyApp
from worker.gate import Gate

ONCE = Retry(max_attempts=1)


def work(app: Longshore, **settings: Any) -> None:
    app.worker(**settings).run(until_empty=True)


def test_they_learn_what_was_stored(timed: Longshore, clock: ManualClock) -> None:
    told: list[tuple[str, Settled]] = []
    for point in ("on_retry", "on_success", "on_failure"):
        getattr(timed.hooks, point)(lambda settled, point=point: told.append((point, settled)))

    @timed.task(queue="mail", retry=Retry(max_attempts=2, delay=Fixed(30), jitter=0), secret=["password"])
    def send(context: Context, to: Path, password: str) -> list[Path]:
        if "fail" in str(to) or context.attempt == 1:
            raise ValueError(f"no way with {password}")
        return [to]

    good = send.options(notes={"page": 5}).enqueue(Path("/good"), "swordfish")
    work(timed, queues=["mail"])
    (point, retried), *_ = told
    assert (point, retried.job_id, retried.task, retried.queue) == ("on_retry", good.id, "send", "mail")
    assert (retried.attempt, retried.max_attempts, retried.notes, retried.retry_in) == (1, 2, {"page": 5}, 30.0)
    assert (retried.error, retried.result) == ("ValueError: no way with ***", None)
    assert "raise ValueError" in (retried.traceback or "")
    clock.advance(30)
    work(timed, queues=["mail"])
    point, succeeded = told[1]
    assert (point, succeeded.attempt, succeeded.result, succeeded.error) == ("on_success", 2, [Path("/good")], None)

    bad = send.enqueue(Path("/fail"), "swordfish")
    work(timed, queues=["mail"])
    clock.advance(30)
    work(timed, queues=["mail"])
    assert [(point, settled.job_id) for point, settled in told[2:]] == [("on_retry", bad.id), ("on_failure", bad.id)]
    assert (told[3][1].attempt, told[3][1].retry_in) == (2, None)


def test_a_snoozed_or_cancelled_run_fires_none(timed: Longshore) -> None:
    told: list[Settled] = []
    for point in (timed.hooks.on_retry, timed.hooks.on_success, timed.hooks.on_failure):
        point(told.append)

    @timed.task
    def snooze() -> None:
        raise Snooze(60)

    @timed.task
    def go_on_after_cancel(context: Context) -> None:
        timed.admin.cancel(context.job_id)
        pause = threading.Event()
        while True:  # Until it is interrupted.
            pause.wait(0.01)

    snoozed, cancelled = snooze.enqueue(), go_on_after_cancel.enqueue()
    work(timed)
    assert (snoozed.info().state, cancelled.info().state) == (State.PENDING, State.CANCELLED)
    assert told == []


def test_who_completes_in_a_transaction_has_succeeded_when_it_commits(app: FaultyApp) -> None:
    if Features.TRANSACTIONS not in app.store.features:
        pytest.skip("this store has no transactions")
    told: list[tuple[str, str, object]] = []
    for point in ("on_retry", "on_success", "on_failure"):
        getattr(app.hooks, point)(lambda settled, point=point: told.append((point, settled.job_id, settled.result)))

    @app.task(retry=ONCE)
    def complete(context: Context, commits: bool) -> int:
        with suppress(ZeroDivisionError), app.transaction() as tx:
            context.complete(7, tx=tx)
            if not commits:
                raise ZeroDivisionError
        return 0

    good, bad = complete.enqueue(True), complete.enqueue(False)
    work(app, slots=1)
    assert told == [("on_success", good.id, 7), ("on_failure", bad.id, None)]


def test_a_void_run_fires_none(app: FaultyApp, gate: Gate) -> None:
    told: list[tuple[int, object]] = []
    app.hooks.on_success(lambda settled: told.append((settled.attempt, settled.result)))
    runs: list[int] = []

    @app.task
    def count(context: Context) -> int:
        runs.append(1)
        if len(runs) == 1:
            gate.stop_here()
            return 1
        return 2

    job: Job[int] = count.enqueue()
    with app.worker():
        gate.arrived()
        app.admin.retry(job.id)
        gate.open()
        assert job.result(timeout=20) == 2
    assert told == [(2, 2)]


def test_an_answer_that_was_lost_fires_once(app: FaultyApp) -> None:
    told: list[str] = []
    app.hooks.on_success(lambda settled: told.append(settled.job_id))

    @app.task
    def run() -> None: ...

    app.line.cut("update", Moment.AFTER)
    app.line.cut("exchange", Moment.AFTER)
    jobs = [run.enqueue() for _ in range(3)]
    work(app)
    assert sorted(told) == sorted(job.id for job in jobs)


def test_jobs_that_a_hook_enqueues_are_run_before_the_worker_ends(app: FaultyApp) -> None:
    @app.task
    def count_down(number: int) -> None: ...

    @count_down.hooks.on_success
    def go_on(settled: Settled) -> None:
        (job,) = app.admin.jobs(ids=[settled.job_id]).jobs
        if job.notes["left"]:
            count_down.options(notes={"left": job.notes["left"] - 1}).enqueue(0)

    count_down.options(notes={"left": 5}).enqueue(0)
    work(app)
    assert app.counts()[State.SUCCEEDED] == 6


def test_a_worker_that_ends_waits_for_its_hooks(app: FaultyApp, gate: Gate) -> None:
    told: list[str] = []

    @app.hooks.on_success
    def tell(settled: Settled) -> None:
        gate.stop_here()
        told.append(threading.current_thread().name)

    @app.task
    def run() -> int:
        return 1

    job = run.enqueue()
    with app.worker():
        assert job.result(timeout=20) == 1, "the outcome does not wait for them"
        gate.arrived()
        assert told == []
        gate.open()
    assert told == ["longshore-reactions"]


def test_jobs_by_hand_go_past_those_that_have_a_meaning_for_them(app: FaultyApp) -> None:
    told: list[tuple[str, str, object]] = []
    for point in ("on_retry", "on_success", "on_failure"):
        getattr(app.hooks, point)(lambda settled, point=point: told.append((point, settled.job_id, settled.result)))
    app.hooks.pre_work(lambda starting: pytest.fail("no task is called"))

    @app.task(retry=Retry(max_attempts=2, delay=Fixed(60)))
    def double(number: int) -> int:
        return 2 * number

    jobs = [double.enqueue(number) for number in range(5)]
    with app.fetch(limit=5, wait=0) as fetch:
        good, bad, discarded, released, cancelled = fetch.take()
        cancelled.start()
        good.finish(7)
        bad.fail("no")
        discarded.fail(Discard("never"))
        released.release()
        app.admin.cancel(cancelled.id)
        cancelled.fail("not any more")
    ids = [job.id for job in jobs]
    assert told == [("on_success", ids[0], 7), ("on_retry", ids[1], None), ("on_failure", ids[2], None)]
