"""The part of an application that says what its workers keep to."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from longshore.chores import Chore, chore_of
from longshore.durations import Seconds
from longshore.errors import ConfigurationError
from longshore.limits.stored import Rule, Subject, rule_of, subject_of

F = TypeVar("F", bound=Callable[[], Any])


class Regulating:
    """Declares limits and chores; nothing is stored before a worker begins."""

    def __init__(self) -> None:
        self.declared_limits: dict[Subject, Rule] = {}
        self.chores: dict[str, Chore] = {}

    def limit(
        self,
        *,
        queue: str | None = None,
        task: str | None = None,
        running: int | None = None,
        rate: tuple[int, Seconds] | None = None,
        burst: int | None = None,
    ) -> None:
        """Declares a limit of a queue or a task for all processes together, which the next worker that begins sets.

        What an operator changes with ``app.admin.limit`` stays until the declaration says something else.

        Args:
            queue, task, running, rate, burst: as in `longshore.admin.Admin.limit`.

        Raises:
            ConfigurationError: this queue or task has a declared limit already.
            InvalidValue: a number is not of the form that is needed.
        """
        subject = subject_of(queue, task)
        if subject in self.declared_limits:
            raise ConfigurationError(f"{subject.name!r} has a {subject.kind} already: declare it once")
        self.declared_limits[subject] = rule_of(running, rate, burst)

    def chore(self, *, every: Seconds, name: str | None = None) -> Callable[[F], F]:
        """Has a function run once in ``every`` seconds by one of all workers, never by two at once.

        Plain and ``async def`` functions without parameters. What it raises is logged; it runs again the next time, and
        so does one whose process died, after a lease at the earliest.

        Args:
            every: how long after it began it begins again, if it has ended by then.
            name: the function's own by default.

        Raises:
            ConfigurationError: a chore of this name is there already, or the function needs arguments.
        """

        def declare(function: F) -> F:
            chore = chore_of(function, every, name)
            if chore.name in self.chores:
                raise ConfigurationError(f"a chore named {chore.name!r} is there already: give name= to one of the two")
            self.chores[chore.name] = chore
            return function

        return declare
