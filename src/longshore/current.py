"""The run that code is in."""

from __future__ import annotations

from contextvars import ContextVar
from typing import Final, Protocol


class Running(Protocol):
    """A run, to those who only need to know that they are in one."""

    def is_of(self, app: object) -> bool:
        """Whether it is a task of this application that runs."""

    @property
    def run(self) -> tuple[str, int, str]:
        """What names this run and no other: the job's id, its generation, and who holds it."""


CURRENT: Final[ContextVar[Running | None]] = ContextVar("longshore.current", default=None)
"""Set by the `longshore.Context` of a run, for as long as its task runs; None outside of tasks."""


def is_in_task_of(app: object) -> bool:
    """Whether this code is in a task of the application."""
    running = CURRENT.get()
    return running is not None and running.is_of(app)
