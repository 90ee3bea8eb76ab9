"""What a client reads of a running job: its replies, one after another."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final, Generic, Protocol, TypeVar

from longshore.codecs import TypedCodec
from longshore.contract import SECOND, UNENDED, Change, Listener, StoredJob, Where
from longshore.current import is_in_task_of
from longshore.durations import Seconds, microseconds
from longshore.errors import Blocked, NotReady
from longshore.guard import Guard
from longshore.info import ended_topic, told_topic
from longshore.telling import Reading, Reply, Restarted

if TYPE_CHECKING:
    from longshore.aio import Awaiting

T = TypeVar("T")
_RECHECK_SECONDS: Final = 1.0


class Desk(Protocol):
    """What a reader needs of its application."""

    @property
    def store(self) -> Guard:
        """The store that the job is in."""

    @property
    def awaiting(self) -> Awaiting:
        """What is awaited of this application in this process."""

    def telling_codec(self, task: str, kind: Any = None) -> TypedCodec[Any]:
        """How replies of a task are stored, and read."""


class Replies(Generic[T]):
    """The replies of a job in their order, from the first of the run that is on, or was the last.

    ``for reply in job.replies(): …`` ends when the job has ended and all is read; so does ``async for``. When the job
    begins anew after something was given, `Restarted` is given first: what came before is void. Whoever reads stands at
    a place of its own; one `Replies` is read by one at a time.

    Every method raises `longshore.errors.JobRemoved` when there is no such job, `longshore.errors.InvalidValue` when a
    reply is not of the type that was asked for, and, where it waits, `longshore.errors.NotReady` when nothing comes in
    the time that was given, and `longshore.errors.Blocked` inside a task of the same application.
    """

    def __init__(self, app: Desk, identity: str, kind: Any, timeout: Seconds | None) -> None:
        self._app = app
        self._reading: Reading[T] = Reading(identity, self._codec_of)
        self._kind = kind
        self._timeout = timeout
        self._listener: Listener | None = None

    def __repr__(self) -> str:
        return f"<Replies of {self._reading.identity}>"

    def so_far(self) -> list[Reply[T] | Restarted]:
        """Those that are there and were not given before; does not wait."""
        self._look()
        while self._reading.has_more:
            self._look()
        return self._all_taken()

    def next(self, timeout: Seconds | None = None) -> Reply[T] | Restarted | None:
        """Waits for the next one; None when the job has ended and all is read.

        Args:
            timeout: how long at most; None for as long as was said to `Job.replies`.
        """
        if not self._reading.has_news():
            self._await_news(timeout)
        return self._take()

    def __iter__(self) -> Iterator[Reply[T] | Restarted]:
        with self._listening():
            while (message := self.next()) is not None:
                yield message

    async def aso_far(self) -> list[Reply[T] | Restarted]:
        """Those that are there and were not given before, on an event loop; what is asked at once is read at once."""
        await self._app.awaiting.look(self._reading)
        while self._reading.has_more:
            await self._app.awaiting.look(self._reading)
        return self._all_taken()

    async def anext(self, timeout: Seconds | None = None) -> Reply[T] | Restarted | None:  # noqa: ASYNC109 - as `next`
        """Waits for the next one on an event loop, as `next` does; one thread waits for all readers."""
        if not self._reading.has_news():
            await self._app.awaiting.look(self._reading)
        if not self._reading.has_news():
            self._check_not_in_a_task()
            await self._arrival(self._seconds(timeout))
        return self._take()

    async def __aiter__(self) -> AsyncIterator[Reply[T] | Restarted]:
        while (message := await self.anext()) is not None:
            yield message

    def _take(self) -> Reply[T] | Restarted | None:
        return self._reading.ready.popleft() if self._reading.ready else None

    def _all_taken(self) -> list[Reply[T] | Restarted]:
        return [self._reading.ready.popleft() for _ in range(len(self._reading.ready))]

    def _codec_of(self, job: StoredJob) -> TypedCodec[Any]:
        return self._app.telling_codec(job.task, self._kind)

    def _look(self) -> None:
        found = self._app.store.select(Where(ids=(self._reading.identity,)), limit=1, body=False).jobs
        self._reading.look(self._app.store, found[0] if found else None)

    def _await_news(self, timeout: Seconds | None) -> None:
        seconds = self._seconds(timeout)
        ends = None if seconds is None else time.monotonic() + seconds
        self._look()
        if self._reading.has_news():
            return
        self._check_not_in_a_task()
        with self._listening() as listener:
            self._look()
            while not self._reading.has_news():
                left = _RECHECK_SECONDS if ends is None else min(_RECHECK_SECONDS, ends - time.monotonic())
                if left <= 0:
                    raise self._not_ready(seconds)
                listener.wait(left)
                self._look()

    async def _arrival(self, seconds: float | None) -> None:
        import asyncio

        try:
            async with asyncio.timeout(seconds):
                await self._app.awaiting.replies.of(self._reading)
        except TimeoutError:
            raise self._not_ready(seconds) from None

    @contextmanager
    def _listening(self) -> Iterator[Listener]:
        """A listener: one for all of an iteration, or else one for each time that something is waited for."""
        if self._listener is not None:
            yield self._listener
            return
        topics = [told_topic(self._reading.identity), ended_topic(self._reading.identity)]
        listener = self._app.store.listen(topics)
        try:
            # From now on the run announces its replies; what it said before this is looked at after.
            self._app.store.update([Change(self._reading.identity, None, {"awaited": True}, UNENDED)])
            self._listener = listener
            yield listener
        finally:
            self._listener = None
            listener.close()

    def _seconds(self, timeout: Seconds | None) -> float | None:
        given = self._timeout if timeout is None else timeout
        return None if given is None else microseconds(given, name="timeout") / SECOND

    def _not_ready(self, seconds: float | None) -> NotReady:
        return NotReady(f"job {self._reading.identity} has sent no reply within {seconds} s")

    def _check_not_in_a_task(self) -> None:
        if is_in_task_of(self._app):
            raise Blocked(f"a task cannot wait for job {self._reading.identity}: it would keep its slot meanwhile")
