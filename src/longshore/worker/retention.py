"""Removes jobs that ended long enough ago."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from typing import Final

from longshore.contract import ENDED, UNENDED, Order, State, Where
from longshore.durations import microseconds
from longshore.guard import Guard
from longshore.totals import count_removed
from longshore.worker.settings import WorkerSettings

_BATCH: Final = 500
_SECONDS: Final = 1.0
"""How long a round may take: the thread that does it renews a lease besides."""


class Retention:
    """Removes ended jobs, oldest first, but not those that others still need: parents of jobs that have not ended.

    A round goes on where the last one stopped, so that jobs which are kept hold up nobody behind them.
    """

    def __init__(self, settings: WorkerSettings) -> None:
        self._kept = (
            ((State.SUCCEEDED,), microseconds(settings.keep_succeeded)),
            (tuple(ENDED - {State.SUCCEEDED}), microseconds(settings.keep_ended)),
        )
        self._after: dict[tuple[State, ...], str | None] = {}

    def remove(self, store: Guard) -> int:
        """One round of a second at most; gives how many were removed."""
        ends = time.monotonic() + _SECONDS
        removed = sum(self._remove(store, states, age, ends) for states, age in self._kept)
        count_removed(store, removed)
        return removed

    def _remove(self, store: Guard, states: tuple[State, ...], age: int, ends: float) -> int:
        removed = 0
        while True:
            where = Where(states=states, ended=age)
            after = self._after.get(states)
            page = store.select(where, order=Order.OLDEST, limit=_BATCH, after=after, body=False)
            ids = [job.id for job in page.jobs]
            needed = needed_parents(store, ids)
            free = [identity for identity in ids if identity not in needed]
            if free:
                removed += len(store.delete(Where(ids=free, states=states), limit=len(free)))
            self._after[states] = page.after
            if page.after is None or time.monotonic() >= ends:
                return removed


def needed_parents(store: Guard, identities: Iterable[str]) -> set[str]:
    """Those of these jobs that a job which has not ended names as a parent."""
    asked: Sequence[str] = list(identities)
    needed: set[str] = set()
    after: str | None = None
    while asked:
        where = Where(parents=asked, states=tuple(UNENDED))
        page = store.select(where, order=Order.OLDEST, limit=_BATCH, after=after, body=False)
        found = {parent for job in page.jobs for parent in job.parents}.intersection(asked)
        needed |= found
        after = page.after
        if after is None:
            break
        # One that has a million children fills a page by itself: it is not asked for again.
        asked = [identity for identity in asked if identity not in found]
    return needed
