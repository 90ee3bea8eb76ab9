"""What operators do to jobs that a worker has in its hands: it learns of it long before its next heartbeat."""

from __future__ import annotations

import time

from longshore import Longshore, State
from longshore.admin import Verdict
from worker.gate import Gate, stop

SOON = 5.0
"""Seconds; a heartbeat comes after fifteen."""


def test_a_running_job_that_is_cancelled_from_elsewhere_ends_at_once(connect: object, gate: Gate) -> None:
    app, other = connect(), connect()  # type: ignore[operator]
    gate.serve(app)
    job = app.enqueue(stop(app, "one"))
    with app.worker():
        assert gate.arrived() == "one"
        asked = time.monotonic()
        assert other.admin.cancel(job.id)[0].verdict is Verdict.ASKED
        assert job.wait(timeout=SOON).state is State.CANCELLED
        assert time.monotonic() - asked < SOON


def test_a_job_retried_while_it_runs_runs_again_and_its_old_run_is_void(app: Longshore, gate: Gate) -> None:
    gate.serve(app)
    job = app.enqueue(stop(app, "one"))
    with app.worker() as worker:
        assert gate.arrived() == "one"
        assert app.admin.retry(job.id)[0].verdict is Verdict.DONE
        assert gate.arrived() == "one"
        gate.open()
        info = job.wait(timeout=SOON)
    assert (info.state, info.attempt, info.tries) == (State.SUCCEEDED, 2, 0)
    assert worker.tally.succeeded == 1


def test_a_purged_job_is_interrupted_and_its_run_is_void(app: Longshore, gate: Gate) -> None:
    gate.serve(app)
    job = app.enqueue(stop(app, "one"))
    with app.worker() as worker:
        assert gate.arrived() == "one"
        assert app.admin.purge() == 1
        assert job.info().state is State.ABANDONED
    assert worker.tally.succeeded == 0
    assert job.info().state is State.ABANDONED


def test_workers_are_listed_with_what_they_run(app: Longshore, gate: Gate) -> None:
    gate.serve(app)
    job = app.enqueue(stop(app, "one"))
    with app.worker(slots=2) as worker:
        gate.arrived()
        (shown,) = app.admin.workers()
        assert (shown.name, shown.alive, [held.id for held in shown.holds]) == (worker.holder, True, [job.id])
        assert (shown.slots, shown.tasks) == (2, ("say", "stop"))
        gate.open()
    assert app.admin.workers() == ()
