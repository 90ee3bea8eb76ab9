"""Chores: functions of an application that one of its workers runs once in a while."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from msgspec import Struct

from longshore.contract import SECOND
from longshore.durations import Seconds, microseconds
from longshore.errors import ConfigurationError, InvalidValue
from longshore.guard import check_text


class Chore(Struct, frozen=True):
    """A function that is run once in so many seconds, by one of all workers."""

    name: str
    every: float
    function: Callable[[], Any]

    @property
    def is_async(self) -> bool:
        """Whether it is an ``async def``."""
        return inspect.iscoroutinefunction(self.function)


def chore_of(function: Callable[[], Any], every: Seconds, name: str | None) -> Chore:
    """A function as a chore.

    Raises:
        ConfigurationError: it cannot be called without arguments.
        InvalidValue: the interval or the name is not of the form that is needed.
    """
    called = name if name is not None else getattr(function, "__name__", "")
    check_text(called, "a chore's name")
    length = microseconds(every, name="every")
    if not length:
        raise InvalidValue("every must be longer than nothing: it is how often the chore is done")
    needed = [each.name for each in inspect.signature(function).parameters.values() if each.default is each.empty]
    if needed:
        raise ConfigurationError(f"a chore is called without arguments; {called} needs {', '.join(needed)}")
    return Chore(called, length / SECOND, function)
