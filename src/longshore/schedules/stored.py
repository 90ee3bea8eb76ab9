"""What is stored of a schedule."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from hashlib import blake2b
from typing import Any, Final, Literal, TypeAlias, get_args

import msgspec
from msgspec import UNSET, Struct, UnsetType
from msgspec.structs import replace

from longshore.calls.call import Call, digest_of, new_job
from longshore.calls.unique import Rule
from longshore.contract import Duration, Instant, NewJob, Record, Write
from longshore.durations import Seconds, microseconds, moment
from longshore.errors import Corrupt, InvalidValue, StoreError
from longshore.guard import Guard, check_text
from longshore.schedules.cron import Cron
from longshore.schedules.every import Every
from longshore.tasks import check_call

KIND: Final = "schedule"
TOPIC: Final = "schedules"
"""What is woken when a schedule is there, or changed."""
NOTE: Final = "longshore.schedule"
"""The note of a job that names the schedule which made it."""
MOST: Final = 1_000
_log = logging.getLogger("longshore.schedules")
_LONGEST_NAME: Final = 150
_PAGE: Final = 500

When: TypeAlias = Cron | Every
Missed: TypeAlias = Literal["once", "skip", "all"]


class Schedule(Struct, frozen=True, kw_only=True):
    """A schedule as it is stored, under its name."""

    when: When
    job: NewJob
    """What each tick makes; without an id."""
    missed: Missed
    grace: Duration
    most: int
    paused: bool = False
    removed: bool = False
    """Somebody removed what code declares: it is kept hidden, so that the same declaration does not bring it back."""
    declaration: bytes = b""
    """The digest of its declaration in code; empty: there is none."""
    next: Instant | None = None
    last: Instant | None = None
    last_job: str | None = None

    def due(self, now: Instant) -> list[Instant]:
        """The ticks that become jobs now."""
        if self.next is None or self.next > now:
            return []
        ticks = self.when.between(self.next, now, self.most if self.missed == "all" else 1)
        # What the zone's rules were when it was computed may not be what they are.
        ticks = ticks or [self.next]
        return ticks if self.missed != "skip" or now - ticks[-1] <= self.grace else []

    def next_after(self, now: Instant) -> Schedule:
        """The same, with its next tick after now if that has come."""
        if self.paused or self.removed:
            return replace(self, next=None)
        return self if self.next is not None and self.next > now else replace(self, next=self.when.after(now))

    def anew(self, now: Instant) -> Schedule:
        """The same, with its next tick after now in any case."""
        return replace(self, next=None).next_after(now)

    def in_place_of(self, old: Schedule | None, now: Instant) -> Schedule:
        """This, with what stays of another: a pause, what was done, and the next tick if it is at the same times."""
        if old is None:
            return self.anew(now)
        declaration = self.declaration or old.declaration
        kept = replace(
            self, declaration=declaration, paused=old.paused, next=old.next, last=old.last, last_job=old.last_job
        )
        return kept if old.when == self.when and not old.removed else kept.anew(now)

    def digest(self) -> bytes:
        """What tells one declaration from another: not the payload, of which the same arguments may have several."""
        said = (self.when, replace(self.job, payload=b""), self.missed, self.grace, self.most)
        return blake2b(msgspec.json.encode(said, order="deterministic"), digest_size=16).digest()

    def job_of(self, name: str, identity: str) -> NewJob:
        """The job that it makes."""
        return replace(self.job, id=identity, notes={**self.job.notes, NOTE: name})


class Stored(Struct, frozen=True):
    """A schedule that was read, or the place for one: version 0."""

    name: str
    version: int
    schedule: Schedule | None

    def write(self, schedule: Schedule) -> Write:
        """How it is replaced, if it stands as it was read."""
        return Write(KIND, self.name, msgspec.json.encode(schedule), self.version)

    def removal(self, schedule: Schedule) -> Write:
        """How it is removed, if it stands as it was read; one that code declares leaves its digest."""
        if schedule.declaration:
            return self.write(replace(schedule, removed=True, next=None))
        return Write(KIND, self.name, None, self.version)


def schedule_of(when: str | When, call: Call[Any], *, missed: Missed, grace: Seconds, most: int) -> Schedule:
    """A schedule, as it is said.

    Raises:
        InvalidValue: something is not of the form that is needed, or a schedule cannot keep it.
    """
    return Schedule(when=as_when(when), job=job_of(call), **rule_of(missed=missed, grace=grace, most=most))


def rule_of(
    *, missed: Missed | UnsetType = UNSET, grace: Seconds | UnsetType = UNSET, most: int | UnsetType = UNSET
) -> dict[str, Any]:
    """What is given of the rule for missed ticks, as it is stored.

    Raises:
        InvalidValue: something is not of the form that is needed.
    """
    rule: dict[str, Any] = {}
    if missed is not UNSET:
        if missed not in get_args(Missed):
            raise InvalidValue(f"missed must be one of {', '.join(get_args(Missed))}; it is {missed!r}")
        rule["missed"] = missed
    if grace is not UNSET:
        rule["grace"] = microseconds(grace, name="grace")
    if most is not UNSET:
        if not 1 <= most <= MOST:
            raise InvalidValue(f"most must be between 1 and {MOST:,}; it is {most!r}")
        rule["most"] = most
    return rule


def as_when(given: object) -> When:
    """When, as it is said: a text is a cron expression in UTC.

    Raises:
        InvalidValue: it says no time.
    """
    if isinstance(given, str):
        return Cron(given)
    if not isinstance(given, Cron | Every):
        raise InvalidValue(f"expected a cron expression, a Cron or an Every; got {given!r}")
    return given


def job_of(call: Call[Any]) -> NewJob:
    """What each tick makes of a call.

    Raises:
        InvalidValue: the call has what cannot be the same for each tick.
    """
    check_call(call)
    options = call.options
    if options.id is not None or options.at is not None:
        raise InvalidValue(
            f"a schedule gives its jobs their ids and times: leave out id and at of the call of {call.task}"
        )
    if options.bonds is not None:
        raise InvalidValue(
            f"parents, keys, groups and calls at the end tie one job to others: leave them out of the call of "
            f"{call.task}, and let the task enqueue what needs them"
        )
    job = new_job(call, "", digest_of(call))
    if job.expires is not None:
        raise InvalidValue(f"expires must be a length of time for the call of {call.task}, counted from each tick")
    if call.slot is not None and call.slot.rule in (Rule.REPLACE, Rule.DEBOUNCE):
        raise InvalidValue(
            f"a tick that finds its unique key held can only be skipped: give the call of {call.task} unique=Unique(), "
            "Throttle, or None"
        )
    check_text(job.queue, "a queue's name")
    return job


def announce(store: Guard) -> None:
    """Tells workers that there is something new."""
    try:
        store.wake([TOPIC])
    except StoreError as error:
        _log.warning("no worker was told of a schedule, they see it at their next heartbeat: %s", error)


def check_name(name: str) -> None:
    """Refuses what is no name for a schedule.

    Raises:
        InvalidValue: it is empty, too long, or holds what a store cannot keep.
    """
    check_text(name, "a schedule's name")
    if len(name.encode()) > _LONGEST_NAME:
        raise InvalidValue(
            f"a schedule's name must be at most {_LONGEST_NAME} bytes, since its jobs' ids hold it: {name!r}"
        )


def tick_id(name: str, tick: Instant) -> str:
    """The id of the one job of a tick."""
    return f"schedule:{name}:{moment(tick).isoformat().replace('+00:00', 'Z')}"


def read_each(store: Guard, names: Sequence[str]) -> list[Stored]:
    """The schedules of these names, those too that are not there."""
    pages = (store.read(KIND, names[start : start + _PAGE]) for start in range(0, len(names), _PAGE))
    found = {record.key: stored_of(record) for page in pages for record in page}
    return [found.get(name) or Stored(name, 0, None) for name in names]


def records(store: Guard) -> Iterator[Record]:
    """What is stored of all schedules, by name."""
    after: str | None = None
    while page := store.read(KIND, limit=_PAGE, after=after):
        yield from page
        if len(page) < _PAGE:
            return
        after = page[-1].key


def count_schedules(store: Guard) -> tuple[int, int]:
    """How many schedules tick, and how many rest; without those that cannot be read."""
    ticking = resting = 0
    for record in records(store):
        with suppress(Corrupt):
            schedule = stored_of(record).schedule
            if schedule is not None and not schedule.removed:
                ticking += not schedule.paused
                resting += schedule.paused
    return ticking, resting


def stored_of(record: Record) -> Stored:
    """A schedule as it was read.

    Raises:
        Corrupt: it cannot be read.
    """
    try:
        return Stored(record.key, record.version, msgspec.json.decode(record.value, type=Schedule))
    except msgspec.MsgspecError as error:
        raise Corrupt(
            f"expected a schedule in the record {record.key!r}; it cannot be read ({error}). A newer version may have "
            "written it; else remove it, and write it anew"
        ) from error


def change(store: Guard, name: str, changed: Callable[[Schedule | None], Schedule | None]) -> Schedule | None:
    """Changes what stands there now; gives it as it was written, None where it was left alone."""
    while True:
        (stored,) = read_each(store, [name])
        new = changed(stored.schedule)
        if new is None or new == stored.schedule:
            return None
        if store.write([stored.write(new)])[0] is not None:
            return new
