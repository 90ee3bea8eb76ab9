"""What a running task can know of its job."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextvars import Token
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Protocol, Self, TypeVar

from msgspec import Struct
from msgspec.structs import replace as replaced

from longshore.calls.call import Call
from longshore.codecs import TypedCodec
from longshore.completing.finishing import finished
from longshore.completing.replacing import counted, under_lasting_ids
from longshore.contract import Change, Features, Fields, Outcome, State, StoredJob
from longshore.current import CURRENT, Running
from longshore.errors import IllegalMove, LeaseLost, NotCommitted, Unsupported
from longshore.guard import Guard
from longshore.jobs import Job
from longshore.parents import Parent
from longshore.progress import note_of, progress_of
from longshore.resources import Resources
from longshore.telling import Cursor, Post, Voice, packed
from longshore.transactions import within

if TYPE_CHECKING:
    from typing_extensions import TypeVar as TypeVarWithDefault

    S_contra = TypeVarWithDefault("S_contra", contravariant=True, default=object)
else:
    S_contra = TypeVar("S_contra", contravariant=True)

T = TypeVar("T")


class Owner(Protocol):
    """What a run needs of its application."""

    @property
    def declared(self) -> Any:
        """The application as its modules have it."""

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

    def result_codec(self, task: str) -> TypedCodec[Any]:
        """How results of a task are stored, and read."""

    def telling_codec(self, task: str, kind: Any = None) -> TypedCodec[Any]:
        """How replies and cursors of a task are stored, and read."""

    def enqueue_many(self, calls: Iterable[Any], *, tx: Any = None) -> list[Any]:
        """Stores any number of jobs at once."""


class Completion(Struct, frozen=True):
    """What a run said when it had done its work."""

    result: Any
    is_in_transaction: bool = False
    """It was said in a transaction, of which nobody here knows whether it was committed."""
    change: Change | None = None
    """What settles the run, whatever else is said."""


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
        self._before: Token[Running | None] = CURRENT.set(self)
        return self

    def __exit__(self, *_: object) -> None:
        CURRENT.reset(self._before)

    @staticmethod
    def current() -> Context | None:
        """The run that this code is in; None outside of tasks."""
        running = CURRENT.get()
        return running if isinstance(running, Context) else None

    def is_of(self, app: object) -> bool:
        """Whether it is a task of this application that runs."""
        return self._app.declared is app

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

    def complete(self, result: Any = None, *, tx: Any = None) -> None:
        """Says that the work is done, with this result; a strict task must.

        The job succeeds when the run ends, whatever the task returns or raises after this: what is done is not done
        again. An error is logged.

        With ``tx``, the application's open connection or transaction, the job succeeds when that commits, and only
        then: together with what the task did in it, exactly once. If it is not committed, the attempt has failed.

        Raises:
            IllegalMove: it was said before, otherwise than in a transaction.
            InvalidValue, TooLarge: with ``tx``, the result cannot be stored.
            LeaseLost: with ``tx``, this run does not hold its job any more.
            Unsupported: with ``tx``, the store has no transactions.
        """
        self._check_may_complete(again=tx is not None)
        if tx is None:
            self.completion = Completion(result)
            return
        self._check_transactions()
        self._settle(self._with_unsaid(self._finished(result)), tx)
        self.completion = Completion(result, is_in_transaction=True)

    async def acomplete(self, result: Any = None, *, tx: Any = None) -> None:
        """Says that the work is done, on an event loop, as `complete` does; ``tx`` is an ``AsyncSession`` or
        ``AsyncConnection`` of SQLAlchemy's."""
        if tx is None:
            self.complete(result)
        else:
            await within(tx, lambda own: self.complete(result, tx=own))

    def replace(self, calls: Iterable[Call[Any]], *, result: Any = None) -> list[Job[Any]]:
        """Stores new jobs and ends this one with success, in one step; gives their handles.

        A run that dies meanwhile leaves nothing, or what the next run finds there: no job is lost, none is stored
        twice. The run has its outcome then, whatever the task returns or raises after this.

        Args:
            calls: made by ``task.call(…)``.
            result: of this job.

        Raises:
            IdConflict, UniqueConflict: as by `Longshore.enqueue_many`; with transactions, nothing is stored then.
            IllegalMove: the run was completed before.
            InvalidValue, TooLarge: the result cannot be stored.
            LeaseLost: with transactions, this run does not hold its job any more; nothing is stored then.
            Unavailable: the store did not answer; what is done of it is not done again by the next attempt.
        """
        self._check_may_complete()
        change = self._finished(result)
        change = self._with_unsaid(replaced(change, fields={**change.fields, **counted(self._job)}))
        named = under_lasting_ids(self._job, list(calls))
        if Features.TRANSACTIONS in self._app.store.features:
            with self._app.store.transaction() as transaction:
                jobs = self._app.enqueue_many(named, tx=transaction)
                self._settle(change, transaction)
        else:
            jobs = self._app.enqueue_many(named)
        self.completion = Completion(result, change=change)
        return jobs

    async def areplace(self, calls: Iterable[Call[Any]], *, result: Any = None) -> list[Job[Any]]:
        """Stores new jobs and ends this one, on an event loop, as `replace` does."""
        import asyncio

        return await asyncio.to_thread(self.replace, calls, result=result)

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

    def outcome(self, result: Any, error: BaseException | None) -> tuple[Any, BaseException | None]:
        """What the run has come to, when its task has returned or raised this: its result, or its error."""
        if self.completion is None:
            return result, error
        return self.completion.result, error if self.completion.is_in_transaction else None

    def doubt(self) -> NotCommitted | None:
        """What the run that has returned has failed with, where it was completed in a transaction: right if that is not
        committed, and without effect if it is, since the run is settled then."""
        if self.completion is None or not self.completion.is_in_transaction:
            return None
        return NotCommitted(f"job {self.job_id} was completed in a transaction that is not committed")

    def ending(self, change: Change) -> Change:
        """The change that ends the run: this one, with all that the run has told and that may not be stored, unless the
        run has made another. Nothing more is told after it."""
        completion = self.completion
        ending = self._with_unsaid(change) if completion is None or completion.change is None else completion.change
        if self._voice is not None:
            self._voice.end()
        return ending

    def _with_unsaid(self, change: Change) -> Change:
        fields: Fields = self._voice.unsaid() if self._voice is not None else {}
        if change.to is State.SUCCEEDED and (self._job.cursor is not None or self._cursor is not None):
            fields["cursor"] = None
        if not fields:
            return change
        notes = {**fields.get("notes", {}), **change.fields.get("notes", {})}
        both: Fields = {**fields, **change.fields}
        return replaced(change, fields={**both, "notes": notes} if notes else both)

    def _check_may_complete(self, *, again: bool = False) -> None:
        if self.completion is not None and not (again and self.completion.is_in_transaction):
            raise IllegalMove(f"job {self.job_id} was completed before in this run: a run completes once")

    def _check_transactions(self) -> None:
        if Features.TRANSACTIONS not in self._app.store.features:
            raise Unsupported(
                "completing in a transaction needs a store that has them, and this one has none: leave out tx, and the "
                "job succeeds when the run ends"
            )

    def _finished(self, result: Any) -> Change:
        return finished(self._job, result, self._app.result_codec(self._job.task), self._app.store.max_payload)

    def _settle(self, change: Change, tx: Any) -> None:
        if self._app.store.update([change], tx=tx)[0].outcome is Outcome.REFUSED:
            raise LeaseLost(
                f"this run of job {self.job_id} does not hold it any more: the job was rescued, retried or removed, "
                "and what the run did in this transaction must not be committed"
            )

    def _telling(self) -> Voice:
        if self._voice is None:
            self._voice = self._app.post.voice_of(self._job)
        return self._voice

    def _message(self, value: S_contra) -> bytes:
        codec = self._app.telling_codec(self._job.task)
        return packed(value, codec, "a reply", self._app.store.max_payload)
