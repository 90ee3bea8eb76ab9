"""Short ways to what other systems offer, made of the public API alone: read it, use it, or write your own like it.

A simple queue of messages, jobs in batches, a line with a head and a tail, and requests that are replied to.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple, Self, TypeVar

from msgspec.structs import replace

from longshore.app import Longshore
from longshore.calls.call import Call, Options
from longshore.calls.unique import Unique, slot_of
from longshore.durations import Seconds, moment
from longshore.errors import UniqueConflict
from longshore.fetching import FetchedJob
from longshore.jobs import Job
from longshore.replies import Replies
from longshore.telling import Reply

__all__ = ["Message", "Requests", "SimpleQueue", "append", "batches", "prepend"]
R = TypeVar("R")
_MESSAGE: Final = "message"
_LONG_AGO: Final = datetime(1970, 1, 1, tzinfo=UTC)
_FAR_AHEAD: Final = datetime(2079, 1, 1, tzinfo=UTC)


class Message(NamedTuple):
    """What was put into a `SimpleQueue`, and the job that it travels in."""

    data: Any
    job: FetchedJob


class SimpleQueue:
    """Messages in, messages out: `put`, `get`, `done`. What was got and is not done is given to somebody else.

    Args:
        app: whose store keeps them.
        name: of the queue that they are in.
        wait: how long `get` waits for one.
    """

    def __init__(self, app: Longshore, name: str, *, wait: Seconds = 0.0) -> None:
        self._app = app
        self._options = Options(queue=name)
        self._fetch = app.fetch(name, wait=wait, tasks=[_MESSAGE])

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def put(self, data: Any, *, tx: Any = None) -> Job[Any]:
        """Stores a message, any JSON value; with ``tx`` when the application's transaction commits."""
        return self._app.enqueue(self._app.call_by_name(_MESSAGE, {"data": data}, options=self._options), tx=tx)

    def get(self) -> Message | None:
        """The next message, this process's own until it is `done`; None if none came in time."""
        batch = self._fetch.take()
        return Message(batch[0].arguments()["data"], batch[0]) if batch else None

    def done(self, message: Message) -> None:
        """The message need not be given to anybody again.

        Raises:
            LeaseLost: it was given to somebody else meanwhile.
        """
        message.job.finish()

    def close(self) -> None:
        """Hands back what is not done."""
        self._fetch.close()


def batches(app: Longshore, queue: str, size: int, *, wait: Seconds | None = None) -> Iterator[list[FetchedJob]]:
    """Jobs of a queue, up to ``size`` at a time, to be settled one by one; ends when none came for so long."""
    yield from app.fetch(queue, limit=size, wait=wait)


def append(app: Longshore, call: Call[R], identity: str) -> Job[R] | None:
    """Puts a call at the tail of its queue; None if one with this identity is there already, and not yet taken."""
    unique = Unique(until="start", key=identity, if_held="raise")
    slot = slot_of(unique, f"line {call.options.queue}", lambda names: b"")
    try:
        return app.enqueue(replace(call, slot=slot))
    except UniqueConflict:
        return None


def prepend(app: Longshore, call: Call[R], identity: str) -> Job[R] | None:
    """Puts a call at the head of its queue, before those of its priority that are there; else as `append`."""
    # Due the longer ago the later it comes, so that the last one at the head is the first to be taken.
    due = _LONG_AGO + (_FAR_AHEAD - moment(app.store.now()))
    return append(app, replace(call, options=replace(call.options, at=due)), identity)


class Requests:
    """Requests that are replied to: `send`, then `check` now and then, or `receive` what was replied last."""

    def __init__(self, app: Longshore) -> None:
        self._app = app
        self._checked: dict[str, Replies[Any]] = {}

    def send(self, call: Call[Any], *, tx: Any = None) -> str:
        """Stores a job, and gives the id under which it is asked for."""
        return self._app.enqueue(call, tx=tx).id

    def check(self, identity: str) -> Any:
        """What was replied last since it was checked before; None if nothing was. Does not wait."""
        return _last(self._checked.setdefault(identity, self._app.job(identity).replies()))

    def uncheck(self, identity: str) -> None:
        """It is not checked any more."""
        self._checked.pop(identity, None)

    def receive(self, identity: str) -> Any:
        """What was replied last; None if nothing was. May be asked again."""
        return _last(self._app.job(identity).replies())


def _last(replies: Replies[Any]) -> Any:
    values = [message.value for message in replies.so_far() if isinstance(message, Reply)]
    return values[-1] if values else None
