"""The handle of a job."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar, overload

from longshore.codecs import TypedCodec
from longshore.contract import ENDED, SECOND, UNENDED, Change, Instant, State, StoredJob, Where
from longshore.current import is_in_task_of
from longshore.durations import Seconds, microseconds
from longshore.errors import Blocked, JobFailed, JobRemoved, NotReady
from longshore.guard import Guard
from longshore.info import JobInfo, ended_topic, info_of
from longshore.replies import Replies

if TYPE_CHECKING:
    from longshore.aio import Awaiting

R = TypeVar("R")
T = TypeVar("T")
_RECHECK_SECONDS = 1.0


class Desk(Protocol):
    """What a handle needs of its application."""

    @property
    def store(self) -> Guard:
        """The store that the job is in."""

    @property
    def awaiting(self) -> Awaiting:
        """What awaits jobs of this application in this process."""

    def result_codec(self, task: str) -> TypedCodec[Any]:
        """How results of a task are stored, and read."""

    def telling_codec(self, task: str, kind: Any = None) -> TypedCodec[Any]:
        """How replies of a task are stored, and read."""


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
        return self._result_of(self._wait(timeout))

    @overload
    def replies(self, *, timeout: Seconds | None = None) -> Replies[Any]: ...
    @overload
    def replies(self, kind: type[T], *, timeout: Seconds | None = None) -> Replies[T]: ...
    def replies(self, kind: Any = None, *, timeout: Seconds | None = None) -> Replies[Any]:
        """The messages that the task sends while it runs: to look at, to wait for, or to iterate over until its end.

        Args:
            kind: their type; None for what the task's ``Context[…]`` says, if the task is registered here.
            timeout: how long is waited for each; None for ever.
        """
        return Replies(self._app, self.id, kind, timeout)

    def _result_of(self, job: StoredJob) -> R:
        if job.state is not State.SUCCEEDED:
            info = info_of(job, job.ended or job.created)
            raise JobFailed(f"job {job.id} ({job.task}) is {info.shown_as}: {info.error or 'no error was recorded'}")
        if job.result is None or job.result_codec is None:
            return None  # type: ignore[return-value]
        result: R = self._app.result_codec(job.task).decode(job.result, job.result_codec)
        return result

    def _read(self) -> StoredJob:
        found = self._app.store.select(Where(ids=(self.id,)), limit=1).jobs
        if not found:
            raise self._removed()
        return found[0]

    def _wait(self, timeout: Seconds | None) -> StoredJob:
        ends = None if timeout is None else time.monotonic() + microseconds(timeout, name="timeout") / SECOND
        job = self._read()
        if job.state in ENDED:
            return job
        self._check_not_in_a_task()
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

    async def ainfo(self) -> JobInfo:
        """The job as it is stored now; what is asked at the same time is read at once.

        Raises:
            JobRemoved: there is no such job.
        """
        return info_of(*await self._aread())

    async def await_(self, timeout: Seconds | None = None) -> JobInfo:  # noqa: ASYNC109 - as of `wait`
        """Waits on an event loop until the job has ended, as `wait` does (``await`` is a word of the language).

        Raises:
            JobRemoved, NotReady, Blocked: as by `wait`.
        """
        job = await self._await_end(timeout)
        return info_of(job, job.ended or job.created)

    async def aresult(self, timeout: Seconds | None = None) -> R:  # noqa: ASYNC109 - as of `result`
        """Waits until the job has ended, and gives what the task returned, as `result` does, on an event loop.

        Raises:
            JobFailed, JobRemoved, NotReady, Blocked: as by `result`.
        """
        return self._result_of(await self._await_end(timeout))

    async def _await_end(self, timeout: Seconds | None) -> StoredJob:  # noqa: ASYNC109 - as of `result`
        import asyncio

        seconds = None if timeout is None else microseconds(timeout, name="timeout") / SECOND
        if is_in_task_of(self._app):
            job, _ = await self._aread()
            if job.state in ENDED:
                return job
            self._check_not_in_a_task()
        try:
            async with asyncio.timeout(seconds):
                ended = await self._app.awaiting.ends.of(self.id)
        except TimeoutError:
            ended, _ = await self._aread()  # With a timeout of 0 nobody has looked yet.
            if ended.state not in ENDED:
                raise NotReady(
                    f"job {self.id} is {ended.state.name.lower()} and has not ended within {timeout}"
                ) from None
        if ended is None:
            raise self._removed()
        return ended

    async def _aread(self) -> tuple[StoredJob, Instant]:
        job, now = await self._app.awaiting.read(self.id)
        if job is None:
            raise self._removed()
        return job, now

    def _removed(self) -> JobRemoved:
        return JobRemoved(f"there is no job {self.id}: it was removed, or never stored")

    def _check_not_in_a_task(self) -> None:
        if is_in_task_of(self._app):
            raise Blocked(f"a task cannot wait for job {self.id}: its slot would be taken while it waits")

    def _ask_to_be_told(self) -> None:
        self._app.store.update([Change(self.id, None, {"awaited": True}, UNENDED)])
