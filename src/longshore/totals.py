"""What is known of a store's whole life: when it was first used, and how many jobs were ever removed from it.

With the jobs that are there, those make the number of all that were ever enqueued. It is a rough one: whoever dies
between a removal and its being counted takes that number along.
"""

from __future__ import annotations

import logging
from typing import Final

from longshore.contract import Instant, Write
from longshore.errors import StoreError, Unavailable
from longshore.guard import Guard

KIND: Final = "total"
FIRST_USE: Final = "first use"
REMOVED: Final = "removed"
_TIMES: Final = 20
"""How often a count is tried to be raised that others raise at the same time."""
_log = logging.getLogger("longshore")


def note_first_use(store: Guard) -> None:
    """Remembers when the store was first used, if nobody has before; if that cannot be kept now, another time."""
    try:
        if not store.driver.read(KIND, [FIRST_USE]):
            store.driver.write([Write(KIND, FIRST_USE, str(store.now()).encode(), 0)])
    except Unavailable as error:
        _log.warning("when the store was first used is noted another time: %s", error)


def first_use(store: Guard) -> Instant | None:
    """When the store was first used by an application that migrates it; None: not yet."""
    return min((int(found[0].value) for part in store.parts if (found := part.read(KIND, [FIRST_USE]))), default=None)


def count_removed(store: Guard, number: int) -> None:
    """Counts jobs that were removed. Never raises: they are gone, whether they are counted or not."""
    try:
        if number and not _raised(store, number):
            _log.warning("%d jobs were removed and are not counted: too many others count at this moment", number)
    except StoreError as error:
        _log.warning("%d jobs were removed and may not be counted: %s", number, error)


def removed(store: Guard) -> int:
    """How many jobs were ever removed."""
    return sum(int(found[0].value) for part in store.parts if (found := part.read(KIND, [REMOVED])))


def _raised(store: Guard, number: int) -> bool:
    for _ in range(_TIMES):
        found = store.read(KIND, [REMOVED])
        before, version = (int(found[0].value), found[0].version) if found else (0, 0)
        if store.write([Write(KIND, REMOVED, str(before + number).encode(), version)])[0] is not None:
            return True
    return False
