"""Time limits of runs."""

from __future__ import annotations

from longshore.worker.performing import TimedOut
from longshore.worker.runs import Run


class Deadlines:
    """Interrupts runs that take longer than their task may, and says which of them go on all the same.

    Args:
        grace: seconds that an interrupted run may take to end.
    """

    def __init__(self, grace: float) -> None:
        self._grace = grace
        self._runs: set[Run] = set()

    def add(self, run: Run) -> None:
        """A run was lined up; its time begins when it does."""
        if run.timeout is not None:
            self._runs.add(run)

    def remove(self, run: Run) -> None:
        """It is not on any more."""
        self._runs.discard(run)

    def next(self, now: float) -> float:
        """When to look again; infinity if no run has a limit."""
        return min((self._next_of(run, now) for run in self._runs), default=float("inf"))

    def stuck(self, now: float) -> list[Run]:
        """Interrupts those whose time is over; gives those, once each, that were interrupted and have not ended."""
        stuck = []
        for run in list(self._runs):
            over = now - self._end(run, now)
            if over >= 0:
                run.interrupt(TimedOut)
            if over >= self._grace and not run.apart:  # That one is killed where it is.
                self._runs.discard(run)
                stuck.append(run)
        return stuck

    def _next_of(self, run: Run, now: float) -> float:
        end = self._end(run, now)
        return end if now < end else end + self._grace if not run.apart else float("inf")

    def _end(self, run: Run, now: float) -> float:
        # One that waits for a slot begins now at the earliest, so it is looked at in time.
        return (now if run.began is None else run.began) + (run.timeout or 0.0)
