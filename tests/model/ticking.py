"""What the tests of schedules share."""

from __future__ import annotations

from longshore import Longshore
from longshore.contract import SECOND
from longshore.schedules.stored import Stored, records, stored_of, tick_id
from longshore.testing.clock import ManualClock

MINUTE = 60
"""The clock begins twenty seconds before a full one."""


def jobs(app: Longshore) -> list[str]:
    """The ids of all jobs, oldest first."""
    return [job.id for job in app.admin.jobs(oldest_first=True).jobs]


def ticks(clock: ManualClock, name: str, *seconds: float) -> list[str]:
    """The ids of the ticks of a schedule so many seconds from now."""
    return [tick_id(name, clock() + round(each * SECOND)) for each in seconds]


def seen(app: Longshore) -> list[Stored]:
    """The schedules as they stand now."""
    return [stored_of(record) for record in records(app.store)]
