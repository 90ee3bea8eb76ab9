"""How a worker ends: it drains, interrupts, hands back, and uses up no attempt."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from longshore import State
from longshore.contract import Where
from longshore.holders import KIND
from longshore.states import CANCEL, RETRY, move
from longshore.worker.performing import Interrupted
from worker.conftest import Connect
from worker.faulty import FaultyApp
from worker.gate import PATIENCE, Gate, say, stop, wait_for

pytestmark = pytest.mark.timed

NEVER = 60.0


def test_told_to_stop_it_lets_running_jobs_end_and_takes_no_more(app: FaultyApp, gate: Gate) -> None:
    gate.serve(app)
    worker = app.worker(slots=2, poll=NEVER)
    worker.start()
    running = app.enqueue_many([stop(app, "a"), stop(app, "b")])
    assert {gate.arrived(), gate.arrived()} == {"a", "b"}
    worker.ask_to_stop()
    later = app.enqueue(say(app, "later"))
    with ThreadPoolExecutor() as pool:
        stopped = pool.submit(worker.stop)
        assert not stopped.done()
        gate.open()
        stopped.result(PATIENCE)
    assert [job.result(timeout=0) for job in running] == ["a", "b"]
    assert later.info().state is State.PENDING
    assert app.store.read(KIND) == [], "its lease was ended"


def test_after_the_drain_time_it_interrupts_and_hands_back_without_using_up_an_attempt(
    app: FaultyApp, gate: Gate
) -> None:
    gate.serve(app)
    interrupted = threading.Event()

    @app.task
    def clean_up() -> None:
        try:
            gate.stop_here("cleans")
        except Interrupted:
            interrupted.set()
            raise

    worker = app.worker(slots=2, poll=NEVER)
    worker.start()
    jobs = app.enqueue_many([clean_up.call(), stop(app, "b"), *[say(app, "c")] * 3])
    due = [job.info().due for job in jobs]
    arrived = {gate.arrived(), gate.arrived()}
    assert arrived <= {"cleans", "b", "c"}
    worker.stop(drain=0.05)
    wait_for(interrupted, "the run to be interrupted")
    for job in jobs[:2]:
        info = job.info()
        assert (info.state, info.attempt, info.tries, info.crashes) == (State.PENDING, 0, 0, 0)
    assert [job.info().due for job in jobs] == due, "they keep their place"
    assert app.store.read(KIND) == []
    gate.open()
    app.worker().run(until_empty=True)
    assert {job.info().state for job in jobs} == {State.SUCCEEDED}
    assert jobs[0].info().attempt == 1


def test_asked_to_stop_now_it_does_not_wait_for_anybody(app: FaultyApp, gate: Gate) -> None:
    gate.serve(app)
    worker = app.worker(slots=1, poll=NEVER, drain=NEVER)
    worker.start()
    job = app.enqueue(stop(app, "a"))
    gate.arrived()
    worker.ask_to_stop()
    worker.ask_to_stop(now=True)
    began = time.monotonic()
    worker.stop()
    assert time.monotonic() - began < 10, "a later, patient stop does not take back an impatient one"
    assert (job.info().state, job.info().attempt) == (State.PENDING, 0)


@pytest.mark.parametrize("grace", [0.0, 0.3])
def test_a_run_that_does_not_end_is_handed_back_all_the_same(app: FaultyApp, gate: Gate, grace: float) -> None:
    gate.serve(app)

    @app.task
    def refuse() -> int:
        while True:
            try:
                gate.stop_here("refuses")
            except Interrupted:
                gate.say("was asked")
            else:
                return 1

    worker = app.worker(slots=1, poll=NEVER, grace=grace)
    worker.start()
    job = refuse.enqueue()
    gate.arrived()
    worker.stop(drain=0)
    info = job.info()
    assert (info.state, info.attempt, info.tries, info.crashes) == (State.PENDING, 0, 0, 0)
    assert app.store.read(KIND) == []
    assert gate.arrived() == "was asked"
    gate.open()


def test_what_the_late_run_returns_changes_nothing(connect: Connect, gate: Gate) -> None:
    first, second = connect(), connect()
    returned: list[int] = []

    def define(app: FaultyApp, number: int) -> None:
        @app.task
        def stay() -> int:
            try:
                gate.stop_here(number)
            except Interrupted:
                gate.stop_here(number)
            returned.append(number)
            return number

    define(first, 1)
    define(second, 2)
    with first.worker(slots=1, poll=NEVER, drain=0, grace=0.1):
        job = first.enqueue(first.call_by_name("stay"))
        assert gate.arrived() == 1
    with second.worker(slots=1, poll=NEVER):
        while gate.arrived() != 2:
            pass
        gate.open()
        assert job.result(timeout=10) == 2
    assert job.info().attempt == 1


def test_a_job_that_was_retried_while_it_runs_is_begun_anew_and_its_old_run_is_void(app: FaultyApp, gate: Gate) -> None:
    generations: list[int] = []

    @app.task
    def stay() -> int:
        generations.append(app.store.select(Where(ids=["retried"])).jobs[0].generation)
        run = len(generations)
        try:
            gate.stop_here(run)
        except Interrupted:
            gate.say("interrupted")
            raise
        return run

    with app.worker(slots=2, poll=0.05, drain=0) as worker:
        job = stay.options(id="retried").enqueue()
        assert gate.arrived() == 1
        (stored,) = app.store.select(Where(ids=["retried"])).jobs
        app.store.update([move(RETRY, stored, {"attempt": 0})])
        assert {gate.arrived(), gate.arrived()} == {2, "interrupted"}
        gate.open()
        assert job.result(timeout=10) == 2
    assert worker.tally.succeeded == 1
    assert generations == [1, 3], "a claim, the retry, a claim"
    info = job.info()
    assert (info.state, info.attempt, info.tries) == (State.SUCCEEDED, 1, 0)


def test_a_cancelled_job_does_not_run(app: FaultyApp, gate: Gate) -> None:
    gate.serve(app)
    job = app.enqueue(say(app, "a"))
    (stored,) = app.store.select(Where(ids=[job.id])).jobs
    app.store.update([move(CANCEL, stored)])
    app.worker().run(until_empty=True)
    assert job.info().state is State.CANCELLED
    assert gate.said() == []


def test_a_worker_that_was_told_to_stop_before_it_began_takes_nothing(app: FaultyApp, gate: Gate) -> None:
    gate.serve(app)
    job = app.enqueue(say(app, "a"))
    worker = app.worker()
    worker.ask_to_stop()
    worker.run()
    assert job.info().state is State.PENDING
