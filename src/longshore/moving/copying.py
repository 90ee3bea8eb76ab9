"""Copies a store: the source stays as it is; what has not ended rests at the destination until it is released."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from longshore.contract import EVERY, HELD, UNENDED, UNREADABLE, By, Order, State, StoredJob
from longshore.errors import Corrupt, IdConflict
from longshore.guard import Guard
from longshore.motion import expect, expect_no_more, expected_copies, name_of
from longshore.moving.landing import Landing
from longshore.moving.records import COPIED_SCHEDULE, copy_rest, copy_rules, release_schedules
from longshore.moving.strides import Strides
from longshore.moving.telling import Carried, Progress, Tell, tell_nobody
from longshore.siding import COPIED, MOVING

_PAGE: Final = 500


class Released(Struct, frozen=True):
    """What was let go.

    Attributes:
        jobs: how many jobs are in their queues.
        schedules: how many schedules tick.
    """

    jobs: int
    schedules: int


class Arrival:
    """Jobs that arrive in a copy, from a store or from a file.

    Attributes:
        total: how many are expected, as far as is known.
    """

    def __init__(self, destination: Guard, *, verify: bool, tell: Tell, total: int = 0) -> None:
        self._landing = Landing(destination, verify=verify)
        self._tell = tell
        self.total = total
        self._unreadable: list[str] = []

    def land(self, jobs: Iterable[StoredJob]) -> None:
        """Inserts jobs; those that have not ended where nobody serves them."""
        readable: list[StoredJob] = []
        for job in jobs:
            if UNREADABLE in job.notes:
                self._unreadable.append(job.id)
            else:
                readable.append(_paused(job))
        self._landing.land(readable)
        arrived = self._landing.jobs.total()
        self._tell(Progress(arrived, max(self.total, arrived)))

    def carried(self, records: int) -> Carried:
        """What has arrived.

        Raises:
            IdConflict, Corrupt: something has not.
        """
        landing = self._landing
        if landing.conflicts:
            names = ", ".join(sorted(landing.conflicts)[:5])
            raise IdConflict(
                f"expected the ids to be free; {len(landing.conflicts)} are of other calls at the destination: "
                f"{names}. All others have arrived"
            )
        if self._unreadable:
            names = ", ".join(self._unreadable[:5])
            raise Corrupt(f"{len(self._unreadable)} jobs cannot be read: {names}. All others have arrived")
        return Carried(dict(landing.jobs), records, tuple(landing.without_slot))


def copy_store(source: Guard, destination: Guard, *, verify: bool = False, tell: Tell = tell_nobody) -> Carried:
    """Copies all jobs and records; what is there already stays, if it has come as far.

    Raises:
        IdConflict, Corrupt, CopyDiffers: as by a move, for those jobs alone.
    """
    name = name_of(source)
    expect(destination, name, is_copy=True)
    records = copy_rules(source, destination, schedules_as=COPIED_SCHEDULE)
    arrival = Arrival(destination, verify=verify, tell=tell, total=sum(source.count(By.QUEUE_STATE).values()))
    for jobs in each_at_rest(source):
        arrival.land(jobs)
    records += copy_rest(source, destination)
    expect_no_more(destination, name)
    return arrival.carried(records)


def release_copy(store: Guard) -> Released:
    """Puts the jobs and schedules of a copy where they are begun."""
    for name in expected_copies(store):
        expect_no_more(store, name)
    number = 0
    while jobs := COPIED.page(store, None, _PAGE).jobs:
        COPIED.empty(store, jobs)
        number += len(jobs)
    return Released(number, release_schedules(store))


def each_at_rest(store: Guard) -> Iterator[list[StoredJob]]:
    """All jobs of a store, oldest first, as they would stand if nobody held them; as many as memory should hold."""
    strides = Strides()
    after: str | None = None
    while True:
        page = store.select(EVERY, order=Order.OLDEST, limit=strides.size, after=after)
        strides.weigh(page.jobs)
        yield [_at_rest(job) for job in page.jobs]
        after = page.after
        if after is None:
            return


def _at_rest(job: StoredJob) -> StoredJob:
    whole = MOVING.restored(job) if MOVING.holds(job) else job
    if whole.state not in HELD:
        return whole
    begun = whole.attempt - 1 if whole.state is State.RUNNING else whole.attempt
    return replace(whole, state=State.PENDING, holder=None, attempt=max(0, begun))


def _paused(job: StoredJob) -> StoredJob:
    return COPIED.aside(job) if job.state in UNENDED and not COPIED.holds(job) else job
