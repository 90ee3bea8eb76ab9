"""What is made of a tick: one job, whoever makes it, and however many try (docs/design/schedules.md)."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from msgspec import Struct
from msgspec.structs import replace

from longshore.contract import Inserted, Insertion, Instant, NewJob
from longshore.errors import InvalidValue
from longshore.guard import Guard
from longshore.schedules.stored import Schedule, Stored, read_each, tick_id

_log = logging.getLogger("longshore.schedules")


class Made(Struct, frozen=True):
    """What became of the ticks of a schedule that were due."""

    stored: Stored
    tick: Instant | None = None
    """The last one that has a job."""
    job: str | None = None

    def noted(self, schedule: Schedule | None, now: Instant) -> Schedule | None:
        """The schedule as it stands, with what was made of it; None where it is not there any more."""
        if schedule is None:
            return None
        if self.tick is not None and (schedule.last is None or schedule.last < self.tick):
            schedule = replace(schedule, last=self.tick, last_job=self.job)
        return schedule.next_after(now)


def tick(store: Guard, seen: Sequence[Stored], now: Instant) -> dict[str, Schedule]:
    """Makes the jobs of all ticks that are due, and notes it; gives the schedules as they stand then, by name.

    One that cannot go on is left alone, and said.
    """
    over = [each for each in seen if _is_over(each.schedule, now)]
    standing = {each.name: each.schedule for each in seen if each.schedule is not None and each not in over}
    return standing | _note(store, _make(store, over, now), now)


def _is_over(schedule: Schedule | None, now: Instant) -> bool:
    return schedule is not None and schedule.next is not None and schedule.next <= now


def _make(store: Guard, over: Sequence[Stored], now: Instant) -> list[Made]:
    """The jobs of all; where one is refused, each for itself."""
    plans = [(each, each.schedule.due(now)) for each in over if each.schedule is not None]
    jobs = [_job(each, at) for each, ticks in plans for at in ticks]
    try:
        answers = iter(store.whole.insert(jobs) if jobs else [])
    except InvalidValue as error:
        if len(over) > 1:
            return [made for each in over for made in _make(store, [each], now)]
        _log.error("the schedule %s cannot make its job: %s", over[0].name, error)
        return []
    stands = {(each.name, at): _stands(each, at, next(answers)) for each, ticks in plans for at in ticks}
    return [Made(each, *((ticks[-1], stands[each.name, ticks[-1]]) if ticks else ())) for each, ticks in plans]


def _job(stored: Stored, at: Instant) -> NewJob:
    assert stored.schedule is not None
    return stored.schedule.job_of(stored.name, tick_id(stored.name, at))


def _stands(stored: Stored, at: Instant, answer: Inserted) -> str | None:
    """The job that stands for a tick: another, where that holds the unique key."""
    return answer.held_by if answer.outcome is Insertion.HELD else tick_id(stored.name, at)


def _note(store: Guard, made: Sequence[Made], now: Instant) -> dict[str, Schedule]:
    standing: dict[str, Schedule] = {}
    while made:
        wanted = [(each, _noted(each, now)) for each in made]
        writes = [(each, new) for each, new in wanted if new is not None and new != each.stored.schedule]
        versions = store.write([each.stored.write(new) for each, new in writes]) if writes else []
        standing |= {each.stored.name: new for each, new in wanted if new is not None}
        lost = [each for (each, _), version in zip(writes, versions, strict=True) if version is None]
        # Another worker noted the same, or an operator changed something: what is noted comes on top of that.
        fresh = read_each(store, [each.stored.name for each in lost]) if lost else []
        made = [replace(each, stored=stored) for each, stored in zip(lost, fresh, strict=True)]
        standing = {name: new for name, new in standing.items() if name not in {stored.name for stored in fresh}}
    return standing


def _noted(made: Made, now: Instant) -> Schedule | None:
    try:
        return made.noted(made.stored.schedule, now)
    except InvalidValue as error:
        _log.error("the schedule %s has no next time: %s", made.stored.name, error)
        return None
