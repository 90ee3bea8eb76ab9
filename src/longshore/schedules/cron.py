"""Cron expressions: five fields, in a time zone whose clocks may change (docs/decisions/0004-cron-is-ours.md)."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator
from datetime import UTC, date, datetime, time, timedelta
from itertools import islice
from typing import TYPE_CHECKING, Final

from msgspec import Struct

from longshore.contract import SECOND, Instant
from longshore.durations import instant, moment
from longshore.errors import InvalidValue

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

_DAY: Final = timedelta(days=1)
_LONGEST_SEARCH: Final = 5 * 366
"""Days after which the search for the next time ends."""
_MONTHS: Final = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_WEEKDAYS: Final = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_NICKNAMES: Final = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}


class _Field(Struct, frozen=True):
    name: str
    lowest: int
    highest: int
    words: tuple[str, ...] = ()

    def values(self, text: str) -> frozenset[int]:
        """All that a field's text names."""
        return frozenset(value for part in text.split(",") for value in self._values_of(part))

    def _values_of(self, part: str) -> range:
        span, slash, step = part.partition("/")
        lowest, dash, highest = span.partition("-")
        if span == "*":
            first, last = self.lowest, self.highest
        else:
            first = self._value(lowest)
            last = self._value(highest) if dash else first
        if first > last:
            raise InvalidValue(f"the {self.name} field has {span!r}, which ends before it begins")
        return range(first, last + 1, self._step(step) if slash else 1)

    def _value(self, text: str) -> int:
        if text.lower() in self.words:
            return self.words.index(text.lower()) + self.lowest
        value = _number(text)
        if value is None:
            names = f" or one of {', '.join(self.words)}" if self.words else ""
            raise InvalidValue(f"the {self.name} field takes numbers{names}; it has {text!r}")
        if not self.lowest <= value <= self.highest:
            raise InvalidValue(f"the {self.name} field takes {self.lowest} to {self.highest}; it has {text}")
        return value

    def _step(self, text: str) -> int:
        step = _number(text)
        if not step:
            raise InvalidValue(f"a step in the {self.name} field must be a number, at least 1; it is {text!r}")
        return step


def _number(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else None


_FIELDS: Final = (
    _Field("minute", 0, 59),
    _Field("hour", 0, 23),
    _Field("day-of-month", 1, 31),
    _Field("month", 1, 12, _MONTHS),
    _Field("day-of-week", 0, 7, _WEEKDAYS),
)


class Cron(Struct, frozen=True, tag="cron"):
    """The times that a cron expression names, on the clocks of a time zone.

    Five fields: minute, hour, day of the month, month, day of the week (0 and 7 are Sunday); ``*``, numbers, names in
    any case, ranges, steps on ranges and on ``*``, and lists of those; or one of ``@yearly``, ``@annually``,
    ``@monthly``, ``@weekly``, ``@daily``, ``@midnight``, ``@hourly``. Where neither day field is ``*``, a day counts
    that fits either.

    A time of day that does not exist is taken at the end of the gap, one that comes twice is taken the first time. Only
    an expression for every hour goes by hours that pass: it leaves none out, and ticks in both hours of one name.

    Raises:
        InvalidValue: the expression cannot be read, or never comes; or the zone is not known.
    """

    expression: str
    zone: str = "UTC"

    def __post_init__(self) -> None:
        self.after(0)

    def after(self, now: Instant) -> Instant:
        """The first time that is strictly later.

        Raises:
            InvalidValue: there is none within five years.
        """
        zone, times = _zone(self.zone), _times(self.expression)
        begin = moment(now).astimezone(zone).date()
        for day in islice(_days(begin, _DAY), _LONGEST_SEARCH):
            for each in times.on(day, zone):
                if each > now:
                    return each
        raise InvalidValue(f"the cron expression {self.expression!r} names no time within five years")

    def between(self, first: Instant, last: Instant, most: int) -> list[Instant]:
        """The times from ``first`` to ``last``, both included, in order; of many, the last ``most``."""
        zone, times = _zone(self.zone), _times(self.expression)
        begin, end = (moment(each).astimezone(zone).date() for each in (first, last))
        back = islice(_days(end, -_DAY), (end - begin).days + 1)
        found = (each for day in back for each in reversed(times.on(day, zone)) if first <= each <= last)
        return sorted(islice(found, most))


class _Times(Struct, frozen=True):
    """The values of the five fields, in order."""

    minutes: tuple[int, ...]
    hours: tuple[int, ...]
    days: frozenset[int]
    months: frozenset[int]
    weekdays: frozenset[int]
    either_day: bool

    def on(self, day: date, zone: ZoneInfo) -> list[Instant]:
        """The times of one day, in order."""
        if not self._is_day(day):
            return []
        midnight, next_midnight = (datetime.combine(each, time(), zone) for each in (day, day + _DAY))
        if midnight.utcoffset() == next_midnight.utcoffset():
            begin = instant(midnight)
            return [begin + (hour * 60 + minute) * 60 * SECOND for hour in self.hours for minute in self.minutes]
        walls = (midnight.replace(hour=hour, minute=minute) for hour in self.hours for minute in self.minutes)
        return sorted({each for wall in walls for each in self._moments(wall, zone)})

    def _is_day(self, day: date) -> bool:
        of_month, of_week = day.day in self.days, day.isoweekday() % 7 in self.weekdays
        return day.month in self.months and (of_month or of_week if self.either_day else of_month and of_week)

    def _moments(self, wall: datetime, zone: ZoneInfo) -> Iterable[Instant]:
        """When the clocks show this: once, and on the day of a change perhaps never, or twice."""
        second = wall.replace(fold=1)
        before, after = _offset(wall), _offset(second)
        goes_by_hours = len(self.hours) == 24
        if before < after:
            return () if goes_by_hours else (_end_of_gap(wall, zone),)
        return (instant(wall), instant(second)) if goes_by_hours else (instant(wall),)


def _times(expression: str) -> _Times:
    """What an expression says.

    Raises:
        InvalidValue: it cannot be read.
    """
    if expression.startswith("@") and expression not in _NICKNAMES:
        raise InvalidValue(f"expected one of {', '.join(_NICKNAMES)}, or five fields; it is {expression!r}")
    texts = _NICKNAMES.get(expression, expression).split()
    if len(texts) != len(_FIELDS):
        raise InvalidValue(f"a cron expression has five fields, as '30 3 * * mon-fri'; {expression!r} has {len(texts)}")
    try:
        minutes, hours, days, months, weekdays = (
            field.values(text) for field, text in zip(_FIELDS, texts, strict=True)
        )
    except InvalidValue as error:
        raise InvalidValue(f"the cron expression {expression!r} cannot be read: {error}") from None
    return _Times(
        tuple(sorted(minutes)),
        tuple(sorted(hours)),
        days,
        months,
        frozenset(weekday % 7 for weekday in weekdays),
        either_day="*" not in (texts[2], texts[4]),
    )


def _zone(name: str) -> ZoneInfo:
    # Only where there are schedules.
    from zoneinfo import ZoneInfo

    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        raise InvalidValue(
            f"expected a time zone as Europe/Berlin; {name!r} is not known here. If the system has no zones, install "
            "the package tzdata"
        ) from None


def _days(begin: date, step: timedelta) -> Iterator[date]:
    while True:
        yield begin
        begin += step


def _offset(wall: datetime) -> timedelta:
    return wall.utcoffset() or timedelta()


def _end_of_gap(wall: datetime, zone: ZoneInfo) -> Instant:
    """The first moment after a change of clocks that leaves a time out."""
    # Read with the offset that comes, it is before the change; read with the one that was, after it.
    changed = _offset(wall.replace(fold=1))
    early, late = (instant(wall.replace(fold=fold)) // SECOND for fold in (1, 0))
    seconds = range(early, late + 1)
    at = bisect_left(
        seconds, True, key=lambda second: _offset(datetime.fromtimestamp(second, UTC).astimezone(zone)) == changed
    )
    return seconds[at] * SECOND
