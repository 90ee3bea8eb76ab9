"""Middleware: wraps the run of a task, of its own kind or the other, in the order in which it was added."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from typing import Any

import pytest

from longshore import Context, Longshore, Retry, Snooze, State
from longshore.hooks import CallNext
from worker.faulty import FaultyApp
from worker.gate import Gate

ONCE = Retry(max_attempts=1)
TRACE: ContextVar[str] = ContextVar("trace", default="")
Register = Callable[[Longshore, Callable[..., Any]], Any]


def plainly(app: Longshore, body: Callable[..., Any], **options: Any) -> Any:
    """A plain task, which calls the body."""

    @app.task(name="task", retry=ONCE, **options)
    def task(context: Context, number: int) -> int:
        result: int = body(context, number)
        return result

    return task


def on_the_loop(app: Longshore, body: Callable[..., Any], **options: Any) -> Any:
    """An ``async def`` task, which calls the body."""

    @app.task(name="task", retry=ONCE, **options)
    async def task(context: Context, number: int) -> int:
        await asyncio.sleep(0)
        result: int = body(context, number)
        await asyncio.sleep(0)
        return result

    return task


def plain_layer(before: Callable[[Context], object], after: Callable[[Any], Any] = lambda result: result) -> Any:
    def layer(context: Context, call_next: CallNext) -> Any:
        before(context)
        return after(call_next())

    return layer


def async_layer(before: Callable[[Context], object], after: Callable[[Any], Any] = lambda result: result) -> Any:
    async def layer(context: Context, call_next: CallNext) -> Any:
        await asyncio.sleep(0)
        before(context)
        result = await call_next()
        await asyncio.sleep(0)
        return after(result)

    return layer


LAYERS = [plain_layer, async_layer]
TASKS: list[Register] = [plainly, on_the_loop]
every_pair = pytest.mark.parametrize(
    ("register", "make"),
    [(register, make) for register in TASKS for make in LAYERS],
    ids=lambda each: each.__name__,
)


def work(app: Longshore) -> None:
    app.worker().run(until_empty=True)


@every_pair
def test_it_wraps_the_run_in_order(app: FaultyApp, register: Register, make: Any) -> None:
    said: list[str] = []

    def layer(word: str, kind: Any = make) -> Any:
        def back(result: int) -> int:
            said.append(f"{word} out")
            return result + 1

        return kind(lambda context: said.append(f"{word} in of {context.task}"), back)

    task = register(app, lambda context, number: said.append("task") or number)
    app.hooks.middleware(layer("first"))
    app.hooks.middleware(layer("second", plain_layer))
    task.hooks.middleware(layer("own", async_layer))
    app.hooks.of_task("other").middleware(layer("of another"))
    job = task.enqueue(5)
    work(app)
    assert job.result(timeout=5) == 8
    assert said == [
        *("first in of task", "second in of task", "own in of task", "task"),
        *("own out", "second out", "first out"),
    ]


@every_pair
def test_it_stands_in_for_the_task(app: FaultyApp, register: Register, make: Any) -> None:
    """It need not call the task, and its result is that of the run."""

    def cached(context: Context, call_next: CallNext) -> int:
        return 42

    async def cached_async(context: Context, call_next: CallNext) -> int:
        return 43

    task = register(app, lambda context, number: pytest.fail("it is not called"))
    app.hooks.middleware(cached if make is plain_layer else cached_async)
    job = task.enqueue(5)
    work(app)
    assert job.result(timeout=5) in (42, 43)


@every_pair
@pytest.mark.parametrize("error", [ValueError("no"), SystemExit(3), StopIteration(), Snooze(60)])
def test_what_the_task_raises_goes_through_it(
    app: FaultyApp, register: Register, make: Any, error: BaseException
) -> None:
    seen: list[str] = []

    def watch(context: Context, call_next: CallNext) -> Any:
        try:
            return call_next()
        except BaseException as raised:
            seen.append(type(raised).__name__)
            raise

    async def watch_async(context: Context, call_next: CallNext) -> Any:
        try:
            return await call_next()
        except BaseException as raised:
            seen.append(type(raised).__name__)
            raise

    def fail(context: Context, number: int) -> int:
        raise error

    task = register(app, fail)
    app.hooks.middleware(watch if make is plain_layer else watch_async)
    job = task.enqueue(5)
    work(app)
    stops = isinstance(error, StopIteration) and (register is on_the_loop or make is async_layer)
    name = "RuntimeError" if stops else type(error).__name__
    assert seen == [name]
    if isinstance(error, Snooze):
        assert job.info().state is State.PENDING
    else:
        assert job.info().state is State.FAILED
        assert (job.info().error or "").startswith(name)


@every_pair
def test_what_it_raises_is_as_if_the_task_had(app: FaultyApp, register: Register, make: Any) -> None:
    def refuse(context: Context) -> None:
        raise PermissionError("not today")

    task = register(app, lambda context, number: pytest.fail("it is not called"))
    app.hooks.middleware(make(refuse))
    job = task.enqueue(5)
    work(app)
    assert job.info().error == "PermissionError: not today"


@every_pair
def test_it_may_call_the_task_again(app: FaultyApp, register: Register, make: Any) -> None:
    calls: list[int] = []

    def fail_once(context: Context, number: int) -> int:
        calls.append(number)
        if len(calls) == 1:
            raise ValueError("once more")
        return number

    def insist(context: Context, call_next: CallNext) -> Any:
        try:
            return call_next()
        except ValueError:
            return call_next()

    async def insist_async(context: Context, call_next: CallNext) -> Any:
        try:
            return await call_next()
        except ValueError:
            return await call_next()

    task = register(app, fail_once)
    app.hooks.middleware(insist if make is plain_layer else insist_async)
    job = task.enqueue(5)
    work(app)
    assert job.result(timeout=5) == 5
    assert calls == [5, 5]


@every_pair
def test_the_task_sees_the_context_that_it_sets(app: FaultyApp, register: Register, make: Any) -> None:
    seen: list[tuple[str, bool]] = []

    def look(context: Context, number: int) -> int:
        seen.append((TRACE.get(), Context.current() is context))
        return number

    task = register(app, look)
    app.hooks.middleware(make(lambda context: TRACE.set(f"trace of {context.job_id}")))
    jobs = [task.enqueue(number) for number in range(3)]
    work(app)
    assert [job.result(timeout=5) for job in jobs] == [0, 1, 2]
    assert sorted(seen) == sorted((f"trace of {job.id}", True) for job in jobs)
    assert TRACE.get() == ""


@every_pair
def test_a_run_within_it_is_interrupted(app: FaultyApp, gate: Gate, register: Register, make: Any) -> None:
    ended: list[str] = []

    def watch(context: Context, call_next: CallNext) -> Any:
        try:
            return call_next()
        finally:
            ended.append("left")

    async def watch_async(context: Context, call_next: CallNext) -> Any:
        try:
            return await call_next()
        finally:
            ended.append("left")

    if register is plainly:

        @app.task(name="task")
        def stop() -> None:
            gate.stop_here()

    else:

        @app.task(name="task")
        async def stop_on_the_loop() -> None:
            gate.say(None)
            await asyncio.Event().wait()

    app.hooks.middleware(watch if make is plain_layer else watch_async)
    job = app.tasks["task"].enqueue()
    with app.worker():
        gate.arrived()
        app.admin.cancel(job.id)
        assert job.wait(timeout=20).state is State.CANCELLED
    assert ended == ["left"]


def test_a_run_whose_middleware_has_not_called_it_yet_is_interrupted_too(app: FaultyApp, gate: Gate) -> None:
    may_go_on = threading.Event()

    def slow(context: Context, call_next: CallNext) -> Any:
        gate.say("within")
        may_go_on.wait(20)
        return call_next()

    @app.task
    async def task() -> None:
        pytest.fail("it is not called")

    app.hooks.middleware(slow)
    job = task.enqueue()
    with app.worker():
        gate.arrived()
        app.admin.cancel(job.id)
        may_go_on.set()
        assert job.wait(timeout=20).state is State.CANCELLED


def test_a_plain_task_within_an_async_layer_may_use_an_event_loop_itself(app: FaultyApp) -> None:
    async def double(number: int) -> int:
        await asyncio.sleep(0)
        return 2 * number

    task = plainly(app, lambda context, number: asyncio.run(double(number)))
    app.hooks.middleware(async_layer(lambda context: None))
    job = task.enqueue(5)
    work(app)
    assert job.result(timeout=5) == 10


def test_an_object_may_be_middleware(app: FaultyApp) -> None:
    class Doubling:
        async def __call__(self, context: Context, call_next: CallNext) -> Any:
            return 2 * await call_next()

    class Adding:
        def __call__(self, context: Context, call_next: Callable[[], Awaitable[int] | int]) -> Any:
            return 1 + call_next()  # type: ignore[operator]

    task = plainly(app, lambda context, number: number)
    app.hooks.middleware(Doubling())
    app.hooks.middleware(Adding())
    job = task.enqueue(5)
    work(app)
    assert job.result(timeout=5) == 12


@every_pair
def test_a_run_in_the_foreground_is_wrapped_too(app: FaultyApp, register: Register, make: Any) -> None:
    task = register(app, lambda context, number: number)
    app.hooks.middleware(make(lambda context: None, lambda result: result + 1))
    assert app.admin.run_here(task.enqueue(5).id) == 6
