"""Lengths of time: what people write, and whole microseconds."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from typing import TypeAlias

from longshore.contract import Duration, Instant
from longshore.errors import InvalidValue

Seconds: TypeAlias = float | timedelta
"""What every public argument for a length of time takes."""

LONGEST_YEARS = 1_000
"""No length is longer, so that every moment that comes of one is in the calendar and fits into 64 bits."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def microseconds(length: Seconds, *, name: str = "duration") -> Duration:
    """A length of time in whole microseconds.

    Raises:
        InvalidValue: it is negative, not finite, longer than 1000 years, or not a number.
    """
    value: object = length.total_seconds() if isinstance(length, timedelta) else length
    if not isinstance(value, int | float) or isinstance(value, bool) or not 0 <= value < math.inf:
        raise InvalidValue(f"{name} must be a number of seconds or a timedelta, not negative; it is {length!r}")
    if value > LONGEST_YEARS * 365 * 86_400:
        raise InvalidValue(f"{name} must be at most {LONGEST_YEARS} years; it is {length!r}")
    return round(value * 1_000_000)


def instant(moment: datetime, *, name: str = "time") -> Instant:
    """A moment in microseconds since 1970.

    Raises:
        InvalidValue: it is none, or has no time zone.
    """
    if not isinstance(moment, datetime):
        raise InvalidValue(f"{name} must be a datetime; it is {moment!r}")
    if moment.tzinfo is None:
        raise InvalidValue(f"{name} must have a time zone, for example datetime.now(UTC); it is {moment!r}")
    return (moment - _EPOCH) // timedelta(microseconds=1)


def moment(instant: Instant) -> datetime:
    """An instant as people read it, in UTC."""
    return _EPOCH + timedelta(microseconds=instant)


def moment_or_none(instant: Instant | None) -> datetime | None:
    """The same, of an instant that may not have come."""
    return None if instant is None else moment(instant)
