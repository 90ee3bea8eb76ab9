"""A claimed job on its way through a worker."""

from __future__ import annotations

import time
from typing import Protocol

from longshore.contract import Change, StoredJob
from longshore.worker.performing import Interrupted


class Place(Protocol):
    """Where a run is on: a thread, or the event loop."""

    def interrupt(self, run: Run, reason: type[Interrupted]) -> None:
        """Raises ``reason`` inside the run, if it is still on."""


class Report(Protocol):
    """Who is told that a run has ended."""

    def __call__(self, run: Run, change: Change | None, seconds: float, /) -> None:
        """``change`` settles it; None if it was interrupted without one. It was on for so many seconds."""


class Run:
    """A claimed job on its way through a worker; ``taken`` and ``began`` are by the process's own clock.

    One that ``on_loop`` runs on the event loop, one ``apart`` in a process of its own, another in a thread; ``timeout``
    is how many seconds it may be on.
    """

    __slots__ = ("apart", "began", "job", "on_loop", "place", "reason", "taken", "timeout")

    def __init__(
        self,
        job: StoredJob,
        taken: float,
        *,
        on_loop: bool = False,
        apart: bool = False,
        timeout: float | None = None,
    ) -> None:
        self.job = job
        self.taken = taken
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
