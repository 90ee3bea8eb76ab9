"""What a running task can know of its job."""

from __future__ import annotations

from contextvars import ContextVar, Token
from typing import Any, ClassVar, Protocol, Self, TypeVar

from msgspec import Struct

from longshore.contract import StoredJob
from longshore.errors import IllegalMove
from longshore.resources import Resources

T = TypeVar("T")

_current: ContextVar[Context | None] = ContextVar("longshore.context", default=None)


class Owner(Protocol):
    """What a run needs of its application."""

    @property
    def resources(self) -> Resources:
        """What it gives to its tasks."""


class Completion(Struct, frozen=True):
    """What a run said when it had done its work."""

    result: Any


class Context:
    """The run that a task is in; a task that wants it names it as its first parameter's type.

    Attributes:
        job_id: the job's id.
        attempt: which attempt this is, 1 for the first.
        max_attempts: how many there may be; None for no limit.
        completion: what the run has said by `complete`; None so far.
    """

    __slots__ = ("_app", "_before", "_job", "completion")
    is_context: ClassVar[bool] = True

    def __init__(self, app: Owner, job: StoredJob) -> None:
        self._app = app
        self._job = job
        self.completion: Completion | None = None

    def __enter__(self) -> Self:
        self._before: Token[Context | None] = _current.set(self)
        return self

    def __exit__(self, *_: object) -> None:
        _current.reset(self._before)

    @staticmethod
    def current() -> Context | None:
        """The run that this code is in; None outside of tasks."""
        return _current.get()

    def is_of(self, app: object) -> bool:
        """Whether it is a task of this application that runs."""
        return self._app is app

    @property
    def run(self) -> tuple[str, int, str]:
        """What names this run and no other: the job's id, its generation, and who holds it."""
        return self._job.id, self._job.generation, self._job.holder or ""

    @property
    def job_id(self) -> str:
        return self._job.id

    @property
    def task(self) -> str:
        return self._job.task

    @property
    def queue(self) -> str:
        return self._job.queue

    @property
    def attempt(self) -> int:
        return self._job.attempt

    @property
    def max_attempts(self) -> int | None:
        return self._job.max_attempts

    @property
    def crashes(self) -> int:
        """How often a worker died while it ran this job."""
        return self._job.crashes

    def resource(self, kind: type[T]) -> T:
        """What was given to the application as a resource of this type.

        Raises:
            MissingResource: nothing was.
        """
        return self._app.resources.of(kind)

    def complete(self, result: Any = None) -> None:
        """Says that the work is done, with this result; a strict task must.

        The job succeeds when the run ends, whatever the task returns or raises after this: what is done is not done
        again. An error is logged.

        Raises:
            IllegalMove: it was said before.
        """
        if self.completion is not None:
            raise IllegalMove(f"job {self.job_id} was completed before in this run: a run completes once")
        self.completion = Completion(result)
