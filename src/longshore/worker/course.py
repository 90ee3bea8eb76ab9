"""Whether a worker goes on."""

from __future__ import annotations

import math
from collections.abc import Callable


class Course:
    """A worker works, is paused, drains, or drains to be replaced. Set by any thread, read by its courier.

    Args:
        grace: seconds that interrupted runs may take to end.
        monotonic: the process's own clock, in seconds.
    """

    def __init__(self, grace: float, monotonic: Callable[[], float]) -> None:
        self.retired: str | None = None
        self.is_paused = False
        self.until_empty = False
        self._grace = grace
        self._monotonic = monotonic
        self._drain_until: float | None = None

    @property
    def is_draining(self) -> bool:
        """Whether it was told to end."""
        return self._drain_until is not None

    @property
    def takes_jobs(self) -> bool:
        """Whether it claims, and lets begin what it has claimed."""
        return self._drain_until is None and not self.is_paused

    @property
    def status(self) -> str:
        """What it does, in a word."""
        if self.is_draining:
            return "stopping" if self.retired is None else "retiring"
        return "paused" if self.is_paused else "working"

    def drain(self, seconds: float) -> None:
        """What runs may go on for so long, at most; an earlier end stays."""
        until = self._monotonic() + seconds
        self._drain_until = until if self._drain_until is None else min(until, self._drain_until)

    def retire(self, reason: str) -> None:
        """It ends when what runs has ended, whenever that is, to be replaced by a new process."""
        self.retired = reason
        self.drain(math.inf)

    def is_over(self, *, grace: float = 0.0) -> bool:
        """Whether it drains, and the time for that is over, and this share of the grace time too."""
        return self._drain_until is not None and self._monotonic() >= self._drain_until + grace * self._grace

    def next(self, now: float) -> float:
        """When to look again, while it drains."""
        if self._drain_until is None:
            return math.inf
        return self._drain_until if now < self._drain_until else now + self._grace / 4
