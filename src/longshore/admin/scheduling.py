"""What operators see of schedules, and do to them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, TypeGuard

from msgspec import UNSET, Struct, UnsetType
from msgspec.structs import replace

from longshore.application import Application
from longshore.calls.call import Call
from longshore.contract import SECOND, Insertion, Write
from longshore.durations import Seconds, microseconds, moment_or_none
from longshore.errors import Corrupt
from longshore.guard import Guard
from longshore.ids import IdMaker
from longshore.jobs import Job
from longshore.schedules.cron import Cron
from longshore.schedules.declared import CATCH_UP, GRACE
from longshore.schedules.stored import (
    KIND,
    Missed,
    Schedule,
    When,
    announce,
    as_when,
    change,
    check_name,
    job_of,
    read_each,
    records,
    rule_of,
    schedule_of,
    stored_of,
)
from longshore.schedules.ticking import tick
from longshore.tasks import shown_call


class ScheduleInfo(Struct, frozen=True, kw_only=True):
    """A schedule as it was when it was read. Moments are in UTC."""

    name: str
    when: When
    task: str
    call: str
    """As people may see it: secret arguments are hidden; all are, where the task is not known."""
    queue: str
    priority: int
    max_attempts: int | None
    notes: Mapping[str, Any]
    missed: Missed
    grace: float
    most: int
    paused: bool
    declared: bool
    """Whether it was declared by code."""
    next: datetime | None
    last: datetime | None
    """The last tick that became a job."""
    last_job: str | None

    @property
    def shown_when(self) -> str:
        """When, in words: ``30 3 * * * Europe/Berlin`` or ``every 60 s``."""
        when = self.when
        if isinstance(when, Cron):
            return f"{when.expression} {when.zone}"
        return f"every {microseconds(when.interval) / 1e6:g} s"


class Schedules:
    """What operators see of an application's schedules and do to them; ``app.admin.schedules`` is one.

    What is changed here stays, also over a restart, until the code declares the schedule anew: otherwise than before.
    """

    def __init__(self, app: Application) -> None:
        self._app = app
        self._make_id = IdMaker()

    @property
    def _store(self) -> Guard:
        return self._app.store

    def all(self) -> tuple[ScheduleInfo, ...]:
        """All schedules, by name.

        Raises:
            Corrupt: what is stored of one cannot be read.
        """
        stored = [stored_of(record) for record in records(self._store)]
        return tuple(_info(self._app, each.name, each.schedule) for each in stored if _is_there(each.schedule))

    def get(self, name: str) -> ScheduleInfo | None:
        """One schedule; None: there is none."""
        (stored,) = read_each(self._store, [name])
        return _info(self._app, name, stored.schedule) if _is_there(stored.schedule) else None

    def put(
        self,
        name: str,
        when: str | When,
        call: Call[Any],
        *,
        missed: Missed = "once",
        grace: Seconds = GRACE,
        most: int = CATCH_UP,
    ) -> ScheduleInfo:
        """Stores a schedule under a name, in place of one that is there; see `longshore.Longshore.schedule`.

        At the same times as before, its next tick stays. A pause stays.

        Raises:
            InvalidValue: something is not of the form that is needed; nothing was stored.
        """
        check_name(name)
        new = schedule_of(when, self._app.admit(call), missed=missed, grace=grace, most=most)
        now = self._store.now()

        return _info(self._app, name, self._write(name, lambda old: new.in_place_of(old, now)) or new)

    def change(
        self,
        name: str,
        *,
        when: str | When | UnsetType = UNSET,
        call: Call[Any] | UnsetType = UNSET,
        missed: Missed | UnsetType = UNSET,
        grace: Seconds | UnsetType = UNSET,
        most: int | UnsetType = UNSET,
    ) -> bool:
        """Changes what is given of a schedule; whether there is one.

        Raises:
            InvalidValue: something is not of the form that is needed; nothing was changed.
        """
        rule = rule_of(missed=missed, grace=grace, most=most)
        parts = {
            "when": when if when is UNSET else as_when(when),
            "job": call if call is UNSET else job_of(self._app.admit(call)),
            **rule,
        }
        given = {part: value for part, value in parts.items() if value is not UNSET}
        now = self._store.now()
        return self._edit(name, lambda old: replace(old, **given).in_place_of(old, now))

    def pause(self, name: str) -> bool:
        """Lets a schedule rest until it is resumed, also over a restart and a new declaration; whether there is one."""
        return self._edit(name, lambda old: replace(old, paused=True, next=None))

    def resume(self, name: str) -> bool:
        """Lets a schedule go on with its next tick after now; it makes up for nothing. Whether there is one."""
        now = self._store.now()
        return self._edit(name, lambda old: replace(old, paused=False).anew(now) if old.paused else old)

    def remove(self, name: str) -> bool:
        """Removes a schedule; whether there was one. One from code stays away until its declaration changes."""
        while True:
            try:
                (stored,) = read_each(self._store, [name])
            except Corrupt:
                write = Write(KIND, name, None)
            else:
                if not _is_there(stored.schedule):
                    return False
                write = stored.removal(stored.schedule)
            if self._store.write([write])[0] is not None:
                announce(self._store)
                return True

    def run_now(self, name: str) -> Job[Any] | None:
        """Makes a job of a schedule at once, beside its ticks, also while it rests; None: there is no such schedule."""
        (stored,) = read_each(self._store, [name])
        if stored.schedule is None or stored.schedule.removed:
            return None
        key = stored.schedule.job.unique_key
        identity = self._store.name(self._make_id(), beside=() if key is None else (key,))
        job = stored.schedule.job_of(name, identity)
        (answer,) = self._store.insert([job])
        return Job(self._app, answer.held_by or job.id if answer.outcome is Insertion.HELD else job.id)

    def tick(self) -> tuple[ScheduleInfo, ...]:
        """Makes the jobs of all ticks that are due now, as workers do by themselves; gives the schedules after that."""
        seen, now = [stored_of(record) for record in records(self._store)], self._store.now()
        standing = tick(self._store, seen, now)
        return tuple(_info(self._app, name, schedule) for name, schedule in standing.items() if _is_there(schedule))

    def _edit(self, name: str, edited: Callable[[Schedule], Schedule | None]) -> bool:
        was_there = False

        def edit(old: Schedule | None) -> Schedule | None:
            nonlocal was_there
            was_there = _is_there(old)
            return edited(old) if _is_there(old) else old

        self._write(name, edit)
        return was_there

    def _write(self, name: str, changed: Callable[[Schedule | None], Schedule | None]) -> Schedule | None:
        written = change(self._store, name, changed)
        announce(self._store)
        return written


def _is_there(schedule: Schedule | None) -> TypeGuard[Schedule]:
    return schedule is not None and not schedule.removed


def _info(app: Application, name: str, schedule: Schedule) -> ScheduleInfo:
    job = schedule.job
    return ScheduleInfo(
        name=name,
        when=schedule.when,
        task=job.task,
        call=shown_call(app.tasks, job),
        queue=job.queue,
        priority=job.priority,
        max_attempts=job.max_attempts,
        notes=job.notes,
        missed=schedule.missed,
        grace=schedule.grace / SECOND,
        most=schedule.most,
        paused=schedule.paused,
        declared=bool(schedule.declaration),
        next=moment_or_none(schedule.next),
        last=moment_or_none(schedule.last),
        last_job=schedule.last_job,
    )
