"""How jobs that come from another store arrive in this one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Final

from msgspec.structs import replace

from longshore.contract import ENDED, HELD, Inserted, Insertion, Order, State, StoredJob, Where
from longshore.errors import PartialInsert
from longshore.following import look
from longshore.guard import Guard
from longshore.moving.comparing import compare

_BATCH: Final = 500
_QUEUED: Final = (State.WAITING, State.PENDING)


class Landing:
    """Inserts jobs as they stand, and looks after those that wait for others here.

    Args:
        store: the destination.
        verify: whether what arrived is read and compared.

    Attributes:
        jobs: how many have arrived, by state; those that were here before too.
        without_slot: the ids of those that arrived without their unique key or turn, since another job has it.
        conflicts: the ids under which another call is stored here.
    """

    def __init__(self, store: Guard, *, verify: bool = False) -> None:
        self.jobs: Counter[State] = Counter()
        self.without_slot: list[str] = []
        self.conflicts: set[str] = set()
        self._store = store
        self._verify = verify

    def land(self, jobs: Sequence[StoredJob]) -> list[StoredJob]:
        """Inserts jobs, and gives those that are safely here, perhaps from before.

        Raises:
            CopyDiffers: one is not as it was sent.
            StoreError: the store failed; the same may be landed again.
        """
        arrived, repeated = self._insert(jobs)
        if repeated:
            self._settle(repeated)
        if self._verify:
            compare(self._store, arrived)
        landed = [job for job in jobs if job.id not in self.conflicts]
        self.jobs.update(job.state for job in landed)
        self._look(landed)
        return landed

    def _insert(self, jobs: Sequence[StoredJob]) -> tuple[list[StoredJob], list[tuple[StoredJob, Inserted]]]:
        """Inserts jobs; gives those that are new here as they were stored, and those whose id was here before."""
        arrived: list[StoredJob] = []
        repeated: list[tuple[StoredJob, Inserted]] = []
        while jobs:
            held: list[StoredJob] = []
            for job, answer in zip(jobs, self._answers(jobs), strict=True):
                if answer.outcome is Insertion.INSERTED:
                    arrived.append(job)
                elif answer.outcome is Insertion.REPEATED:
                    repeated.append((job, answer))
                else:
                    held.append(_without_slot(job, answer))
            self.without_slot += [job.id for job in held if job.id not in self.without_slot]
            jobs = held
        return arrived, repeated

    def _answers(self, jobs: Sequence[StoredJob]) -> list[Inserted]:
        try:
            return self._store.insert(jobs)
        except PartialInsert as error:
            raise error.__cause__ or error from None

    def _settle(self, repeated: Sequence[tuple[StoredJob, Inserted]]) -> None:
        """Of two jobs of one id the further stays; other calls are conflicts."""
        same = []
        for job, answer in repeated:
            if (answer.task, answer.digest) == (job.task, job.digest):
                same.append(job)
            else:
                self.conflicts.add(job.id)
        found = self._store.select(Where(ids=[job.id for job in same]), limit=max(1, len(same)), body=False).jobs
        there = {job.id: job for job in found}
        for job in same:
            before = there.get(job.id)
            if before is not None and _is_further(job, before):
                gone = self._store.delete(Where(ids=(job.id,), states=(before.state,)), limit=1)
                self._insert([job] if gone else [])

    def _look(self, landed: Sequence[StoredJob]) -> None:
        """Who waits here may wait for one that ended elsewhere before."""
        waiting = [job.id for job in landed if job.state is State.WAITING]
        waiting += [name for name in self.without_slot if name in {job.id for job in landed}]
        ended = [job.id for job in landed if job.state in ENDED]
        if ended:
            where = Where(parents=ended, states=(State.WAITING,))
            waiting += [job.id for job in self._store.each(where, order=Order.OLDEST, body=False)]
        if waiting:
            look(self._store, list(dict.fromkeys(waiting)))


def _without_slot(job: StoredJob, answer: Inserted) -> StoredJob:
    """A job without the slot that another has: that of its unique key, or the turn, for which it waits again."""
    if job.turn is None or (job.unique_held and answer.held_by is not None):
        return replace(job, unique_held=False)
    return replace(job, state=State.WAITING, turn=None)


def _is_further(job: StoredJob, there: StoredJob) -> bool:
    """Whether a job has come further at its source than the one that arrived of it before."""
    if there.state in HELD:
        return False
    if job.generation != there.generation:
        return job.generation > there.generation
    return job.state in ENDED and there.state in _QUEUED
