"""What hooks are told: one value for each moment."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from longshore.calls.call import Options
from longshore.context import Context
from longshore.errors import InvalidValue


class Enqueuing:
    """A call that is about to be enqueued.

    Attributes:
        task: the name of its task.
        options: how it is enqueued; to be replaced as a whole, or by `change`.
    """

    __slots__ = ("_arguments", "_read", "options", "task")

    def __init__(self, task: str, options: Options, read: Callable[[], dict[str, Any]]) -> None:
        self.task = task
        self.options = options
        self._read = read
        self._arguments: dict[str, Any] | None = None

    @property
    def arguments(self) -> dict[str, Any]:
        """Its arguments by name, those left at their default not among them; what is set here is stored."""
        if self._arguments is None:
            self._arguments = self._read()
        return self._arguments

    @property
    def is_read(self) -> bool:
        """Whether somebody has asked for the arguments, and so may have changed them."""
        return self._arguments is not None

    def change(self, **options: Any) -> None:
        """Changes options: ``change(queue="slow", priority=-5)``.

        Raises:
            InvalidValue: there is no such option.
        """
        try:
            self.options = msgspec.structs.replace(self.options, **options)
        except TypeError as error:
            raise InvalidValue(f"expected options of a call, such as queue= or priority=: {error}") from error


class Payload:
    """The bytes that a call's arguments are stored as.

    Attributes:
        task: the name of the task.
        codec: the name of the codec that the arguments were encoded with.
        data: the bytes; to be replaced.
    """

    __slots__ = ("codec", "data", "task")

    def __init__(self, task: str, codec: str, data: bytes) -> None:
        self.task = task
        self.codec = codec
        self.data = data

    def checked(self) -> bytes:
        """The bytes.

        Raises:
            InvalidValue: a hook has put something else there.
        """
        if type(self.data) is not bytes:
            found = type(self.data).__qualname__
            raise InvalidValue(f"the payload of a job must be bytes; a hook of {self.task} made it a {found}")
        return self.data


class Enqueued(msgspec.Struct, frozen=True, kw_only=True):
    """A call that has its job.

    Attributes:
        job_id: the id of the job; of the one that was there before, where a unique call is skipped.
        task: the name of its task.
        options: how it was enqueued.
    """

    job_id: str
    task: str
    options: Options


class Starting(msgspec.Struct, frozen=True, kw_only=True):
    """A run that is about to begin.

    Attributes:
        context: the run.
        arguments: by name, those left at their default not among them; what is set here the task is called with.
    """

    context: Context
    arguments: dict[str, Any]


class Worked(msgspec.Struct, frozen=True, kw_only=True):
    """A task that has ended; what it comes to is not stored yet.

    Attributes:
        context: the run.
        result: what it returned, or completed with; None if it raised.
        error: what it raised; None if it returned.
    """

    context: Context
    result: Any = None
    error: BaseException | None = None


class Settled(msgspec.Struct, frozen=True, kw_only=True):
    """A run whose outcome is stored.

    Attributes:
        job_id, task, queue, notes: of the job.
        attempt: which attempt it was, 1 for the first.
        max_attempts: how many there may be; None for no limit.
        error: what was raised, as it is stored, secret arguments hidden; None after success.
        traceback: where, in the same way.
        retry_in: seconds until the next attempt; None when there is none.
    """

    job_id: str
    task: str
    queue: str
    notes: Mapping[str, Any]
    attempt: int
    max_attempts: int | None
    error: str | None = None
    traceback: str | None = None
    retry_in: float | None = None
    _read: Callable[[], Any] = lambda: None

    @property
    def result(self) -> Any:
        """What the task returned, as whoever waits for it gets it."""
        return self._read()
