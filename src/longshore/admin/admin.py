"""All that operators can do, in one place."""

from __future__ import annotations

from typing import Any

from longshore.admin.acting import Fate, Verdict
from longshore.admin.foreground import kept_lease, run_and_settle
from longshore.admin.groups import GroupInfo, shown_group, shown_groups
from longshore.admin.limiting import Limiting
from longshore.admin.scheduling import Schedules
from longshore.application import Application
from longshore.contract import HELD, Claim, State, StoredJob, Where
from longshore.errors import IllegalMove, JobRemoved, UniqueConflict, UnknownTask
from longshore.jobs import Job
from longshore.locks import LockInfo, free_lock, shown_locks


class Admin(Limiting):
    """What operators see of an application's store and do to its jobs; ``app.admin`` is one."""

    def run_here(self, identity: str, *, force: bool = False) -> Any:
        """Runs one job now, in this thread, and gives what its task returned.

        A job that is not due, waits or has ended is retried first. The run is like any other: fenced, settled, its
        attempt kept.

        Args:
            identity: the job's id.
            force: take it from a worker that runs it, whose run is void then.

        Raises:
            JobRemoved: there is no such job.
            UnknownTask: its task is not registered here.
            UniqueConflict: another job holds its unique key.
            IllegalMove: a worker has it, or took it first.
            LeaseLost: while it ran here it was retried or rescued: what it did does not count.
            Exception: whatever the task raised.
        """
        job = self._runnable(identity, force=force)
        side = self._side_of(identity)
        with kept_lease(side) as lease:
            if job.state is not State.PENDING or job.due > self._store.now():
                self._make_due(identity)
            taken = side.store.claim([Claim(id=identity)], holder=lease.holder, limit=1).jobs
            if not taken:
                raise IllegalMove(f"job {identity} was not free any more: a worker took it first, or it expired")
            errors = run_and_settle(side, taken[0])
        if errors:
            raise errors[-1]
        return Job(self._app, identity).result(timeout=0)

    @property
    def schedules(self) -> Schedules:
        """What operators see of schedules, and do to them."""
        return Schedules(self._app)

    def locks(self) -> tuple[LockInfo, ...]:
        """The locks that are held or waited for, by name."""
        return shown_locks(self._store)

    def free_lock(self, name: str, owner: str | None = None) -> bool:
        """Ends one hold of a lock, whatever its holder does now; whether there was one.

        Args:
            name: of the lock.
            owner: whose hold, as `locks` shows it; None: that which would end first.
        """
        return free_lock(self._store, name, owner)

    def groups(self, *, ended: bool = False) -> tuple[GroupInfo, ...]:
        """The groups of which a member has not ended, or that are about to call back, by name.

        Args:
            ended: also those of which every member has ended: this goes through all members that are stored.
        """
        return shown_groups(self._store, ended=ended)

    def group(self, name: str) -> GroupInfo | None:
        """How far one group has come; None: nothing of it is stored."""
        return shown_group(self._store, name)

    def _runnable(self, identity: str, *, force: bool) -> StoredJob:
        job = self._stored(identity)
        if job is None:
            raise JobRemoved(f"there is no job {identity}: it was removed, or never stored")
        if job.task not in self._app.tasks:
            raise UnknownTask(f"no task is registered as {job.task!r} here: give the application that has it")
        if job.state in HELD and not force:
            raise IllegalMove(f"job {identity} is {job.state.name.lower()}: only force takes it from its worker")
        return job

    def _side_of(self, identity: str) -> Application:
        """The application at the store that a job is in."""
        if len(self._store.driver.parts) == 1:
            return self._app
        where = Where(ids=(identity,))
        there = (side for side in self._app.sides if side.store.select(where, limit=1, body=False).jobs)
        return next(there, self._app)

    def _make_due(self, identity: str) -> None:
        fate: Fate = self.retry(identity)[0]
        if fate.verdict is Verdict.HELD:
            raise UniqueConflict(f"the unique key of {identity} is held", held_by=fate.held_by)
        if fate.verdict is not Verdict.DONE:
            raise IllegalMove(f"expected job {identity} to be retried; it was {fate.verdict}")
