"""What a running task can know of its job."""

from __future__ import annotations

from collections.abc import Sequence
from contextvars import ContextVar, Token
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Protocol, Self, TypeVar

from msgspec import Struct
from msgspec.structs import replace

from longshore.codecs import TypedCodec
from longshore.contract import Change, Fields, State, StoredJob
from longshore.errors import IllegalMove
from longshore.guard import Guard
from longshore.progress import note_of, progress_of
from longshore.resources import Resources
from longshore.telling import Cursor, Post, Voice, packed

if TYPE_CHECKING:
    from typing_extensions import TypeVar as TypeVarWithDefault

    from longshore.parents import Parent

    S_contra = TypeVarWithDefault("S_contra", contravariant=True, default=object)
else:
    S_contra = TypeVar("S_contra", contravariant=True)

T = TypeVar("T")

_current: ContextVar[Context[Any] | None] = ContextVar("longshore.context", default=None)


class Owner(Protocol):
    """What a run needs of its application."""

    @property
    def store(self) -> Guard:
        """The store that the job is in."""

    @property
    def post(self) -> Post:
        """What stores what its runs tell."""

    @property
    def resources(self) -> Resources:
        """What it gives to its tasks."""

    def parents_of(self, identities: Sequence[str]) -> list[Parent]:
        """How these jobs stand, and what they returned."""

    def telling_codec(self, task: str, kind: Any = None) -> TypedCodec[Any]:
        """How replies and cursors of a task are stored, and read."""


class Completion(Struct, frozen=True):
    """What a run said when it had done its work."""

    result: Any


class Context(Generic[S_contra]):
    """The run that a task is in; a task that wants it names it as its first parameter's type.

    ``Context[Step]`` says of which type its replies are; a plain ``Context`` takes what the codec brings back.

    Attributes:
        job_id: the job's id.
        attempt: which attempt this is, 1 for the first.
        max_attempts: how many there may be; None for no limit.
        completion: what the run has said by `complete`; None so far.
    """

    __slots__ = ("_app", "_before", "_cursor", "_job", "_voice", "completion")
    is_context: ClassVar[bool] = True

    def __init__(self, app: Owner, job: StoredJob) -> None:
        self._app = app
        self._job = job
        self._voice: Voice | None = None
        self._cursor: Cursor | None = None
        self.completion: Completion | None = None

    def __enter__(self) -> Self:
        self._before: Token[Context[Any] | None] = _current.set(self)
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

    def parents(self) -> list[Parent]:
        """The jobs that this one waited for, in the order in which it names them, with their results or errors."""
        return self._app.parents_of(self._job.parents)

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

    def reply(self, value: S_contra) -> None:
        """Sends a message to whoever reads `Job.replies`; it is stored when this returns. A run may send any number.

        Raises:
            InvalidValue, TooLarge: the value cannot be stored.
            LeaseLost: this run does not hold its job any more.
            Unavailable: the store did not answer; the message may be stored or not.
        """
        self._telling().reply(self._message(value)).result()

    async def areply(self, value: S_contra) -> None:
        """Sends a message, on an event loop, as `reply` does; what is sent at the same time is stored at once."""
        import asyncio

        await asyncio.wrap_future(self._telling().reply(self._message(value)))

    def progress(self, done: float = 0, total: float | None = None, message: str = "") -> None:
        """Says how far the run has come: ``done`` of ``total``, and a word about it. Shown by `Job.info`.

        It waits for nothing, and may be called as often as one likes: it is written about once a second, and with the
        run's end, the last alone.

        Raises:
            InvalidValue: a number is not finite.
        """
        self._telling().keep({"notes": note_of(progress_of(done, total, message))})

    @property
    def cursor(self) -> Cursor:
        """Where the job stands; its next attempt goes on from there."""
        if self._cursor is None:
            codec_of = partial(self._app.telling_codec, self._job.task)
            self._cursor = Cursor(self._telling, codec_of, self._app.store, self._job.cursor)
        return self._cursor

    def ending(self, change: Change) -> Change:
        """The change that ends the run, with all that the run has told and that may not be stored."""
        fields: Fields = {}
        if self._voice is not None:
            fields = self._voice.unsaid()
            self._voice.end()
        if change.to is State.SUCCEEDED and (self._job.cursor is not None or self._cursor is not None):
            fields["cursor"] = None
        return replace(change, fields={**fields, **change.fields}) if fields else change

    def _telling(self) -> Voice:
        if self._voice is None:
            self._voice = Voice(self._app.post, self._job)
        return self._voice

    def _message(self, value: S_contra) -> bytes:
        codec = self._app.telling_codec(self._job.task)
        return packed(value, codec, "a reply", self._app.store.max_payload)
