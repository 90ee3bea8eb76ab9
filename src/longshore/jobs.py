"""The handle of a job, and what it shows."""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import msgspec
from msgspec import Struct

from longshore.codecs import JsonCodec
from longshore.contract import ENDED, HELD, SECOND, UNENDED, Change, Instant, State, StoredJob, Where
from longshore.durations import Seconds, microseconds, moment, moment_or_none
from longshore.errors import Blocked, JobFailed, JobRemoved, NotReady

if TYPE_CHECKING:
    from longshore.app import Longshore

R = TypeVar("R")
_RECHECK_SECONDS = 1.0


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
    attempts: tuple[Attempt, ...]
    """The last 20 runs that did not succeed, oldest first; there were ``tries`` in all."""
    tries: int

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
        notes=job.notes,
        attempts=tuple(msgspec.json.decode(entry, type=Attempt) for entry in job.attempts),
        tries=job.tries,
    )


def shown_as(job: StoredJob, now: Instant) -> str:
    """The word for a job's state that people use."""
    if job.state in HELD and job.cancel_asked:
        return "cancelling"
    if job.state is State.PENDING and job.due > now:
        return "retrying" if job.attempt or job.crashes else "scheduled"
    return job.state.name.lower()


class Job(Generic[R]):
    """The handle of a job: its id, and what to ask the store about it. Nothing is read until it is asked for."""

    __slots__ = ("_app", "_codec", "id")

    def __init__(self, app: Longshore, identity: str, codec: JsonCodec[R] | None = None) -> None:
        self._app = app
        self._codec = codec
        self.id = identity

    def __repr__(self) -> str:
        return f"<Job {self.id}>"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Job) and (other.id, other._app) == (self.id, self._app)

    def __hash__(self) -> int:
        return hash(self.id)

    def info(self) -> JobInfo:
        """The job as it is stored now.

        Raises:
            JobRemoved: there is no such job.
        """
        return info_of(self._read(), self._app.store.now())

    def wait(self, timeout: Seconds | None = None) -> JobInfo:
        """Waits until the job has ended, however it did, and shows it.

        Raises:
            JobRemoved: there is no such job any more.
            NotReady: it has not ended within ``timeout``.
            Blocked: called within a task: the worker's slot would wait for itself.
        """
        return info_of(self._wait(timeout), self._app.store.now())

    def result(self, timeout: Seconds | None = None) -> R:
        """Waits until the job has ended, and gives what the task returned.

        Raises:
            JobFailed: it ended otherwise than by success; the message holds the last error.
            JobRemoved: there is no such job any more.
            NotReady: it has not ended within ``timeout``.
            Blocked: called within a task: the worker's slot would wait for itself.
        """
        job = self._wait(timeout)
        if job.state is not State.SUCCEEDED:
            info = info_of(job, self._app.store.now())
            raise JobFailed(f"job {job.id} ({job.task}) is {info.shown_as}: {info.error or 'no error was recorded'}")
        if job.result is None:
            return None  # type: ignore[return-value]
        return (self._codec or self._app.result_codec(job.task)).decode(job.result)

    def _read(self) -> StoredJob:
        found = self._app.store.select(Where(ids=(self.id,)), limit=1).jobs
        if not found:
            raise JobRemoved(f"there is no job {self.id}: it was removed, or never stored")
        return found[0]

    def _wait(self, timeout: Seconds | None) -> StoredJob:
        ends = None if timeout is None else time.monotonic() + microseconds(timeout, name="timeout") / SECOND
        job = self._read()
        if job.state in ENDED:
            return job
        if self._app.is_inside_task():
            raise Blocked(f"a task cannot wait for job {self.id}: its slot would be taken while it waits")
        listener = self._app.store.listen([ended_topic(self.id)])
        try:
            self._ask_to_be_told()
            while (job := self._read()).state not in ENDED:
                left = _RECHECK_SECONDS if ends is None else min(_RECHECK_SECONDS, ends - time.monotonic())
                if left <= 0:
                    raise NotReady(f"job {self.id} is {job.state.name.lower()} and has not ended within {timeout}")
                listener.wait(left)
            return job
        finally:
            listener.close()

    def _ask_to_be_told(self) -> None:
        self._app.store.update([Change(self.id, None, {"awaited": True}, UNENDED)])


def ended_topic(identity: str) -> str:
    """What is woken when somebody awaits the job and it ends."""
    return f"ended:{identity}"
