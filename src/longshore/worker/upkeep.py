"""Chores that keep a store in order; any worker does them, and no two at once."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from msgspec import Struct

from longshore.contract import Order, State, Where, Write
from longshore.durations import microseconds
from longshore.following import STEPS, ended, follow, mend
from longshore.following.sweep import sweep
from longshore.guard import Guard
from longshore.holders import lapsed_holders, rescue
from longshore.info import ended_topic
from longshore.limits.stored import lapsed_shares, strike_shares
from longshore.states import EXPIRE, move
from longshore.worker.retention import Retention
from longshore.worker.settings import WorkerSettings

if TYPE_CHECKING:
    from longshore.holders import Lease

_log = logging.getLogger("longshore.upkeep")
_BATCH = 500
MEND_SECONDS = 4.0
"""How often it is looked whether something did not follow from an end: so it does within five seconds."""
_SWEEP_SHARE = 20
"""A sweep takes at most one of so many parts of the time."""


class Chore(Struct, frozen=True):
    """Something to be done once in a while by one of all workers."""

    name: str
    every: float
    work: Callable[[Guard], int]


class Upkeep:
    """Does the chores that are due and that nobody else has begun.

    Each has a record that lives for the chore's interval: who creates it does this round. One who dies while at it
    leaves the rest to the next round.

    Args:
        homes: gives the stores in which holders of this one may have tokens of limits; it alone by default.
    """

    def __init__(self, lease: Lease, settings: WorkerSettings, *, homes: Callable[[], Sequence[Guard]] = tuple) -> None:
        self._lease = lease
        self._homes = homes
        self._settings = settings
        minute = 4 * settings.heartbeat
        self._chores = (
            Chore("expire", minute, expire_overdue),
            Chore("remove ended", minute, Retention(settings).remove),
        )
        self._sweep_every = MEND_SECONDS

    def work(self, store: Guard, *, may_rescue: Callable[[], bool]) -> None:
        """One bounded batch of each chore; ``may_rescue`` looks at the store's clock and judges by it."""
        if may_rescue():
            self._rescue(store, may_rescue)
        for chore in self._chores:
            if self._wins(store, chore.name, chore.every):
                chore.work(store)

    def mend(self, store: Guard) -> None:
        """Does what did not follow from ends because whoever made them, or stored jobs that wait, has died."""
        mend(store)
        if self._wins(store, "sweep", self._sweep_every):
            began = time.monotonic()
            sweep(store)
            self._sweep_every = max(MEND_SECONDS, _SWEEP_SHARE * (time.monotonic() - began))

    def _wins(self, store: Guard, name: str, every: float) -> bool:
        mine = Write("chore", name, self._lease.worker.encode(), 0, microseconds(every))
        return store.write([mine])[0] is not None

    def _rescue(self, store: Guard, may_rescue: Callable[[], bool]) -> None:
        homes = self._homes() or (store,)
        tokens = lapsed_shares(store, homes, self._lease.mark)
        lapsed = sorted({*lapsed_holders(store), *tokens})
        # Asked again: if the clock has jumped meanwhile, it made the living look dead.
        for holder in lapsed if lapsed and may_rescue() else ():
            done = rescue(store, holder, by=self._lease.worker, lease=microseconds(self._settings.lease))
            if done is not None:
                _log.warning("rescued the jobs of %s: %d run again, %d ended", holder, done.pending, done.ended)
                if holder in tokens:
                    for home in homes:
                        strike_shares(home, [holder])


def expire_overdue(store: Guard) -> int:
    """Ends jobs that were not begun in time and that no claim has met."""
    queued = (State.WAITING, State.PENDING)
    jobs = store.select(Where(states=queued, expired=0), order=Order.OLDEST, limit=_BATCH, body=False).jobs
    if jobs:
        answers = store.update([move(EXPIRE, job) for job in jobs])
        store.wake([ended_topic(job.id) for job in jobs if job.awaited])
        follow(store, map(ended, jobs, answers), most=STEPS)
    return len(jobs)
