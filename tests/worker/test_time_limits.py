"""Runs that take longer than their task may."""

from __future__ import annotations

import asyncio
import os
import threading
from datetime import timedelta

import pytest

from longshore import Call, Context, Fixed, Longshore, Options, Retry, State
from longshore.contract import Where
from longshore.errors import InvalidValue
from longshore.holders import KIND
from longshore.processes.child import RETIRED
from longshore.processes.supervisor import Supervisor
from longshore.states import ASK_CANCEL, move
from longshore.worker.performing import TimedOut
from longshore.worker.settings import WorkerSettings
from worker.faulty import FaultyApp
from worker.gate import PATIENCE, Gate, say
from worker.test_processes import DOCK, PATIENT, alone
from worker.words import Words

pytestmark = pytest.mark.timed

NEVER = 60.0
SHORT = 0.1
AGAIN = Retry(max_attempts=2, delay=Fixed(0))


def never_end(app: Longshore, words: Words) -> Call[None]:
    """A call of the dock's task whose only attempt never ends."""
    return app.call_by_name("never_end", {"pipe": words.path}, options=Options(max_attempts=1))


def assert_timed_out_once(info_of: object) -> None:
    info = info_of.info()  # type: ignore[attr-defined]
    assert [attempt.outcome for attempt in info.attempts] == ["timed out"]
    assert "TimedOut" in info.attempts[0].error


def test_in_a_thread_the_run_is_interrupted_where_it_is_and_tried_again(app: FaultyApp, gate: Gate) -> None:
    @app.task(timeout=timedelta(seconds=SHORT), retry=AGAIN)
    def stay_at_first(context: Context) -> int:
        if context.attempt == 1:
            try:
                gate.stop_here("begun")
            except TimedOut:
                gate.say("timed out")
                raise
        return context.attempt

    with app.worker(slots=1, poll=NEVER) as worker:
        job = stay_at_first.enqueue()
        assert [gate.arrived(), gate.arrived()] == ["begun", "timed out"]
        assert job.result(timeout=PATIENCE) == 2
        assert_timed_out_once(job)
        assert "stop_here" in job.info().attempts[0].traceback
        assert worker.retired is None


def test_on_the_loop_the_run_is_cancelled_where_it_awaits_and_tried_again(app: FaultyApp, gate: Gate) -> None:
    @app.task(timeout=SHORT, retry=AGAIN)
    async def stay_at_first(context: Context) -> int:
        if context.attempt == 1:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                gate.say("cancelled")
                raise
        return context.attempt

    with app.worker(poll=NEVER) as worker:
        job = stay_at_first.enqueue()
        assert gate.arrived() == "cancelled"
        assert job.result(timeout=PATIENCE) == 2
        assert_timed_out_once(job)
        assert worker.retired is None


def test_when_its_attempts_are_used_up_it_has_failed(app: FaultyApp) -> None:
    @app.task(timeout=SHORT, retry=Retry(max_attempts=1))
    async def stay() -> None:
        await asyncio.Event().wait()

    job = stay.enqueue()
    app.worker().run(until_empty=True)
    assert job.info().state is State.FAILED
    assert_timed_out_once(job)


def test_the_time_begins_when_the_run_does(app: FaultyApp, gate: Gate) -> None:
    """Taken ahead behind another run, it waits for longer than it may take."""
    gate.serve(app)

    @app.task(timeout=0.3)
    def be_quick(word: str) -> str:
        return word

    with app.worker(slots=1, poll=NEVER, hold=NEVER, prefetch=NEVER) as worker:
        app.enqueue_many([say(app, "x"), be_quick.call("y")])
        be_quick.enqueue("z").wait(timeout=PATIENCE)
        first = app.task_named("stop").options(priority=1).call(word="stays")
        _, job = app.enqueue_many([first, be_quick.call("late")])
        while gate.arrived() != "stays":
            pass
        assert gate.nobody_arrives(within=0.5)
        gate.open()
        assert job.result(timeout=PATIENCE) == "late"
        assert (job.info().tries, worker.retired) == (0, None)


@pytest.mark.parametrize("where", ["thread", "loop"])
def test_a_run_that_goes_on_fails_all_the_same_and_its_worker_hands_back_and_ends(
    app: FaultyApp, gate: Gate, where: str
) -> None:
    gate.serve(app)
    ended = threading.Event()

    def refuse_to_end() -> None:
        while not ended.is_set():
            try:
                gate.stop_here("refuses")
                ended.set()
            except TimedOut:
                gate.say("was told")

    if where == "thread":
        app.task(name="refuse", timeout=SHORT, retry=Retry(max_attempts=1))(refuse_to_end)
    else:

        @app.task(name="refuse", timeout=SHORT, retry=Retry(max_attempts=1))
        async def refuse() -> None:
            refuse_to_end()

    worker = app.worker(slots=2, poll=NEVER, grace=0.1)
    worker.start()
    other = app.enqueue(app.call_by_name("stop", {"word": "other"}))
    assert gate.arrived() == "other"
    stuck = app.enqueue(app.call_by_name("refuse"))
    assert gate.arrived() == "refuses"
    info = stuck.wait(timeout=PATIENCE)
    assert (info.state, info.attempts[0].outcome) == (State.FAILED, "timed out")
    later = app.enqueue(say(app, "later"))
    assert "refuse" in (worker.retired or "")
    assert other.info().state is State.RUNNING, "the rest may finish"
    gate.open()
    assert other.result(timeout=PATIENCE) == "other"
    worker.stop()
    assert stuck.info().state is State.FAILED, "what the late run returned changed nothing"
    assert later.info().state is State.PENDING
    assert app.store.read(KIND) == []


def test_asked_to_cancel_a_run_that_goes_on_after_its_time_is_cancelled(app: FaultyApp, gate: Gate) -> None:
    @app.task(timeout=0.3)
    def refuse() -> None:
        while True:
            try:
                gate.stop_here("refuses")
            except TimedOut:
                continue
            return

    with app.worker(slots=1, poll=NEVER, grace=0.1):
        job = refuse.enqueue()
        gate.arrived()
        (stored,) = app.store.select(Where(ids=[job.id])).jobs
        app.store.update([move(ASK_CANCEL, stored, {"cancel_asked": True})])
        assert job.wait(timeout=PATIENCE).state is State.CANCELLED
        gate.open()


def test_the_process_of_a_run_that_goes_on_is_replaced(shared: Longshore, words: Words) -> None:
    settings = WorkerSettings(slots=1, poll=60, grace=0.2)
    with Supervisor(DOCK, processes=1, url=shared.store.driver.target, settings=settings):
        job = shared.enqueue(never_end(shared, words))
        first = words.hear_about("never")[-1]
        info = job.wait(timeout=PATIENCE)
        assert (info.state, info.crashes, info.attempts[0].outcome) == (State.FAILED, 0, "timed out")
        shared.enqueue(shared.call_by_name("say", {"pipe": words.path, "word": "a"}))
        assert words.hear_about("say")[-1] != first


def test_such_a_process_ends_with_a_code_of_its_own(shared: Longshore, words: Words) -> None:
    settings = WorkerSettings(slots=1, poll=60, grace=0.2)
    with alone(shared, settings) as child:
        shared.enqueue(never_end(shared, words))
        words.hear_about("never")
        handle = os.pidfd_open(child.process.pid)
        assert child.process.wait(PATIENCE) == RETIRED
        os.close(handle)
    assert shared.store.read(KIND) == []
    assert PATIENT.lease > PATIENCE, "nobody had to wait for the lease"


def test_a_time_limit_is_a_length_of_time(app: FaultyApp) -> None:
    with pytest.raises(InvalidValue, match="timeout must be a number of seconds"):
        app.task(timeout=-1)(lambda_free)


def lambda_free() -> None:
    """A function to be registered."""
