"""``async def`` tasks: on one event loop, beside the threads, within the same number of slots."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
from contextvars import ContextVar

import pytest

from longshore import Context, Fixed, Retry, Snooze, State
from longshore.contract import Change, Where
from longshore.holders import worker_topic
from longshore.states import ASK_CANCEL, move
from worker.faulty import FaultyApp
from worker.gate import Gate, say, stop

NEVER = 60.0
ONCE = Retry(max_attempts=1)
WITHOUT_ASYNC = """
import sys
from longshore import Longshore
app = Longshore("memory://")

@app.task
def work() -> None:
    pass

work.enqueue()
assert app.worker().run(until_empty=True).succeeded == 1
assert "asyncio" not in sys.modules, "nobody needed it"

@app.task
async def work_on_a_loop() -> None:
    pass

work_on_a_loop.enqueue()
assert app.worker().run(until_empty=True).succeeded == 1
"""


def slot_threads() -> set[threading.Thread]:
    return {thread for thread in threading.enumerate() if thread.name.startswith("longshore-slot")}


def serve_async(app: FaultyApp, gate: Gate) -> asyncio.Event:
    """Registers ``stay``, which stops on the event loop until the event is set there."""
    opened = asyncio.Event()

    @app.task
    async def stay(word: str) -> str:
        gate.say(word)
        await opened.wait()
        return word

    @app.task
    async def open_all() -> None:
        opened.set()

    return opened


def test_a_worker_without_async_tasks_imports_nothing_of_asyncio() -> None:
    done = subprocess.run([sys.executable, "-c", WITHOUT_ASYNC], capture_output=True, text=True, timeout=30)
    assert done.returncode == 0, done.stderr


def test_a_hundred_run_at_once_without_a_thread_for_each(app: FaultyApp, gate: Gate) -> None:
    serve_async(app, gate)
    before = slot_threads()
    with app.worker(slots=101, poll=NEVER):
        jobs = app.enqueue_many([app.call_by_name("stay", {"word": str(number)}) for number in range(100)])
        assert {gate.arrived() for _ in jobs} == {str(number) for number in range(100)}
        assert slot_threads() <= before
        app.enqueue(app.call_by_name("open_all"))
        assert [job.result(timeout=10) for job in jobs] == [str(number) for number in range(100)]


@pytest.mark.parametrize("third", ["say", "stay"])
def test_threads_and_the_loop_share_the_slots(app: FaultyApp, gate: Gate, third: str) -> None:
    gate.serve(app)
    serve_async(app, gate)
    with app.worker(slots=2, poll=NEVER, drain=0):
        jobs = app.enqueue_many([stop(app, "thread"), app.call_by_name("stay", {"word": "loop"})])
        assert {gate.arrived(), gate.arrived()} == {"thread", "loop"}
        app.enqueue(app.call_by_name(third, {"word": "third"}))
        assert gate.nobody_arrives(within=0.2), "both slots are taken"
        gate.open()
        assert gate.arrived() == "third"
        assert jobs[0].result(timeout=10) == "thread"
        assert jobs[1].info().state is State.RUNNING


def test_each_run_has_context_variables_of_its_own(app: FaultyApp) -> None:
    word: ContextVar[str] = ContextVar("word", default="nobody's")

    @app.task
    async def note(context: Context, own: str) -> list[str | None]:
        before = word.get()
        word.set(own)
        await asyncio.sleep(0)
        current = Context.current()
        return [before, word.get(), current.job_id if current else None, context.job_id]

    jobs = [note.enqueue(str(number)) for number in range(20)]
    app.worker(slots=5).run(until_empty=True)
    for number, job in enumerate(jobs):
        assert job.result(timeout=5) == ["nobody's", str(number), job.id, job.id]


def test_a_cancelled_run_is_cancelled_where_it_awaits(app: FaultyApp, gate: Gate) -> None:
    @app.task
    async def clean_up() -> None:
        gate.say("begun")
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            gate.say("cleans up")
            raise

    with app.worker(poll=NEVER) as worker:
        job = clean_up.enqueue()
        assert gate.arrived() == "begun"
        (stored,) = app.store.select(Where(ids=[job.id])).jobs
        app.store.update([move(ASK_CANCEL, stored, {"cancel_asked": True})])
        app.store.wake([worker_topic(worker.holder)])
        assert gate.arrived() == "cleans up"
        info = job.wait(timeout=10)
    assert (info.state, info.attempts[-1].outcome) == (State.CANCELLED, "cancelled")
    assert "clean_up" in info.attempts[-1].traceback


def test_interrupted_by_the_end_of_its_worker_it_is_handed_back_without_an_attempt(app: FaultyApp, gate: Gate) -> None:
    serve_async(app, gate)
    worker = app.worker(poll=NEVER)
    worker.start()
    jobs = app.enqueue_many([app.call_by_name("stay", {"word": word}) for word in "ab"])
    gate.arrived(), gate.arrived()
    worker.stop(drain=0)
    for job in jobs:
        info = job.info()
        assert (info.state, info.attempt, info.tries, info.crashes) == (State.PENDING, 0, 0, 0)


def test_what_happens_inside_decides_as_in_a_thread(app: FaultyApp) -> None:
    @app.task(retry=ONCE)
    async def cancel_itself() -> None:
        raise asyncio.CancelledError

    @app.task(retry=ONCE)
    async def leave() -> None:
        raise SystemExit

    @app.task(retry=Retry(max_attempts=2, delay=Fixed(0)))
    async def fail_once(context: Context) -> int:
        if context.attempt == 1:
            raise ValueError("once")
        return context.attempt

    @app.task
    async def snooze() -> None:
        raise Snooze(1000)

    cancelled, left, failed, snoozed = (task.enqueue() for task in (cancel_itself, leave, fail_once, snooze))
    app.worker(slots=1).run(until_empty=True)
    assert (cancelled.info().state, cancelled.info().attempts[0].outcome) == (State.FAILED, "failed")
    assert (left.info().state, left.info().error) == (State.FAILED, "SystemExit: ")
    assert failed.result(timeout=5) == 2
    assert (snoozed.info().shown_as, snoozed.info().attempt) == ("scheduled", 0)


def test_a_run_that_was_interrupted_before_it_began_never_does(app: FaultyApp, gate: Gate) -> None:
    """Both are claimed at once; the first keeps the loop busy until the worker was told to stop."""
    began: list[str] = []

    @app.task
    async def occupy(word: str) -> None:
        began.append(word)
        if word == "first":
            gate.stop_here(word)

    worker = app.worker(slots=2, poll=NEVER, drain=0, grace=30)
    jobs = app.enqueue_many([occupy.call("first"), occupy.call("second")])
    worker.start()
    assert gate.arrived() == "first"
    stopping = threading.Thread(target=worker.stop)
    stopping.start()
    (courier,) = worker._team.couriers
    while not all(run.reason for run in list(courier._ledger.known.values())):
        threading.Event().wait(0.005)
    gate.open()
    stopping.join(10)
    assert began == ["first"]
    assert jobs[1].info().state is State.PENDING


def test_what_a_task_leaves_on_the_loop_does_not_stop_it_and_is_ended_with_the_worker(
    app: FaultyApp, gate: Gate
) -> None:
    kept: list[asyncio.Task[None]] = []

    async def stay_for_ever() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            gate.say("ended")

    async def leave_the_program() -> None:
        raise SystemExit

    @app.task
    async def leave_behind() -> None:
        kept.append(asyncio.create_task(stay_for_ever()))
        kept.append(asyncio.create_task(leave_the_program()))
        await asyncio.sleep(0)

    @app.task
    async def work() -> int:
        await asyncio.sleep(0)
        return 1

    with app.worker(poll=NEVER):
        leave_behind.enqueue().wait(timeout=10)
        assert work.enqueue().result(timeout=10) == 1
    assert gate.arrived() == "ended"
    assert isinstance(kept[1].exception(), SystemExit)


def test_a_plain_function_that_gives_a_coroutine_is_awaited_too(app: FaultyApp) -> None:
    async def add(first: int, second: int) -> int:
        await asyncio.sleep(0)
        return first + second

    @app.task
    def indirect(first: int, second: int) -> int:
        return add(first, second)  # type: ignore[return-value]

    job = indirect.enqueue(1, 2)
    app.worker(slots=1).run(until_empty=True)
    assert job.result(timeout=5) == 3


def test_an_outcome_that_no_store_takes_fails_an_async_run_alone(app: FaultyApp) -> None:
    @app.task
    async def work(number: int) -> int:
        return number

    def does_not_fit(change: Change) -> bool:
        return change.id == "bad" and change.to is State.SUCCEEDED

    app.line.cannot_take = does_not_fit
    bad, good = work.options(id="bad").enqueue(1), work.enqueue(2)
    app.worker(slots=2).run(until_empty=True)
    assert (bad.info().state, good.result(timeout=5)) == (State.FAILED, 2)


def test_words_of_threads_still_come(app: FaultyApp, gate: Gate) -> None:
    """A worker that has begun with the loop begins threads when they are needed."""
    gate.serve(app)
    serve_async(app, gate)
    with app.worker(slots=3, poll=NEVER):
        app.enqueue(app.call_by_name("open_all")).wait(timeout=10)
        app.enqueue(say(app, "thread"))
        assert gate.arrived() == "thread"
