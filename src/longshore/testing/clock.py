"""A store's clock that a test holds in its hand."""

from __future__ import annotations

from longshore.contract import SECOND, Instant
from longshore.durations import Seconds, microseconds


class ManualClock:
    """Stands still until it is advanced; given to `Driver.connect`, it is the store's clock."""

    def __init__(self, start: Instant = 1_900_000_000 * SECOND) -> None:
        self._now = start

    def __call__(self) -> Instant:
        return self._now

    def advance(self, seconds: Seconds) -> None:
        """Lets time pass."""
        self._now += microseconds(seconds)
