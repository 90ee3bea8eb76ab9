"""The handle of a job."""

from __future__ import annotations

import time
from typing import Any, Generic, Protocol, TypeVar

from longshore.codecs import TypedCodec
from longshore.context import Context
from longshore.contract import ENDED, SECOND, UNENDED, Change, State, StoredJob, Where
from longshore.durations import Seconds, microseconds
from longshore.errors import Blocked, JobFailed, JobRemoved, NotReady
from longshore.guard import Guard
from longshore.info import JobInfo, ended_topic, info_of

R = TypeVar("R")
_RECHECK_SECONDS = 1.0


class Desk(Protocol):
    """What a handle needs of its application."""

    @property
    def store(self) -> Guard:
        """The store that the job is in."""

    def result_codec(self, task: str) -> TypedCodec[Any]:
        """How results of a task are stored, and read."""


class Job(Generic[R]):
    """The handle of a job: its id, and what to ask the store about it. Nothing is read until it is asked for."""

    __slots__ = ("_app", "id")

    def __init__(self, app: Desk, identity: str) -> None:
        self._app = app
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
        if job.result is None or job.result_codec is None:
            return None  # type: ignore[return-value]
        result: R = self._app.result_codec(job.task).decode(job.result, job.result_codec)
        return result

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
        context = Context.current()
        if context is not None and context.is_of(self._app):
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
