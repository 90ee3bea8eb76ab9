"""Intervals."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

from msgspec import Struct

from longshore.contract import SECOND, Duration, Instant
from longshore.durations import Seconds, instant, microseconds
from longshore.errors import InvalidValue

_SHORTEST: Final = SECOND // 10
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class Every(Struct, frozen=True, tag="every"):
    """A moment and all that are whole intervals away from it, so that nothing drifts, whoever starts when.

    Attributes:
        interval: a tenth of a second at least.
        anchor: the moment, with a time zone; by default 1970 began then in UTC, so that 3600 is each full hour.

    Raises:
        InvalidValue: the interval is too short, or the anchor has no time zone.
    """

    interval: Seconds
    anchor: datetime = _EPOCH

    def __post_init__(self) -> None:
        if self._length() < _SHORTEST:
            raise InvalidValue(f"an interval must be at least a tenth of a second; it is {self.interval!r}")
        instant(self.anchor, name="anchor")

    def after(self, now: Instant) -> Instant:
        """The first moment that is strictly later."""
        anchor, length = instant(self.anchor), self._length()
        return anchor + ((now - anchor) // length + 1) * length

    def between(self, first: Instant, last: Instant, most: int) -> list[Instant]:
        """The moments from ``first`` to ``last``, both included, in order; of many, the last ``most``."""
        length = self._length()
        latest = self.after(last) - length
        number = min(most, (latest - first) // length + 1)
        return [latest - back * length for back in range(number - 1, -1, -1)]

    def _length(self) -> Duration:
        return microseconds(self.interval, name="interval")
