"""A claimed job on its way through a worker."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from typing import Protocol

from longshore.contract import Change, StoredJob
from longshore.worker.performing import Interrupted


class Place(Protocol):
    """Where a run is on: a thread, or the event loop."""

    def interrupt(self, run: Run, reason: type[Interrupted]) -> None:
        """Raises ``reason`` inside the run, if it is still on."""


class Side(Protocol):
    """The side of a worker that a run is of: it knows how its job is performed, and is told when it has ended."""

    @property
    def tasks(self) -> frozenset[str]:
        """The names of the tasks whose jobs it takes."""

    def run_of(self, job: StoredJob, taken: float) -> Run:
        """A run of a job that was claimed at a moment."""

    def perform(self, run: Run, over: Callable[[], None]) -> Change:
        """Runs the job in this thread, and calls ``over`` as soon as the task has ended: nothing may interrupt what
        then follows."""

    def perform_async(self, run: Run) -> Awaitable[Change]:
        """Runs the job on this event loop."""

    def perform_apart(self, run: Run) -> Change | None:
        """Runs the job in a process of its own."""

    def without_outcome(self, run: Run) -> Change:
        """The change that settles a run which was interrupted, and has no outcome."""

    def report(self, run: Run, change: Change | None, seconds: float, /) -> None:
        """A run has ended: ``change`` settles it; None if it was interrupted without one. It was on for so many
        seconds."""


class Run:
    """A claimed job on its way through a worker; ``taken`` and ``began`` are by the process's own clock.

    One that ``on_loop`` runs on the event loop, one ``apart`` in a process of its own, another in a thread; ``timeout``
    is how many seconds it may be on.
    """

    __slots__ = ("apart", "began", "job", "on_loop", "place", "reason", "side", "taken", "timeout")

    def __init__(
        self,
        job: StoredJob,
        taken: float,
        side: Side,
        *,
        on_loop: bool = False,
        apart: bool = False,
        timeout: float | None = None,
    ) -> None:
        self.job = job
        self.taken = taken
        self.side = side
        self.on_loop = on_loop
        self.apart = apart
        self.timeout = timeout
        self.began: float | None = None
        self.place: Place | None = None
        self.reason: type[Interrupted] | None = None

    def interrupt(self, reason: type[Interrupted]) -> None:
        """Raises ``reason`` inside the run, once only; a run that has not begun never will."""
        if self.reason is None:
            self.reason = reason
            if self.place is not None:
                self.place.interrupt(self, reason)

    def begin(self, place: Place, *, now: bool = True) -> bool:
        """Begins here, unless it was interrupted before; its time runs from now, or from `start_clock`."""
        if now:
            self.start_clock()
        self.place = place
        return self.reason is None

    def start_clock(self) -> None:
        """Its task begins to run."""
        self.began = time.monotonic()

    def seconds(self) -> float:
        """How long it has been on."""
        return 0.0 if self.began is None else time.monotonic() - self.began
