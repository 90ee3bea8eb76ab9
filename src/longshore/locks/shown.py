"""What operators see of locks, and do to them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Final

import msgspec
from msgspec import Struct

from longshore.contract import Record
from longshore.durations import moment, moment_or_none
from longshore.guard import Guard
from longshore.locks.record import KIND, Hold, LockRecord, call_in, living, look, put, runs_on

_PAGE: Final = 500


class HoldInfo(Struct, frozen=True, kw_only=True):
    """One who is inside."""

    owner: str
    """Host, process and a random part."""
    since: datetime
    until: datetime | None
    """When its lifetime is over; None: when the run is."""
    job: str | None
    """Whose run the hold is bound to."""


class LockInfo(Struct, frozen=True, kw_only=True):
    """A lock that is held or waited for."""

    name: str
    holds: tuple[HoldInfo, ...]
    waiting: int
    """How many wait for it."""


def shown_locks(store: Guard) -> tuple[LockInfo, ...]:
    """All locks that are held or waited for, by name."""
    return tuple(info for page in _pages(store) for info in _shown(store, page))


def free_lock(store: Guard, name: str, owner: str | None) -> bool:
    """Ends one hold: the owner's, or the one that would end first; whether there was one."""
    while True:
        seen = look(store, name)
        held = [hold for hold in seen.record.holds if owner in (None, hold.owner)]
        if not held:
            return False
        after = seen.record.without(min(held, key=_end).owner)
        if put(store, name, seen, after) is not None:
            call_in(store, name, after)
            return True


def _pages(store: Guard) -> Iterator[list[Record]]:
    after: str | None = None
    while page := store.read(KIND, limit=_PAGE, after=after):
        yield page
        after = page[-1].key


def _shown(store: Guard, page: list[Record]) -> Iterator[LockInfo]:
    records = [msgspec.json.decode(stored.value, type=LockRecord) for stored in page]
    runs, now = runs_on(store, records), store.now()
    for stored, record in zip(page, records, strict=True):
        left = living(record, now, runs)
        if left.holds or left.tickets:
            yield LockInfo(name=stored.key, holds=tuple(map(_info, left.holds)), waiting=len(left.tickets))


def _info(hold: Hold) -> HoldInfo:
    job = hold.run.job if hold.run else None
    return HoldInfo(owner=hold.owner, since=moment(hold.since), until=moment_or_none(hold.until), job=job)


def _end(hold: Hold) -> float:
    return float("inf") if hold.until is None else hold.until
