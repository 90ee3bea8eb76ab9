"""Whether a worker of one or several stores has nothing left to do (docs/design/several-stores.md)."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Protocol

from longshore.worker.course import Course
from longshore.worker.term import Term


class Waking(Protocol):
    """A side of a worker."""

    def ring(self) -> None:
        """Something has changed that concerns the whole worker."""


class Muster:
    """Each side says when it is idle and has found its store empty; all of them together are the worker's end.

    What runs or is called on one side may enqueue into the store of another. So each such event is counted, and a side
    has found its store empty if it looked after the last of them. Thread-safe.

    Args:
        over: called once, when all is over.
    """

    def __init__(self, term: Term, course: Course, over: Callable[[], None]) -> None:
        self.events = 0
        self._term = term
        self._course = course
        self._over = over
        self._lock = threading.Lock()
        self._idle: dict[Waking, int | None] = {}
        self._is_over = False

    @property
    def has_ended(self) -> bool:
        """Whether it was found that nothing is left."""
        return self._is_over

    def stirred(self) -> None:
        """A run or a hook has ended, which may have enqueued something somewhere."""
        with self._lock:
            self.events += 1

    def join(self, side: Waking) -> bool:
        """A side is not idle: it works from now on, or looks for jobs. False: it need not, all is over."""
        with self._lock:
            self._idle[side] = None
            return not self._is_over

    def leave(self, side: Waking, now: float) -> bool:
        """A side of which nobody knows whether there is something to do: its store does not answer, or it has ended.

        Tells whether all may end now without it.
        """
        with self._lock:
            self._idle.pop(side, None)
            return self._looked_over(now)

    def is_over(self, side: Waking, now: float, looked: int | None) -> bool:
        """Whether all may end now.

        Args:
            looked: how many events there had been when the side began the look at its store that found it empty; None:
                it has something to do, or has not looked.
        """
        with self._lock:
            # What has looked too early is to look again, and is not idle until it has.
            is_stale = self._course.until_empty and looked != self.events
            self._idle[side] = None if is_stale and now < self._term.idle_end() else looked
            return self._looked_over(now)

    def _looked_over(self, now: float) -> bool:
        if not self._is_over and self._all_idle(now):
            self._is_over = True
            self._over()
        elif self._course.until_empty:
            for side, looked in self._idle.items():
                if looked is not None and looked != self.events:
                    side.ring()
        return self._is_over

    def _all_idle(self, now: float) -> bool:
        if not self._idle or None in self._idle.values():
            return False
        if now >= self._term.idle_end():
            return True
        return self._course.until_empty and all(looked == self.events for looked in self._idle.values())
