"""Makes the jobs of schedules when their time comes; part of the heartbeat's thread."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Final

from longshore.contract import SECOND, Instant, Record
from longshore.errors import Corrupt, PartialInsert, StoreError, StoreMoved
from longshore.guard import Guard
from longshore.schedules.stored import KIND, Stored, records, stored_of
from longshore.schedules.ticking import tick

_log = logging.getLogger("longshore.schedules")
_NEVER: Final = float("inf")
_AGAIN: Final = 1.0
_MOST_AT_ONCE: Final = 500


class Clockwork:
    """Knows when the next tick of any schedule is, and makes its job then.

    The store's clock decides. The process's own only measures how long it is until then.
    """

    def __init__(self, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._due = _NEVER
        self._nexts: dict[str, Instant] = {}
        self._looked = (0.0, 0)
        self._is_stale = True
        self._is_known = False

    @property
    def due(self) -> float:
        """When there is something to do, by the process's own clock."""
        return 0.0 if self._is_stale else self._due

    def look_afresh(self) -> None:
        """There may be schedules that it does not know. May be called by any thread."""
        self._is_stale = True

    def work(self, store: Guard) -> None:
        """Does what is due. What goes wrong here is done later, and disturbs nobody else."""
        try:
            self._work(store)
        except StoreMoved:
            self._due = _NEVER  # Workers of the other store make the jobs from now on.
        except (StoreError, PartialInsert) as error:
            _log.warning("schedules tick later: %s", error)
            self._due = self._monotonic() + _AGAIN
        except Exception:  # noqa: BLE001 - the heartbeat goes on
            _log.exception("schedules tick later")
            self._due = self._monotonic() + _AGAIN

    def _work(self, store: Guard) -> None:
        afresh = self._is_stale or not self._is_known
        # Until this has gone well.
        self._is_stale = self._is_known = False
        names = self._expected()
        seen = [*_readable(records(store) if afresh else store.read(KIND, names))]
        nexts = {} if afresh else {name: due for name, due in self._nexts.items() if name not in names}
        # Without schedules, this was one call.
        self._nexts = self._ticked(store, seen, nexts) if seen or nexts else {}
        self._due = self._next_due()
        self._is_known = True

    def _ticked(self, store: Guard, seen: Sequence[Stored], nexts: dict[str, Instant]) -> dict[str, Instant]:
        now = store.now()
        self._looked = (self._monotonic(), now)
        standing = tick(store, seen, now)
        return nexts | {name: schedule.next for name, schedule in standing.items() if schedule.next is not None}

    def _next_due(self) -> float:
        monotonic, now = self._looked
        return monotonic + (min(self._nexts.values()) - now) / SECOND if self._nexts else _NEVER

    def _expected(self) -> list[str]:
        """Whose next tick should have come, by what is known of the store's clock."""
        monotonic, now = self._looked
        now += round((self._monotonic() - monotonic) * SECOND)
        return sorted(name for name, due in self._nexts.items() if due <= now)[:_MOST_AT_ONCE]


def _readable(found: Iterable[Record]) -> Iterator[Stored]:
    for record in found:
        try:
            yield stored_of(record)
        except Corrupt as error:
            _log.error("a schedule does not tick: %s", error)
