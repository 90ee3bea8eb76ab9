"""Which records belong to a store, and go with its jobs, and which to processes that live, and stay."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator
from typing import Final

import msgspec
from msgspec.structs import replace

from longshore import history, holders, motion, totals
from longshore.contract import Instant, Record, Write
from longshore.following import CALLED, SEALED
from longshore.guard import Guard
from longshore.limits import pauses, stored
from longshore.locks import record as locks
from longshore.remote import messages
from longshore.schedules import stored as schedules
from longshore.telling import stored as telling
from longshore.worker import rota

COPIED_SCHEDULE: Final = "copied schedule"
"""The kind under which schedules stand in a copy until it is released."""
RULES: Final = (pauses.KIND, *stored.KINDS, schedules.KIND)
"""They must be there before the first job is."""
REST: Final = (SEALED, CALLED, locks.KIND, telling.KIND, history.KIND, totals.KIND, rota.KIND, COPIED_SCHEDULE)
STAYING: Final = (
    *(holders.KIND, messages.MESSAGE, messages.ANSWER, "chore", "sweep"),
    *(motion.KIND, motion.NAME_KIND, "mover"),
)
"""They belong to processes that live, or to the store itself."""
_PAGE: Final = 100


def each(store: Guard, kinds: tuple[str, ...]) -> Iterator[list[Record]]:
    """The records of these kinds, page by page."""
    for kind in kinds:
        after: str | None = None
        while page := store.read(kind, limit=_PAGE, after=after):
            yield page
            after = page[-1].key


def sent(record: Record, now: Instant, *, version: int | None) -> Write | None:
    """The write by which a record arrives elsewhere; None for one whose time is over.

    Args:
        now: the time at the source.
        version: as of `Write`: None replaces what is there, 0 leaves it.
    """
    lifetime = None if record.expires is None else record.expires - now
    if lifetime is not None and lifetime <= 0:
        return None
    return Write(record.kind, record.key, _lasting(record), version, lifetime)


def copy_rules(source: Guard, destination: Guard, *, schedules_as: str = schedules.KIND) -> int:
    """Writes schedules, pauses and limits as they are at the source, over those that are there; gives how many."""
    number = 0
    for page in each(source, RULES):
        number += _write(source, destination, [_as(record, schedules_as) for record in page], version=None)
    destination.wake([schedules.TOPIC, pauses.RULES_TOPIC])
    return number


def copy_rest(source: Guard, destination: Guard) -> int:
    """Writes the other records where there are none; gives how many there were."""
    return sum(_write(source, destination, page, version=0) for page in each(source, REST))


def move_rest(source: Guard, destination: Guard) -> int:
    """The same, and erases at the source what has arrived, rules too; gives how many there were."""
    number = 0
    for page in each(source, REST):
        _add_totals(destination, page)
        number += _write(source, destination, page, version=0)
        source.write([Write(record.kind, record.key, None, record.version) for record in page])
    for page in each(source, RULES):
        source.write([Write(record.kind, record.key, None, record.version) for record in page])
    return number


def release_schedules(store: Guard) -> int:
    """Puts the schedules of a copy in their place; gives how many."""
    number = 0
    while page := store.read(COPIED_SCHEDULE, limit=_PAGE):
        store.write([Write(schedules.KIND, record.key, record.value) for record in page])
        store.write([Write(record.kind, record.key, None) for record in page])
        number += len(page)
    store.wake([schedules.TOPIC])
    return number


def _as(record: Record, schedules_as: str) -> Record:
    return replace(record, kind=schedules_as) if record.kind == schedules.KIND else record


def _write(source: Guard, destination: Guard, page: list[Record], *, version: int | None) -> int:
    now = source.now()
    writes = [write for record in page if (write := sent(record, now, version=version)) is not None]
    destination.write(writes)
    return len(writes)


def _lasting(record: Record) -> bytes:
    """What a record says without what it says of living processes."""
    if record.kind not in stored.KINDS:
        return record.value
    return msgspec.json.encode(replace(stored.decoded(record.value), shares={}, waiting=()))


_TOGETHER: Final[dict[str, Callable[[int, int], int]]] = {totals.FIRST_USE: min, totals.REMOVED: operator.add}
"""How the numbers of two stores become one."""


def _add_totals(destination: Guard, page: list[Record]) -> None:
    """A number that is there already becomes that of both."""
    for record in page:
        there = destination.read(record.kind, [record.key]) if record.kind == totals.KIND else []
        if there:
            number = _TOGETHER[record.key](int(there[0].value), int(record.value))
            destination.write([Write(record.kind, record.key, str(number).encode(), there[0].version)])
