"""What a stored job shows to people."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import msgspec
from msgspec import Struct

from longshore.contract import HELD, Instant, State, StoredJob
from longshore.durations import moment, moment_or_none
from longshore.progress import Progress, progress_in, without_progress


class Attempt(Struct, frozen=True):
    """A run that did not succeed: how it ended, where and when (microseconds since 1970, by the store's clock)."""

    outcome: str
    attempt: int
    generation: int
    holder: str
    started: Instant
    ended: Instant
    error: str = ""
    traceback: str = ""


class JobInfo(Struct, frozen=True, kw_only=True):
    """A job as it was when it was read. Moments are in UTC."""

    id: str
    task: str
    queue: str
    state: State
    shown_as: str
    """The state, or what people call it: scheduled, retrying, cancelling."""
    priority: int
    attempt: int
    max_attempts: int | None
    crashes: int
    created: datetime
    due: datetime
    started: datetime | None
    ended: datetime | None
    expires: datetime | None
    holder: str | None
    notes: Mapping[str, Any]
    progress: Progress | None
    """What a run said last of how far it has come."""
    attempts: tuple[Attempt, ...]
    """The last 20 runs that did not succeed, oldest first; there were ``tries`` in all."""
    tries: int
    parents: tuple[str, ...] = ()
    """The ids of the jobs that it waits for, or waited for."""
    key: str | None = None
    group: str | None = None

    @property
    def error(self) -> str | None:
        """What the last attempt that failed said."""
        return self.attempts[-1].error if self.attempts else None


def info_of(job: StoredJob, now: Instant) -> JobInfo:
    """What a stored job shows."""
    return JobInfo(
        id=job.id,
        task=job.task,
        queue=job.queue,
        state=job.state,
        shown_as=shown_as(job, now),
        priority=job.priority,
        attempt=job.attempt,
        max_attempts=job.max_attempts,
        crashes=job.crashes,
        created=moment(job.created),
        due=moment(job.due),
        started=moment_or_none(job.started),
        ended=moment_or_none(job.ended),
        expires=moment_or_none(job.expires),
        holder=job.holder,
        notes=without_progress(job.notes),
        progress=progress_in(job.notes),
        attempts=tuple(map(attempt_of, job.attempts)),
        tries=job.tries,
        parents=job.parents,
        key=job.key,
        group=job.group,
    )


def attempt_of(entry: bytes) -> Attempt:
    """An attempt as it was stored; of one that cannot be read the beginning, as its error."""
    try:
        return msgspec.json.decode(entry, type=Attempt)
    except (msgspec.MsgspecError, ValueError):
        return Attempt("unreadable", 0, 0, "", 0, 0, f"what is stored of this attempt cannot be read: {entry[:200]!r}")


def shown_as(job: StoredJob, now: Instant) -> str:
    """The word for a job's state that people use."""
    if job.state in HELD and job.cancel_asked:
        return "cancelling"
    if job.state is State.PENDING and job.due > now:
        return "retrying" if job.attempt or job.crashes else "scheduled"
    return job.state.name.lower()


def ended_topic(identity: str) -> str:
    """What is woken when somebody awaits the job and it ends."""
    return f"ended:{identity}"


def told_topic(identity: str) -> str:
    """What is woken when somebody awaits the job and it has sent a reply."""
    return f"job:{identity}"
