"""An application's own commands."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, Final, ParamSpec, TypeVar

from longshore.errors import ConfigurationError
from longshore.guard import check_text

P = ParamSpec("P")
R = TypeVar("R")
BUILT_IN: Final = frozenset({"pause", "resume", "scale", "stop", "signal"})


class Commands(dict[str, Callable[..., Any]]):
    """Functions that workers call when they are told to, by name."""

    def register(self, function: Callable[P, R], name: str | None = None) -> Callable[P, R]:
        """Registers a function, plain or ``async def``.

        Raises:
            ConfigurationError: the name is taken, or it is no function.
        """
        if not inspect.isfunction(function):
            raise ConfigurationError(f"a command must be a function; {function!r} is a {type(function).__name__}")
        name = name or function.__name__
        check_text(name, "a command's name")
        if name in BUILT_IN or name in self:
            raise ConfigurationError(f"a command named {name!r} is there already: give name= to this one")
        self[name] = function
        return function
