"""Runs an application's jobs one after another, as a worker does, in the thread that asks for it."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Final, TypeVar

from msgspec import Struct

from longshore.admin.foreground import run_and_settle
from longshore.app import Longshore
from longshore.contract import SECOND, By, Change, Claim, Claimed, State, StoredJob, Where
from longshore.errors import Blocked, LeaseLost
from longshore.following import Follower
from longshore.holders import Lease
from longshore.info import JobInfo, info_of
from longshore.limits.pauses import paused
from longshore.retry import Snooze
from longshore.testing.clock import ManualClock
from longshore.worker.performing import Interrupted, perform

T = TypeVar("T")
LEASE: Final = 60.0
"""Seconds, as of a worker that was told nothing else."""


class Ran(Struct, frozen=True):
    """One run: the job as it stood after it, and what the task raised, if it did."""

    job: JobInfo
    error: BaseException | None = None
    is_void: bool = False
    """Whether the run was not the job's own any more when it ended: what it answered was refused."""


class Runner:
    """Runs jobs of an application's store, by a clock that only the test and `drain` advance."""

    def __init__(self, app: Longshore, clock: ManualClock) -> None:
        self._app = app
        self._clock = clock

    def drain(self, queues: tuple[str, ...], *, with_scheduled: bool, raise_errors: bool, most: int) -> Iterator[Ran]:
        """Runs what is due until nothing is.

        Raises:
            Blocked: after ``most`` runs more is due.
            Exception: what a task raised, with ``raise_errors``, once its run is settled.
        """
        runs = 0
        with self.lease() as lease:
            while True:
                claimed = self._claim(lease, queues) if runs < most else self._look(queues, runs)
                for job in claimed.jobs:
                    runs += 1
                    ran = self.run(job)
                    if ran.error is not None and raise_errors:
                        raise ran.error
                    yield ran
                if claimed.expired:
                    self._follow(claimed.expired)
                if claimed.jobs or claimed.expired or claimed.next_due == 0:
                    continue
                if not with_scheduled or claimed.next_due is None:
                    return
                self._clock.advance(claimed.next_due / SECOND)

    @contextmanager
    def lease(self) -> Iterator[Lease]:
        """The lease of a worker that ends as it should."""
        lease = self.new_lease()
        try:
            yield lease
        finally:
            lease.end(self._app.store)

    def new_lease(self) -> Lease:
        """The lease of one more worker."""
        lease = Lease(LEASE, tasks=lambda: self._app.tasks)
        lease.begin(self._app.store)
        return lease

    def claim_one(self, lease: Lease, identity: str | None) -> StoredJob | None:
        """The job of this id, or the next one, if it is due."""
        store = self._app.store
        claim = self._any_of(()) if identity is None else Claim(id=identity)
        return next(iter(store.claim([claim], holder=lease.holder, limit=1).jobs), None) if claim else None

    def run(self, job: StoredJob) -> Ran:
        """Runs a claimed job and settles it."""
        errors: list[BaseException] = []
        is_void = False
        try:
            errors += _apart_from_the_loop(lambda: run_and_settle(self._app, job))
        except LeaseLost as lost:
            is_void = True
            errors += [lost.__cause__] if lost.__cause__ else []
        return self.ran(job, errors, is_void=is_void)

    def perform(self, job: StoredJob) -> tuple[Change, list[BaseException]]:
        """Runs a claimed job, and gives the change that would settle it, and what was raised."""
        errors: list[BaseException] = []
        change = _apart_from_the_loop(lambda: perform(self._app, job, caught=errors.append))
        return change, errors

    def ran(self, job: StoredJob, errors: list[BaseException], *, is_void: bool = False) -> Ran:
        """What there is to say of a run that is over.

        Raises:
            BaseException: what does not end a task but the test: an interrupt from the keyboard, pytest's own outcomes.
        """
        error = errors[-1] if errors else None
        if error is not None and not isinstance(error, (Exception, SystemExit, Interrupted)):
            raise error
        store = self._app.store
        now_stored = next(iter(store.select(Where(ids=(job.id,)), limit=1).jobs), job)
        told = None if isinstance(error, Snooze) else error
        return Ran(info_of(now_stored, store.now()), told, is_void)

    def _claim(self, lease: Lease, queues: tuple[str, ...]) -> Claimed:
        claim = self._any_of(queues)
        if claim is None:
            return Claimed([])
        lease.renew(self._app.store)
        return self._app.store.claim([claim], holder=lease.holder, limit=1)

    def _follow(self, expired: Sequence[str]) -> None:
        follower = Follower(self._app.store)
        follower.meet(expired)
        follower.finish()

    def _any_of(self, queues: tuple[str, ...]) -> Claim | None:
        """A claim of any job of a known task in these queues, or in all, that are not paused; None: none is there."""
        counts = self._app.store.count(By.QUEUE_STATE, Where(states=(State.PENDING,)))
        still = {each.queue for each in paused(self._app.store)}
        there = sorted({str(queue) for queue, _ in counts if not queues or queue in queues} - still)
        return Claim(tuple(there), frozenset(self._app.tasks)) if there else None

    def _look(self, queues: tuple[str, ...], runs: int) -> Claimed:
        """What is due after the last run that was allowed: nothing may be."""
        where = Where(states=(State.PENDING,), queues=queues or None, tasks=tuple(self._app.tasks), due=0)
        due = self._app.store.select(where, limit=1).jobs
        if due:
            raise Blocked(
                f"expected all that is due to be done after {runs:,} runs; {due[0].id} ({due[0].task}) is due: does a "
                "task enqueue itself for ever? Give most= if there is so much to do"
            )
        return Claimed([])


def _apart_from_the_loop(work: Callable[[], T]) -> T:
    """In this thread, unless an event loop runs here: tasks may need one, and none can run inside another."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return work()
    with ThreadPoolExecutor(1, thread_name_prefix="longshore-harness") as pool:
        return pool.submit(contextvars.copy_context().run, work).result()
