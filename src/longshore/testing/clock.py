"""A store's clock that a test holds in its hand."""

from __future__ import annotations

from datetime import timedelta

from longshore.contract import SECOND, Instant
from longshore.durations import Seconds


class ManualClock:
    """Stands still until it is advanced; given to `Driver.connect`, it is the store's clock."""

    def __init__(self, start: Instant = 1_900_000_000 * SECOND) -> None:
        self._now = start

    def __call__(self) -> Instant:
        return self._now

    def advance(self, seconds: Seconds) -> None:
        """Lets time pass; less than nothing puts the clock back."""
        length = seconds if isinstance(seconds, timedelta) else timedelta(seconds=seconds)
        self._now += length // timedelta(microseconds=1)
