"""Middleware around a task: of its own kind, or of the other, plain functions and ``async def`` ones alike."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import Future
from contextvars import copy_context
from functools import partial
from inspect import isawaitable, iscoroutinefunction
from threading import Thread
from typing import Any

from longshore.context import Context
from longshore.hooks import CallNext, Middleware
from longshore.hooks.calling import awaited


def wrapped(middleware: Sequence[Middleware], context: Context, function: Callable[[], Any]) -> Callable[[], Any]:
    """A plain function within middleware, the first of which is the outermost."""
    for layer in reversed(middleware):
        around = _on_own_loop if _is_async(layer) else _plain
        function = partial(around, layer, context, function)
    return function


def wrapped_async(
    middleware: Sequence[Middleware], context: Context, function: Callable[[], Awaitable[Any]]
) -> Callable[[], Awaitable[Any]]:
    """The same of an ``async def`` function."""
    for layer in reversed(middleware):
        around = layer if _is_async(layer) else partial(_in_own_thread, layer)
        function = partial(around, context, function)
    return function


def _is_async(layer: Middleware) -> bool:
    return iscoroutinefunction(layer) or iscoroutinefunction(getattr(layer, "__call__", None))  # noqa: B004


def _plain(layer: Middleware, context: Context, call_next: CallNext) -> Any:
    result = layer(context, call_next)
    return awaited(result) if isawaitable(result) else result


def _on_own_loop(layer: Middleware, context: Context, call_next: CallNext) -> Any:
    """An ``async def`` layer around a plain function: an event loop that stands still while the function runs.

    So the function stays in the thread in which it can be interrupted, and may use an event loop of its own.
    """
    import asyncio

    with asyncio.Runner() as runner:
        loop = runner.get_loop()
        asked: list[Callable[[], None]] = []

        def ask() -> asyncio.Future[Any]:
            future: asyncio.Future[Any] = loop.create_future()
            asked.append(partial(_answer, future, partial(copy_context().run, call_next)))
            loop.stop()
            return future

        task = loop.create_task(layer(context, ask))
        task.add_done_callback(lambda _: loop.stop())
        while not task.done():
            loop.run_forever()
            while asked and not task.done():
                asked.pop()()
        return task.result()


def _answer(future: Any, function: Callable[[], Any]) -> None:
    try:
        result = function()
    except StopIteration as error:  # It has another meaning to what awaits the future.
        stopped = RuntimeError("the task raised StopIteration")
        stopped.__cause__ = error
        future.set_exception(stopped)
    except BaseException as error:  # noqa: BLE001 - it is raised where it is awaited
        future.set_exception(error)
    else:
        future.set_result(result)


async def _in_own_thread(layer: Middleware, context: Context, call_next: Callable[[], Awaitable[Any]]) -> Any:
    """A plain layer around an ``async def`` function: a thread, which waits while this event loop runs the function."""
    import asyncio

    loop = asyncio.get_running_loop()
    outcome: Future[Any] = Future()
    asked: list[Future[Any]] = []
    is_cancelled = False

    async def inner() -> Any:
        return await call_next()

    def ask() -> Any:
        future = asyncio.run_coroutine_threadsafe(inner(), loop)
        asked.append(future)
        if is_cancelled:
            future.cancel()
        return future.result()

    call = partial(copy_context().run, layer, context, ask)
    Thread(target=_answer, args=(outcome, call), name="longshore-middleware", daemon=True).start()
    ended = asyncio.wrap_future(outcome)
    try:
        return await asyncio.shield(ended)
    except asyncio.CancelledError:
        is_cancelled = True
        for future in asked:
            future.cancel()
        await asyncio.wait([ended])
        if not ended.cancelled():
            ended.exception()  # Else it is reported as one that nobody has seen.
        raise
