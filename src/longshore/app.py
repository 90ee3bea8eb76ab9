"""What users hold: an application with its tasks and its store."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, ParamSpec, Self, TypeVar

from longshore import registry
from longshore.application import Application
from longshore.calls.call import DEFAULT_QUEUE, Call, Options
from longshore.calls.unique import slot_of
from longshore.codecs import JSON, Choice, Codec, TypedCodec, is_native
from longshore.codecs.json import canonical
from longshore.connection import Connection
from longshore.contract import EVERY, By, Clock, Features, State, Where
from longshore.declaring import Declaring
from longshore.durations import Seconds
from longshore.enqueuing import admission
from longshore.enqueuing.after_commit import AfterCommit
from longshore.enqueuing.storing import enqueue_each
from longshore.enqueuing.workflows import Workflows
from longshore.errors import InvalidValue, LongshoreError, UnknownTask
from longshore.fetching import Fetch
from longshore.guard import DEFAULT_MAX_PAYLOAD, Guard
from longshore.hooks import Hooks
from longshore.ids import IdMaker
from longshore.jobs import Job
from longshore.limits.declaring import Regulating
from longshore.locks import Locking
from longshore.old_store import guarded, old_sides, old_store
from longshore.remote import Commands, Remote
from longshore.resources import Resources
from longshore.schedules import Schedule, Scheduling
from longshore.sides import sides_of
from longshore.tasks import Configured, Task
from longshore.telling import Post, TellingCodecs
from longshore.worker.settings import worker_settings
from longshore.worker.worker import Worker

if TYPE_CHECKING:
    from longshore.admin import Admin
    from longshore.aio import Awaiting

P = ParamSpec("P")
R = TypeVar("R")


class Longshore(Declaring, Locking, Regulating, Scheduling, Workflows):
    """An application: its tasks, and the store that its jobs are in.

    The store is opened when it is first needed, not before, and again in a forked child.

    Args:
        target: a URL such as ``sqlite:///jobs.db``, or a live handle of the store's library, which is never closed.
        require: features without which the application does not want to run.
        max_payload: bytes of the largest arguments or result.
        migrate: whether the store's schema is created and brought up to date when it is opened.
        patience: seconds for which calls are repeated while the store is away.
        codec: how arguments and results are stored: one of `longshore.codecs`, or the name of an installed one.
        old_codecs: in which stored jobs may be besides; what needs no key is always read.
        strict: whether tasks must say that they have completed, unless they are registered otherwise.
        moving_from: the store that the jobs are moved from: until all have arrived, workers work for both, and a job is
            found in either.
        clock: a test clock in place of the store's.
        options: the driver's own.
    """

    def __init__(
        self,
        target: Any,
        *,
        require: Features = registry.NOTHING,
        max_payload: int = DEFAULT_MAX_PAYLOAD,
        migrate: bool = True,
        patience: float = 10.0,
        codec: Codec[Any] | str = JSON,
        old_codecs: Iterable[Codec[Any] | str] = (),
        strict: bool = False,
        moving_from: Any = None,
        clock: Clock | None = None,
        **options: Any,
    ) -> None:
        Regulating.__init__(self)
        self.tasks: dict[str, Task[..., Any]] = {}
        self.schedules: dict[str, Schedule] = {}
        self.commands = Commands()
        self.hooks = Hooks()
        self.resources = Resources()
        self._strict = strict
        self._open_old = partial(old_store, max_payload=max_payload, patience=patience, clock=clock)
        self._old = self._open_old(moving_from)
        self._connection = Connection(
            target,
            require=require,
            max_payload=max_payload,
            migrate=migrate,
            patience=patience,
            clock=clock,
            options=options,
            guard=lambda driver, **given: guarded(driver, old=self._old, **given),
        )
        self._choice = Choice(codec, old_codecs)
        self._anything: TypedCodec[Any] = TypedCodec(self._choice, Any)
        self._telling_codecs = TellingCodecs(self._choice, Any)
        self._awaiting: dict[int, Awaiting] = {}
        self._make_id = IdMaker()

    def __repr__(self) -> str:
        return f"<Longshore {self._connection!r}>"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def enqueue(self, call: Call[R], *, tx: Any = None) -> Job[R]:
        """Stores a job that makes this call, and gives its handle.

        Args:
            call: made by ``task.call(…)`` or `call_by_name`.
            tx: the application's open connection or transaction: the job is there when it commits, and only then.

        Raises:
            Refused: a hook refused the call.
            IdConflict: another job is stored under the id that was given.
            UniqueConflict: another job holds the unique key, and the call is not to be skipped.
            Unavailable: the store did not answer; the job may be stored or not.
        """
        return self._handles(admission.enqueue(self, [call], self._make_id, tx=tx))[0]

    def enqueue_many(self, calls: Iterable[Call[Any]], *, tx: Any = None) -> list[Job[Any]]:
        """Stores any number of jobs at once, and gives their handles, in order.

        Raises:
            Refused: a hook refused one of the calls; none is stored.
            IdConflict: another job is stored under an id that was given; the others are stored.
            UniqueConflict: another job holds a unique key, and the call is not to be skipped; the others are stored.
            PartialInsert: the store failed after some of them were stored.
            Unavailable: the store did not answer; jobs may be stored or not.
        """
        given = list(calls)
        return self._handles(admission.enqueue(self, given, self._make_id, tx=tx) if given else ())

    async def aenqueue(self, call: Call[R], *, tx: Any = None) -> Job[R]:
        """Stores a job that makes this call, on an event loop: calls that come at the same time are stored at once.

        Who is cancelled meanwhile leaves the others alone; the job may then be stored or not.

        Args:
            call: made by ``task.call(…)`` or `call_by_name`.
            tx: an ``AsyncSession`` or ``AsyncConnection`` of SQLAlchemy's: the job is there when it commits, and only
                then.

        Raises:
            InvalidValue, Refused, IdConflict, UniqueConflict, Unavailable: as by `enqueue`, for this call alone.
        """
        if tx is not None:
            return (await self.aenqueue_many([call], tx=tx))[0]
        return Job(self, await admission.aenqueue(self, call))

    async def aenqueue_many(self, calls: Iterable[Call[Any]], *, tx: Any = None) -> list[Job[Any]]:
        """Stores any number of jobs at once, on an event loop, as `enqueue_many` does; ``tx`` as for `aenqueue`.

        Raises:
            Refused, IdConflict, UniqueConflict, PartialInsert, Unavailable: as by `enqueue_many`.
        """
        given = list(calls)
        return self._handles(await admission.aenqueue_many(self, given, self._make_id, tx=tx) if given else ())

    def admit(self, call: Call[R]) -> Call[R]:
        """The call as the application's hooks leave it: for what stores calls to be made later.

        Raises:
            Refused: a hook refused it.
        """
        return admission.admit(self, call)

    def _handles(self, answers: Iterable[str | LongshoreError]) -> list[Job[Any]]:
        jobs: list[Job[Any]] = []
        for answer in answers:
            if isinstance(answer, LongshoreError):
                raise answer
            jobs.append(Job(self, answer))
        return jobs

    def call_by_name(
        self, task: str, arguments: Mapping[str, Any] | None = None, *, options: Options | None = None
    ) -> Call[Any]:
        """A call of a task that need not be registered here, with its arguments by name.

        Raises:
            InvalidValue: an argument has no form in JSON.
        """
        if not isinstance(arguments, Mapping | None):
            raise InvalidValue(f"expected the arguments of {task} by name, in a mapping; got {arguments!r}")
        given = dict(arguments or {})
        if task in self.tasks:
            known = self.tasks[task]
            return (Configured(known, options) if options else known).call(**given)
        for name, value in given.items():
            if not is_native(value):
                raise InvalidValue(
                    f"argument {name!r} of {task} must be a JSON value, since its task is not known here"
                )
        payload = self._anything.encode(given)
        slot = slot_of(options.unique, task, partial(_identity, given)) if options and options.unique else None
        codec, fingerprint = self._anything.name, self._anything.fingerprint(payload)
        return Call(task, payload, options or Options(), slot=slot, codec=codec, fingerprint=fingerprint)

    def job(self, identity: str) -> Job[Any]:
        """The handle of the job with this id; whether there is one, its `Job.info` tells."""
        return Job(self, identity)

    def counts(self, queue: str | None = None) -> dict[State, int]:
        """How many jobs there are in each state, of one queue or of all."""
        where = Where(queues=(queue,)) if queue is not None else EVERY
        counts = dict.fromkeys(State, 0)
        for (_, state), number in self.store.count(By.QUEUE_STATE, where).items():
            counts[State(state)] += number
        return counts

    def worker(
        self, *, queues: str | Iterable[str] | Mapping[str, int] = (DEFAULT_QUEUE,), slots: int = 10, **settings: Any
    ) -> Worker:
        """A worker in this process: ``with app.worker():`` works in the background, ``.run()`` in the foreground.

        Args:
            queues: whose jobs it takes, merged by priority; with a weight for each, shared out by weight.
            slots: how many jobs run at a time.
            settings: see `longshore.worker.settings.WorkerSettings`.
        """
        if isinstance(queues, Mapping):
            settings["weights"] = queues
        names = (queues,) if isinstance(queues, str) else tuple(queues)
        return Worker(self, worker_settings(queues=names, slots=slots, **settings))

    def command(self, function: Callable[P, R], /) -> Callable[P, R]:
        """Has workers call a function, in their own process, when they are told to: ``app.remote.send("name", …)``."""
        return self.commands.register(function)

    @property
    def remote(self) -> Remote:
        """What sends commands to living workers."""
        return Remote(self.store)

    @property
    def admin(self) -> Admin:
        """What operators see of the store and do to its jobs."""
        from longshore.admin import Admin  # A tenth of the core's code, which workers and web servers never need.

        return Admin(self)

    def fetch(
        self,
        *queues: str,
        limit: int = 1,
        wait: Seconds | None = None,
        tasks: Iterable[str] | None = None,
        lease: Seconds = 60.0,
    ) -> Fetch:
        """Jobs by hand: ``for batch in app.fetch("mail", limit=5, wait=30): …``, each job reserved until it is settled.

        Args:
            queues: whose jobs are taken, merged by priority; the default one if none is named.
            limit: how many a batch holds at most.
            wait: how long is waited for a batch before the loop ends; None for ever.
            tasks: the names of tasks, no others are taken; None for any.
            lease: how long jobs stay reserved when this process dies.
        """
        return Fetch(self, queues or (DEFAULT_QUEUE,), limit=limit, wait=wait, tasks=tasks, lease=lease)

    def after_commit(self, session: Any) -> AfterCommit:
        """What enqueues once the application's own transaction has committed, and nothing if it is rolled back.

        For stores without transactions, such as Redis; where there are some, ``tx=`` promises more. What is rolled back
        to a savepoint takes its calls along. **A process that dies between the commit and the storing of the jobs loses
        them**: the application's data is there, and its jobs are not. If the store does not answer in that moment,
        `longshore.errors.NotEnqueued` is raised by the commit, which stands; Django logs it.

        Args:
            session: a ``Session`` or ``AsyncSession`` of SQLAlchemy's, or Django's ``connection``.

        Raises:
            InvalidValue: nobody is told when this commits.
        """
        return AfterCommit(self, session, self._make_id)

    def transaction(self) -> AbstractContextManager[Any]:
        """A transaction of the store, to be given as ``tx``: commits at the end of the block, else rolls back."""
        return self.store.transaction()

    @property
    def store(self) -> Guard:
        """The store, opened now if it was not before."""
        return self._connection.store

    @property
    def declared(self) -> Longshore:
        """The application as its modules have it: this."""
        return self

    @property
    def sides(self) -> Sequence[Application]:
        """The application as runs see it, at each store that its jobs are in."""
        return sides_of(self, self._connection) + old_sides(self, self._old)

    @property
    def moving_from(self) -> Any:
        """The store that it moves from, as it was given; None: it does not move."""
        return None if self._old is None else self._old.connection.target

    @property
    def awaiting(self) -> Awaiting:
        """What is awaited of this application in this process."""
        if os.getpid() not in self._awaiting:
            from longshore.aio import Awaiting

            self._awaiting.setdefault(os.getpid(), Awaiting(lambda: self.store, self._enqueue_each))
        return self._awaiting[os.getpid()]

    @property
    def post(self) -> Post:
        """What stores what runs tell in this process."""
        return self._connection.post

    def _enqueue_each(self, calls: Sequence[Call[Any]]) -> list[str | Exception]:
        return enqueue_each(self.store, calls, self._make_id)

    def another_store(self) -> Guard:
        """Another connection to the same store, whose calls are not repeated."""
        return self._connection.another_store()

    def close(self) -> None:
        """Closes the resources that it opened, and the store, unless a live handle was handed in."""
        self.resources.close()
        self._connection.close()
        if self._old is not None:
            self._old.connection.close()

    def use(self, target: Any, *, moving_from: Any = None) -> None:
        """Puts the jobs into another store from now on: for programs that are told where by an option."""
        self._connection.use(target)
        if moving_from is not None:
            self._old = self._open_old(moving_from)

    @contextmanager
    def elsewhere(
        self, target: Any, *, clock: Clock | None = None, guard: Callable[..., Guard] = Guard, **options: Any
    ) -> Iterator[Self]:
        """Puts the jobs into another store until the end of the block, and then goes back: for tests.

        No worker of this application may work in this process meanwhile. `longshore.testing.Harness` does more.

        Args:
            target: a URL, or a live handle of the store's library, which is never closed.
            clock: a test clock in place of the store's.
            guard: what stands around the driver.
            options: the driver's own.
        """
        before = self._connection
        self._connection = before.elsewhere(target, clock=clock, guard=guard, options=options)
        try:
            yield self
        finally:
            self._connection.close()
            self._connection = before

    def result_codec(self, task: str) -> TypedCodec[Any]:
        """How results of a task are stored, and read: as annotated if the task is registered here."""
        known = self.tasks.get(task)
        return known.result_codec if known else self._anything

    def telling_codec(self, task: str, kind: Any = None) -> TypedCodec[Any]:
        """How replies and cursors of a task are stored, and read: of this type, or as its context is annotated."""
        known = self.tasks.get(task)
        return (known.telling_codecs if known else self._telling_codecs).of(kind)

    def task_named(self, name: str) -> Task[..., Any]:
        """The task that is registered under a name.

        Raises:
            UnknownTask: none is.
        """
        try:
            return self.tasks[name]
        except KeyError:
            known = ", ".join(sorted(self.tasks)) or "none"
            raise UnknownTask(f"no task is registered as {name!r}; registered: {known}") from None


def _identity(arguments: Mapping[str, Any], names: tuple[str, ...]) -> bytes:
    if unknown := set(names) - set(arguments):
        raise InvalidValue(f"the call has no argument {', '.join(sorted(unknown))}")
    return canonical({name: arguments[name] for name in names or arguments})
