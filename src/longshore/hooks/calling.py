"""How hooks are called: steps that give out what is to be awaited, for threads and for event loops alike."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Awaitable, Callable, Generator, Sequence
from contextvars import copy_context
from inspect import isawaitable
from threading import Thread
from typing import Any, TypeAlias, TypeVar

T = TypeVar("T")
Steps: TypeAlias = Generator[Awaitable[Any], Any, T]
"""Does things in order; what is to be awaited is given out, and its outcome comes back."""

_log = logging.getLogger("longshore.hooks")


def awaited(awaitable: Awaitable[T]) -> T:
    """What an awaitable comes to, in a thread; on an event loop of its own, since there is none to share."""
    import asyncio

    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(_coroutine(awaitable))
    return _beside(lambda: asyncio.run(_coroutine(awaitable)))


async def _coroutine(awaitable: Awaitable[T]) -> T:
    return await awaitable


def _beside(function: Callable[[], T]) -> T:
    """Calls a function in a thread of its own, in the same context, and waits for it."""
    results: list[T] = []
    errors: list[BaseException] = []

    def run() -> None:
        try:
            results.append(context.run(function))
        except BaseException as error:  # noqa: BLE001 - it is raised in the thread that waits
            errors.append(error)

    context = copy_context()
    thread = Thread(target=run, name="longshore-beside")
    thread.start()
    thread.join()
    if errors:
        raise errors[0]
    return results[0]


def finish(steps: Steps[T], run: Callable[[Awaitable[Any]], Any] = awaited) -> T:
    """Goes through the steps in this thread; ``run`` gives what an awaitable comes to."""
    try:
        awaitable = next(steps)
        while True:
            try:
                answer = run(awaitable)
            except GeneratorExit as error:  # It would mean that the steps are given up.
                exited = RuntimeError("GeneratorExit was raised")
                exited.__cause__ = error
                awaitable = steps.throw(exited)
            except BaseException as error:  # noqa: BLE001 - the steps decide what it means
                awaitable = steps.throw(error)
            else:
                awaitable = steps.send(answer)
    except StopIteration as end:
        result: T = end.value
        return result


async def afinish(steps: Steps[T]) -> T:
    """Goes through the steps on this event loop."""
    try:
        awaitable = next(steps)
        while True:
            try:
                answer = await awaitable
            except GeneratorExit:
                steps.close()
                raise
            except BaseException as error:  # noqa: BLE001 - the steps decide what it means
                awaitable = steps.throw(error)
            else:
                awaitable = steps.send(answer)
    except StopIteration as end:
        result: T = end.value
        return result


def ask(hooks: Sequence[Callable[[Any], Any]], event: object) -> Steps[None]:
    """Calls hooks in order; what one raises is raised."""
    for hook in hooks:
        answer = hook(event)
        if isawaitable(answer):
            yield answer


def tell(
    hooks: Sequence[Callable[[Any], Any]],
    event: object,
    *,
    but: type[BaseException] = Exception,
    hide: Callable[[str], str] = str,
) -> Steps[None]:
    """Calls hooks in reverse order; what one raises is logged, ``but`` says how far, and the next is called.

    ``hide`` hides what is secret in what is logged.
    """
    for hook in reversed(hooks):
        try:
            answer = hook(event)
            if isawaitable(answer):
                yield answer
        except GeneratorExit:
            raise
        except but as error:
            told = hide("".join(traceback.format_exception(error)))
            _log.error("the hook %s failed, which changes nothing else\n%s", name_of(hook), told)


def name_of(function: object) -> str:
    """A function's name, for people."""
    return getattr(function, "__qualname__", None) or repr(function)
