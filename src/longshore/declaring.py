"""How a function becomes a task of an application."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, Concatenate, Final, ParamSpec, Protocol, TypeVar, overload

from longshore import plugins
from longshore.calls.call import DEFAULT_QUEUE, Call, Options
from longshore.calls.unique import Uniqueness
from longshore.codecs import Choice, Codec
from longshore.context import Context
from longshore.durations import Seconds
from longshore.errors import ConfigurationError
from longshore.guard import check_priority, check_text
from longshore.hooks import Hooks
from longshore.jobs import Job
from longshore.retry import Retry
from longshore.tasks import Enqueuer, Executor, Task, check_function

GROUP: Final = "longshore.tasks"
P = ParamSpec("P")
R = TypeVar("R")
_DEFAULT_RETRY = Retry()


class Registry(Enqueuer, Protocol):
    """What a declaration needs of its application."""

    tasks: dict[str, Task[..., Any]]


class TaskDecorator:
    """What ``@app.task(…)`` with options gives."""

    def __init__(
        self,
        app: Registry,
        name: str | None,
        options: Options,
        retry: Retry,
        timeout: Seconds | None,
        executor: Executor,
        memory: float | None,
        strict: bool,
        choice: Choice,
        secret: Iterable[str],
    ) -> None:
        self._app = app
        self._name = name
        self._options = options
        self._retry = retry
        self._timeout = timeout
        self._executor = executor
        self._memory = memory
        self._strict = strict
        self._choice = choice
        self._secret = secret

    @overload
    def __call__(self, function: Callable[Concatenate[Context, P], Awaitable[R]], /) -> Task[P, R]: ...
    @overload
    def __call__(self, function: Callable[Concatenate[Context, P], R], /) -> Task[P, R]: ...
    @overload
    def __call__(self, function: Callable[P, Awaitable[R]], /) -> Task[P, R]: ...
    @overload
    def __call__(self, function: Callable[P, R], /) -> Task[P, R]: ...
    def __call__(self, function: Any, /) -> Any:
        """Registers the function."""
        check_function(function)
        name = self._name if self._name is not None else function.__name__
        check_text(name, "a task's name")
        check_text(self._options.queue, "a queue's name")
        check_priority(self._options.priority)
        if not isinstance(self._retry, Retry):
            raise ConfigurationError(
                f"retry of {name} must be a Retry, such as Retry(max_attempts=3); got {self._retry!r}"
            )
        if name in self._app.tasks:
            raise ConfigurationError(f"a task named {name!r} is registered already: give name= to one of the two")
        task: Task[..., Any] = Task(
            self._app,
            function,
            name=name,
            options=self._options,
            retry=self._retry,
            timeout=self._timeout,
            executor=self._executor,
            memory=self._memory,
            strict=self._strict,
            choice=self._choice,
            secret=self._secret,
        )
        self._app.tasks[name] = task
        return task


class Declaring(ABC):
    """The part of an application that registers tasks."""

    tasks: dict[str, Task[..., Any]]
    hooks: Hooks
    _choice: Choice
    _strict: bool

    @abstractmethod
    def enqueue(self, call: Call[R], *, tx: Any = None) -> Job[R]:
        """Stores a job that makes this call."""

    @abstractmethod
    async def aenqueue(self, call: Call[R]) -> Job[R]:
        """The same, on an event loop."""

    @overload
    def task(self, function: Callable[Concatenate[Context, P], Awaitable[R]], /) -> Task[P, R]: ...
    @overload
    def task(self, function: Callable[Concatenate[Context, P], R], /) -> Task[P, R]: ...
    @overload
    def task(self, function: Callable[P, Awaitable[R]], /) -> Task[P, R]: ...
    @overload
    def task(self, function: Callable[P, R], /) -> Task[P, R]: ...
    @overload
    def task(
        self,
        /,
        *,
        name: str | None = None,
        queue: str = DEFAULT_QUEUE,
        priority: int = 0,
        retry: Retry = _DEFAULT_RETRY,
        timeout: Seconds | None = None,
        executor: Executor = "thread",
        memory: float | None = None,
        strict: bool | None = None,
        unique: Uniqueness | None = None,
        codec: Codec[Any] | str | None = None,
        secret: Iterable[str] = (),
    ) -> TaskDecorator: ...
    def task(
        self,
        function: Any = None,
        /,
        *,
        name: str | None = None,
        queue: str = DEFAULT_QUEUE,
        priority: int = 0,
        retry: Retry = _DEFAULT_RETRY,
        timeout: Seconds | None = None,
        executor: Executor = "thread",
        memory: float | None = None,
        strict: bool | None = None,
        unique: Uniqueness | None = None,
        codec: Codec[Any] | str | None = None,
        secret: Iterable[str] = (),
    ) -> Any:
        """Registers a function as a task.

        Args:
            name: under which its jobs are stored; the function's own by default. A second one of a name is an error.
            queue: where its jobs go.
            priority: of its jobs, higher first.
            retry: how it is retried.
            timeout: how long a run may take: then it is interrupted, and the attempt has failed.
            executor: ``process``: each run has a process of its own, so that its limits hold and its crash is its own.
            memory: megabytes that such a process may take.
            strict: whether a run must call `Context.complete`: to return without is a failure.
            unique: whether and how long another call of it is the same job.
            codec: how its arguments and results are stored, if not as the application's.
            secret: names of arguments that are never shown.

        Raises:
            ConfigurationError: the name is taken, or the function cannot be a task.
            InvalidValue: the name is not one that a store could keep.
        """
        choice = self._choice if codec is None else self._choice.instead(codec)
        options = Options(queue=queue, priority=priority, unique=unique)
        strict = self._strict if strict is None else strict
        decorator = TaskDecorator(self, name, options, retry, timeout, executor, memory, strict, choice, secret)
        return decorator if function is None else decorator(function)

    def load_tasks(self, name: str) -> None:
        """Registers the tasks that an installed distribution has under a name: all of them, or none.

        Its entry point in the group ``longshore.tasks`` is a function that is given this application.

        Raises:
            MissingPackage: it needs what is not installed.
            ConfigurationError: none is installed under this name, it is no function, or the name of a task is taken.
        """
        register = plugins.load(GROUP, name)
        if not callable(register):
            raise ConfigurationError(f"the entry point {name} in {GROUP} must be a function; it is {register!r}")
        before = set(self.tasks)
        try:
            register(self)
        except Exception as error:
            for added in set(self.tasks) - before:
                del self.tasks[added]
            if isinstance(error, ConfigurationError):
                raise ConfigurationError(f"the tasks {name!r} cannot be registered: {error}") from error
            raise
