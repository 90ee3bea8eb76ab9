"""How a function becomes a task of an application."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar, overload

from longshore.codecs import Choice
from longshore.context import Context
from longshore.durations import Seconds
from longshore.errors import ConfigurationError
from longshore.guard import check_priority, check_text
from longshore.retry import Retry
from longshore.tasks import Enqueuer, Executor, Options, Task, check_function

P = ParamSpec("P")
R = TypeVar("R")


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
