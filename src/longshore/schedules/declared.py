"""Schedules that an application declares in its code, and how they come into the store."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import Any, Final, TypeVar, overload

from msgspec.structs import replace

from longshore.calls.call import Call
from longshore.durations import Seconds
from longshore.errors import ConfigurationError
from longshore.guard import Guard
from longshore.schedules.stored import (
    Missed,
    Schedule,
    When,
    announce,
    check_name,
    read_each,
    schedule_of,
)
from longshore.tasks import Task

R = TypeVar("R")
GRACE: Final = 60.0
CATCH_UP: Final = 100


class Scheduling(ABC):
    """The part of an application that declares schedules.

    Attributes:
        schedules: what is declared, by name.
    """

    schedules: dict[str, Schedule]

    @abstractmethod
    def admit(self, call: Call[Any]) -> Call[Any]:
        """The call as the application's hooks leave it."""

    @overload
    def schedule(
        self,
        when: str | When,
        /,
        *,
        name: str | None = None,
        missed: Missed = "once",
        grace: Seconds = GRACE,
        most: int = CATCH_UP,
    ) -> Callable[[Task[[], R]], Task[[], R]]: ...
    @overload
    def schedule(
        self,
        name: str,
        when: str | When,
        call: Call[Any],
        /,
        *,
        missed: Missed = "once",
        grace: Seconds = GRACE,
        most: int = CATCH_UP,
    ) -> None: ...
    def schedule(
        self, first: Any, when: Any = None, call: Any = None, /, *, name: str | None = None, **rule: Any
    ) -> Any:
        """Declares a schedule: ``@app.schedule("0 3 * * *")`` above a task without arguments, or
        ``app.schedule("name", "0 3 * * *", task.call(…))``.

        Workers write it into the store when they start, if the declaration is another than the one that is there; what
        operators changed stays until then.

        Args:
            when: a cron expression in UTC, a `Cron` with a time zone, or an `Every`.
            name: of the schedule; that of the task by default.
            call: what each tick enqueues.
            missed: what becomes of ticks that nobody was there for: ``"once"`` one job, for the last, ``"skip"``
                none, ``"all"`` one each.
            grace: how late a tick may still be made, where missed ones are skipped.
            most: how many, at most, are made up for at once; the last of them.

        Raises:
            ConfigurationError: a schedule of this name is declared already.
            InvalidValue: something is not of the form that is needed.
        """
        if call is not None:
            return self._declare(first, when, call, **rule)

        def declare(task: Task[[], R]) -> Task[[], R]:
            self._declare(task.name if name is None else name, first, task.call(), **rule)
            return task

        return declare

    def _declare(
        self,
        name: str,
        when: str | When,
        call: Call[Any],
        *,
        missed: Missed = "once",
        grace: Seconds = GRACE,
        most: int = CATCH_UP,
    ) -> None:
        check_name(name)
        if name in self.schedules:
            raise ConfigurationError(f"a schedule named {name!r} is declared already: give name= to one of the two")
        declared = schedule_of(when, call, missed=missed, grace=grace, most=most)
        # Hooks may put in what is another each time: they are no part of what is declared.
        schedule = schedule_of(when, self.admit(call), missed=missed, grace=grace, most=most)
        self.schedules[name] = replace(schedule, declaration=declared.digest())


def write_declared(store: Guard, declared: Mapping[str, Schedule]) -> None:
    """Writes those whose declaration is another than the one that is stored."""
    names = list(declared)
    while names:
        now = store.now()
        new = [
            (stored, declared[stored.name].in_place_of(stored.schedule, now))
            for stored in read_each(store, names)
            if stored.schedule is None or stored.schedule.declaration != declared[stored.name].declaration
        ]
        versions = store.write([stored.write(schedule) for stored, schedule in new]) if new else []
        names = [stored.name for (stored, _), version in zip(new, versions, strict=True) if version is None]
        if new:
            announce(store)
