"""Tasks: functions that jobs run, and calls of them that are not yet enqueued."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from functools import partial
from typing import Any, Generic, Literal, ParamSpec, Protocol, TypeAlias, TypeVar, get_args

from msgspec import UNSET, UnsetType
from msgspec.structs import replace

from longshore.calls.arguments import Arguments, hints_of, result_codec, unreadable_call
from longshore.calls.bonds import bonds_of, several
from longshore.calls.call import Call, Named, Options, Parent
from longshore.calls.unique import Uniqueness, slot_of
from longshore.codecs import Choice, TypedCodec
from longshore.contract import SECOND, NewJob, StoredJob
from longshore.durations import Seconds, microseconds
from longshore.errors import ConfigurationError, InvalidValue
from longshore.hooks import Hooks, TaskHooks
from longshore.jobs import Job
from longshore.redaction import shown_value
from longshore.retry import Retry
from longshore.telling import TellingCodecs

P = ParamSpec("P")
R = TypeVar("R")
Executor: TypeAlias = Literal["thread", "process"]


class Enqueuer(Protocol):
    """What a task needs of its application."""

    @property
    def hooks(self) -> Hooks:
        """What it adds to every job."""

    def enqueue(self, call: Call[R], *, tx: Any = None) -> Job[R]:
        """Stores a job that makes this call."""

    async def aenqueue(self, call: Call[R]) -> Job[R]:
        """The same, on an event loop."""


class Configured(Generic[P, R]):
    """A task with other options."""

    def __init__(self, task: Task[P, R], options: Options) -> None:
        self._task = task
        self._options = options

    def call(self, *args: P.args, **kwargs: P.kwargs) -> Call[R]:
        """A call to enqueue later.

        Raises:
            InvalidValue: the arguments do not fit, or one has no form in JSON.
        """
        arguments = self._task.arguments
        return self._made(arguments.encode(args, kwargs), partial(arguments.identity, args, kwargs))

    def call_named(self, values: Mapping[str, Any]) -> Call[R]:
        """The same with arguments by name, as they are stored: those of a ``*rest`` as a list, of a ``**rest`` as an
        object.

        Raises:
            InvalidValue: as by `call`.
        """
        arguments = self._task.arguments
        return self._made(arguments.encode_named(values), partial(arguments.identity_named, values))

    def _made(self, payload: bytes, identity: Callable[[tuple[str, ...]], bytes]) -> Call[R]:
        task, unique = self._task, self._options.unique
        slot = slot_of(unique, task.name, identity) if unique else None
        most, fingerprint = task.retry.max_attempts, task.arguments.fingerprint(payload)
        return Call(task.name, payload, self._options, most, slot, task.arguments.codec, fingerprint)

    def enqueue(self, *args: P.args, **kwargs: P.kwargs) -> Job[R]:
        """Stores a job that will call the task, and gives its handle."""
        return self._task.app.enqueue(self.call(*args, **kwargs))

    async def aenqueue(self, *args: P.args, **kwargs: P.kwargs) -> Job[R]:
        """The same on an event loop; see `Longshore.aenqueue`."""
        return await self._task.app.aenqueue(self.call(*args, **kwargs))


class Task(Generic[P, R]):
    """A function that jobs run. Calling the task calls the function, here and now."""

    def __init__(
        self,
        app: Enqueuer,
        function: Callable[..., Any],
        *,
        name: str,
        options: Options,
        retry: Retry,
        timeout: Seconds | None = None,
        executor: Executor = "thread",
        memory: float | None = None,
        strict: bool = False,
        choice: Choice,
        secret: Iterable[str] = (),
    ) -> None:
        check_executor(name, executor, memory)
        self.app = app
        self.name = name
        self.queue = options.queue
        self.retry = retry
        self.timeout = None if timeout is None else microseconds(timeout, name="timeout") / SECOND
        self.executor = executor
        self.memory = memory
        self.strict = strict
        self.function = function
        self.is_async = inspect.iscoroutinefunction(function)
        self.takes_context = takes_context(function)
        self.arguments = Arguments(function, skip_first=self.takes_context, choice=choice, secret=secret, name=name)
        self.result_codec: TypedCodec[R] = result_codec(function, choice)
        self.telling_codecs = TellingCodecs(choice, replies_of(function) if self.takes_context else Any)
        self._options = options
        self._plain: Configured[P, R] = Configured(self, options)
        self.__doc__ = function.__doc__

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.function(*args, **kwargs)

    def __repr__(self) -> str:
        return f"<Task {self.name}>"

    @property
    def hooks(self) -> TaskHooks:
        """What is added to the jobs of this task alone."""
        return self.app.hooks.of_task(self.name)

    def call(self, *args: P.args, **kwargs: P.kwargs) -> Call[R]:
        """A call to enqueue later, alone or with others.

        Raises:
            InvalidValue: the arguments do not fit, or one has no form in JSON.
        """
        return self._plain.call(*args, **kwargs)

    def enqueue(self, *args: P.args, **kwargs: P.kwargs) -> Job[R]:
        """Stores a job that will call the function with these arguments, and gives its handle.

        Raises:
            InvalidValue: the arguments do not fit, or one has no form in JSON.
            Unavailable: the store did not answer; the job may be stored or not.
        """
        return self._plain.enqueue(*args, **kwargs)

    async def aenqueue(self, *args: P.args, **kwargs: P.kwargs) -> Job[R]:
        """The same on an event loop; see `Longshore.aenqueue`."""
        return await self._plain.aenqueue(*args, **kwargs)

    def options(
        self,
        *,
        id: str | None = None,
        queue: str | None = None,
        priority: int | None = None,
        delay: Seconds = 0.0,
        at: datetime | None = None,
        expires: Seconds | datetime | None = None,
        max_attempts: int | UnsetType | None = UNSET,
        notes: Mapping[str, Any] | None = None,
        unique: Uniqueness | UnsetType | None = UNSET,
        after: Parent | Iterable[Parent] = (),
        lax: bool = False,
        if_parent_fails: Literal["cancel", "wait"] = "cancel",
        key: str | None = None,
        turns: int = 1,
        group: str | Named | None = None,
        on_success: Call[Any] | None = None,
        on_failure: Call[Any] | None = None,
        on_end: Call[Any] | None = None,
    ) -> Configured[P, R]:
        """The same task, enqueued otherwise.

        Args:
            id: the job's id, instead of a generated one; enqueuing the same call again under it changes nothing.
            queue: another queue.
            priority: -32768 to 32767, higher first.
            delay: not before so long from now.
            at: not before that moment, which must have a time zone.
            expires: not after so long from now, or that moment: the job becomes EXPIRED when it has not begun by then.
            max_attempts: how often it may run; None for no limit.
            notes: a JSON object that is kept with the job.
            unique: a `Unique`, `Debounce` or `Throttle`; None for as many jobs as there are calls.
            after: it waits until these have ended, its parents: jobs, ids, or other calls of the same `enqueue_many`;
                at most 1,000. One that is not stored counts as one that has succeeded.
            lax: it runs however its parents end.
            if_parent_fails: whether it is cancelled when a parent ends other than by success, or waits until somebody
                retries the parent.
            key: of all jobs with it one runs at a time, in order of insertion, through all retries.
            turns: so many of a key run at a time, not one.
            group: of which it is a member; see `Longshore.group`.
            on_success, on_failure, on_end: calls that become jobs of their own when it has succeeded, has ended
                otherwise, or has ended at all.
        """
        own = self._options
        options = replace(
            own,
            id=id,
            queue=queue if queue is not None else own.queue,
            priority=priority if priority is not None else own.priority,
            delay=delay,
            at=at,
            expires=expires,
            max_attempts=max_attempts,
            notes=notes or {},
            unique=own.unique if unique is UNSET else unique,
            bonds=bonds_of(several(after), lax, if_parent_fails, key, turns, group, (on_success, on_failure, on_end)),
        )
        return Configured(self, options)


def shown_call(tasks: Mapping[str, Task[..., Any]], job: StoredJob | NewJob) -> str:
    """The call that a job makes, as people may see it: secret arguments are hidden, and all of them where the task, and
    so which are secret, is not known."""
    task = tasks.get(job.task)
    if task is None:
        return unreadable_call(job.task, job.payload, job.codec)
    return task.arguments.shown(job.task, job.payload, job.codec)


def shown_result(tasks: Mapping[str, Task[..., Any]], job: StoredJob) -> str | None:
    """What a job returned, as people may see it; None: nothing, or it has not succeeded. It is hidden where the task,
    and so what is secret, is not known."""
    if job.result is None or job.result_codec is None:
        return None
    task, unreadable = tasks.get(job.task), f"… {len(job.result):,} bytes of {job.result_codec}"
    if task is None:
        return unreadable
    try:
        value = task.result_codec.decode(job.result, job.result_codec)
    except Exception:  # noqa: BLE001 - what is stored may be anything, and a type's own hook may raise anything
        return unreadable
    return task.arguments.hider(job.payload, job.codec)(shown_value(value))


def takes_context(function: Callable[..., Any]) -> bool:
    """Whether the first parameter is annotated as the `Context`."""
    first = next(iter(inspect.signature(function).parameters), None)
    return first is not None and getattr(hints_of(function).get(first), "is_context", False)


def replies_of(function: Callable[..., Any]) -> Any:
    """Of which type replies are, as the `Context` is annotated: ``Context[Step]``."""
    first = next(iter(inspect.signature(function).parameters))
    return next(iter(get_args(hints_of(function)[first])), Any)


def check_function(function: object) -> None:
    """Refuses what cannot be looked up by name and called with arguments alone.

    Raises:
        ConfigurationError: it is a method, a class, a lambda, a generator or not callable.
    """
    if not inspect.isfunction(function):
        raise ConfigurationError(
            f"a task must be a plain function, so that a worker can call it by name; {function!r} is a "
            f"{type(function).__name__}: write a function that calls it"
        )
    if function.__name__ == "<lambda>":
        raise ConfigurationError("a task must have a name under which a worker finds it; a lambda has no name: use def")
    if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
        raise ConfigurationError(f"a task must return its result; {function.__qualname__} is a generator")
    names = list(inspect.signature(function).parameters)
    if names and names[0] in ("self", "cls"):
        raise ConfigurationError(
            f"a task must be a function; {function.__qualname__} is a method: a worker would have no object to call it "
            "on. Write a function, and pass it what it needs"
        )


def check_call(call: object) -> None:
    """Refuses what is no call.

    Raises:
        InvalidValue: it is not.
    """
    if not isinstance(call, Call):
        made = f"{call.name}.call(…)" if isinstance(call, Task) else "task.call(…)"
        raise InvalidValue(f"expected a call, made by {made}; got {type(call).__qualname__} {call!r}")


def check_executor(name: str, executor: str, memory: float | None) -> None:
    """Refuses limits that would not hold.

    Raises:
        ConfigurationError: there is no such executor, or memory is to be limited where a run has no process of its own.
    """
    if executor not in ("thread", "process"):
        raise ConfigurationError(f"the executor of {name} must be 'thread' or 'process'; it is {executor!r}")
    if memory is not None and executor != "process":
        raise ConfigurationError(
            f"memory of {name} cannot be limited, since its runs share a process: add executor='process'"
        )
    if memory is not None and memory <= 0:
        raise ConfigurationError(f"memory of {name} must be more than 0 megabytes; it is {memory:g}")
