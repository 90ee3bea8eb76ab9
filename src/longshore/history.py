"""What was done in each hour of the last day: counted by the workers, kept longer than the jobs themselves.

Each worker writes a record of its own for each hour, so that no two ever contend, and writes the whole count each time,
so that a repeat is harmless. A worker that dies takes what it did since its last heartbeat with it.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from datetime import datetime
from typing import Final, Protocol

import msgspec
from msgspec import Struct

from longshore.contract import SECOND, Instant, Record, Write
from longshore.durations import moment
from longshore.guard import Guard

_log = logging.getLogger("longshore")
KIND: Final = "hour"
HOURS: Final = 24
_HOUR: Final = 3_600 * SECOND
_KEPT: Final = 48 * _HOUR
_PAGE: Final = 1_000


class Counts(Struct, frozen=True):
    """How many runs ended how: as the last one of their job, or to run again."""

    succeeded: int = 0
    failed: int = 0
    cancelled: int = 0
    again: int = 0

    def plus(self, other: Counts) -> Counts:
        """Both together."""
        return Counts(
            self.succeeded + other.succeeded,
            self.failed + other.failed,
            self.cancelled + other.cancelled,
            self.again + other.again,
        )

    def minus(self, other: Counts) -> Counts:
        """What came since the other was taken."""
        return self.plus(Counts(-other.succeeded, -other.failed, -other.cancelled, -other.again))


class Hour(Struct, frozen=True):
    """What was done in an hour that began at ``start``, in UTC."""

    start: datetime
    succeeded: int = 0
    failed: int = 0
    cancelled: int = 0
    again: int = 0


class Counted(Protocol):
    """What a worker has done since it began."""

    succeeded: int
    failed: int
    cancelled: int
    again: int


class HourLog:
    """Writes what one worker does; used by one thread at a time."""

    def __init__(self, worker: str, counted: Counted) -> None:
        self._worker = worker
        self._counted = counted
        self._written = Counts()
        self._hour = -1
        self._in_hour = Counts()

    def write(self, store: Guard) -> None:
        """Writes what was done since the last time; nothing if nothing was."""
        counted = self._counted
        seen = Counts(counted.succeeded, counted.failed, counted.cancelled, counted.again)
        if seen == self._written:
            return
        hour = store.now() // _HOUR
        before = self._in_hour if hour == self._hour else Counts()
        in_hour = before.plus(seen.minus(self._written))
        store.write([Write(KIND, f"{hour}:{self._worker}", msgspec.json.encode(in_hour), lifetime=_KEPT)])
        self._hour, self._in_hour, self._written = hour, in_hour, seen


def last_hours(store: Guard) -> tuple[Hour, ...]:
    """The last 24 hours of the clock, oldest first; the last is the one that is not over."""
    current = store.now() // _HOUR
    first = current - HOURS + 1
    found = dict.fromkeys(range(first, current + 1), Counts())
    for record in _records(store, first):
        hour = int(record.key.partition(":")[0])
        if hour in found:
            found[hour] = found[hour].plus(_counts_of(record))
    return tuple(_hour(hour * _HOUR, counts) for hour, counts in found.items())


def _records(store: Guard, first: int) -> Iterator[Record]:
    after = f"{first}:"
    while page := store.read(KIND, after=after, limit=_PAGE):
        yield from page
        after = page[-1].key


def _counts_of(record: Record) -> Counts:
    try:
        return msgspec.json.decode(record.value, type=Counts)
    except (msgspec.MsgspecError, ValueError) as error:
        _log.warning("the record of hour %s cannot be read: %s", record.key, error)
        return Counts()


def _hour(start: Instant, counts: Counts) -> Hour:
    return Hour(start=moment(start), **msgspec.structs.asdict(counts))
