"""What goes wrong in production, on purpose: a worker that dies at a named point, a job that is delivered twice."""

from __future__ import annotations

from typing import Final, Literal, TypeAlias, get_args

from msgspec import Struct

from longshore.app import Longshore
from longshore.contract import Outcome, StoredJob, Where
from longshore.errors import IllegalMove, InvalidValue, JobRemoved
from longshore.holders import Lease
from longshore.info import shown_as
from longshore.testing.clock import ManualClock
from longshore.testing.harness.running import LEASE, Ran, Runner
from longshore.worker.settings import WorkerSettings
from longshore.worker.upkeep import Upkeep

Point: TypeAlias = Literal["claim", "run", "settle"]
_FOR_EVER: Final = 100 * 365 * 86_400.0


class Delivery(Struct, frozen=True):
    """A job that ran twice: the run that counts, and the one that began before it and ended after it."""

    first: Ran
    second: Ran


class Mishaps:
    """Workers that die or stall, and the upkeep that finds what they left."""

    def __init__(self, app: Longshore, clock: ManualClock, runner: Runner) -> None:
        self._app = app
        self._clock = clock
        self._runner = runner
        self._somebody_died = False
        self._settings = WorkerSettings(lease=LEASE, keep_succeeded=_FOR_EVER, keep_ended=_FOR_EVER)

    def crash_after(self, point: Point, identity: str | None) -> Ran:
        """A worker takes a job and dies.

        Raises:
            InvalidValue: there is no such point.
            IllegalMove, JobRemoved: no job is to be taken.
        """
        if point not in get_args(Point):
            raise InvalidValue(f"a worker can die after {', '.join(get_args(Point))}; got {point!r}")
        # Nobody will renew this lease, nor end it.
        job = self._take(self._runner.new_lease(), identity)
        self._somebody_died = True
        if point == "claim":
            return self._runner.ran(job, [])
        change, errors = self._runner.perform(job)
        if point == "settle":
            self._app.store.update([change])
        return self._runner.ran(job, errors)

    def deliver_twice(self, identity: str) -> Delivery:
        """A worker takes a job and stalls; another one runs it; then the first one goes on.

        Raises:
            IllegalMove, JobRemoved: it is not to be taken.
        """
        job = self._take(self._runner.new_lease(), identity)
        self._somebody_died = True
        self.rescue()
        with self._runner.lease() as lease:
            first = self._runner.run(self._again(lease, identity))
        change, errors = self._runner.perform(job)
        answer = self._app.store.update([change])[0]
        return Delivery(first, self._runner.ran(job, errors, is_void=answer.outcome is Outcome.REFUSED))

    def rescue(self) -> None:
        """Lets the leases of the dead lapse, and does what workers do once in a while; nothing if nobody has died."""
        if not self._somebody_died:
            return
        self._clock.advance(LEASE)
        with self._runner.lease() as lease:
            upkeep = Upkeep(lease, self._settings)
            upkeep.work(self._app.store, may_rescue=lambda: True)
            upkeep.mend(self._app.store)
        self._somebody_died = False

    def _take(self, lease: Lease, identity: str | None) -> StoredJob:
        job = self._runner.claim_one(lease, identity)
        if job is None:
            lease.end(self._app.store)
            raise self._not_due(identity)
        return job

    def _again(self, lease: Lease, identity: str) -> StoredJob:
        """After a rescue, which may have put the job off because it had crashed before."""
        stored = self._stored(identity)
        self._clock.advance(max(0, stored.due - self._app.store.now()) / 1e6)
        return self._take(lease, identity)

    def _stored(self, identity: str) -> StoredJob:
        found = self._app.store.select(Where(ids=(identity,)), limit=1).jobs
        if not found:
            raise JobRemoved(f"there is no job {identity}: it was removed, or never stored")
        return found[0]

    def _not_due(self, identity: str | None) -> IllegalMove:
        if identity is None:
            return IllegalMove("expected a job of a known task to be due; none is: enqueue one, or advance the clock")
        state = shown_as(self._stored(identity), self._app.store.now())
        return IllegalMove(f"expected job {identity} to be due, so that a worker takes it; it is {state}")
