"""How jobs leave the store that they are moved from."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from typing import Final

from longshore.contract import (
    ENDED,
    EVERY,
    HELD,
    SECOND,
    UNENDED,
    Change,
    Order,
    Outcome,
    Page,
    State,
    StoredJob,
    Where,
    Write,
)
from longshore.guard import Guard
from longshore.moving.strides import Strides
from longshore.siding import MOVING

AT_WORK: Final = "mover"
ALIVE: Final = 15.0
"""Seconds for which a mover counts as being at work after a sign of life."""
_BEAT: Final = 5.0
_QUEUED: Final = (State.WAITING, State.PENDING)


class Departure:
    """Takes jobs, reads them, and removes those that have arrived elsewhere.

    Args:
        store: the source.
    """

    def __init__(self, store: Guard, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._store = store
        self._monotonic = monotonic
        self._strides = Strides()
        self._beat = float("-inf")

    def page(self, after: str | None) -> Page:
        """The jobs from there on, oldest first, as many at a time as memory should hold."""
        page = self._store.select(EVERY, order=Order.OLDEST, limit=self._strides.size, after=after)
        self._strides.weigh(page.jobs)
        return page

    def take(self, jobs: Sequence[StoredJob]) -> list[StoredJob]:
        """Puts jobs, as they were read, where nobody serves them; gives those that stand there now.

        A job that was changed since it was read is left for the next look.
        """
        taken = [job for job in jobs if MOVING.holds(job)]
        others = [job for job in jobs if not MOVING.holds(job)]
        answers = self._store.update([MOVING.taking(job) for job in others]) if others else []
        moved = [answer.outcome is Outcome.MOVED for answer in answers]
        return taken + [MOVING.aside(job) for job, is_here in zip(others, moved, strict=True) if is_here]

    def busy_keys(self, jobs: Sequence[StoredJob]) -> set[str]:
        """Keys of these jobs of which one is held: what waits behind it would run beside it elsewhere."""
        keys = list({job.key for job in jobs if job.key is not None and job.state in UNENDED})
        if not keys:
            return set()
        where = Where(keys=keys, states=tuple(HELD))
        found = self._store.select(where, limit=len(keys), each=1, body=False).jobs
        return {job.key for job in found if job.key is not None}

    def taken(self, ids: Sequence[str]) -> Iterator[list[StoredJob]]:
        """Those of these jobs that were taken, as they stand now, as many at a time as memory should hold."""
        for some in self._strides.of(ids):
            where = Where(ids=some, queues=(MOVING.name,))
            jobs = self._store.select(where, order=Order.OLDEST, limit=len(some)).jobs
            self._strides.weigh(jobs)
            yield jobs
            self.sign_of_life()

    def remove(self, jobs: Sequence[StoredJob]) -> list[str]:
        """Removes jobs that have arrived elsewhere, if they stand as they were read; gives the ids of those removed."""
        self._free_periods(jobs)
        gone: list[str] = []
        for states in (_QUEUED, tuple(ENDED)):
            if ids := [job.id for job in jobs if job.state in states]:
                where = Where(ids=ids, queues=(MOVING.name,), states=states)
                gone += self._store.delete(where, limit=len(ids))
        return gone

    def put_back(self, jobs: Sequence[StoredJob], removed: Sequence[str]) -> list[str]:
        """Which of these jobs somebody has put back into their queues, since they are neither removed nor taken."""
        ids = list({job.id for job in jobs}.difference(removed))
        found = self._store.select(Where(ids=ids), limit=len(ids), body=False).jobs if ids else []
        return [job.id for job in found if not MOVING.holds(job)]

    def sign_of_life(self) -> None:
        """Says once in a while that somebody is at work."""
        if self._monotonic() - self._beat >= _BEAT:
            self._store.write([Write(AT_WORK, AT_WORK, b"", lifetime=round(ALIVE * SECOND))])
            self._beat = self._monotonic()

    def _free_periods(self, jobs: Sequence[StoredJob]) -> None:
        """A job whose unique period still runs cannot be removed; at the destination it has its slot by now."""
        freeing = [
            Change(job.id, None, {"unique_held": False}, frozenset({job.state}), job.generation)
            for job in jobs
            if job.unique_held and job.unique_until is not None
        ]
        if freeing:
            self._store.update(freeing)


def is_at_work(store: Guard) -> bool:
    """Whether somebody moves the jobs of this store at this moment."""
    return bool(store.read(AT_WORK, [AT_WORK]))
