"""A run that may begin: its task, what it is called with, and what its application has put around it."""

from __future__ import annotations

import inspect
from typing import Any

from longshore.application import Application
from longshore.context import Context
from longshore.contract import StoredJob
from longshore.errors import NotCompleted, UnknownTask
from longshore.hooks import Middleware, Starting, Worked
from longshore.hooks.calling import Steps, ask, awaited, tell
from longshore.tasks import Task
from longshore.worker.wrapping import wrapped, wrapped_async


class Prepared:
    """A run that may begin; its arguments are read.

    Raises:
        Exception: the task is not known here, or the arguments cannot be read.

    Attributes:
        task: its task.
        job: its job, with the bytes of its arguments as the codec wrote them.
        began: when it was taken up, by the process's own clock.
        is_hooked: whether there is anything around it.
    """

    __slots__ = ("_app", "_args", "_changed", "_has_begun", "_kwargs", "began", "is_hooked", "job", "task")

    def __init__(self, app: Application, job: StoredJob, began: float) -> None:
        if job.task not in app.tasks:
            raise UnknownTask(f"no task is registered as {job.task!r} in this process")
        self.task: Task[..., Any] = app.tasks[job.task]
        self.job = job
        self.began = began
        self.is_hooked = app.hooks.around_runs
        self._app = app
        self._args, self._kwargs = self.task.arguments.decode(job.payload, job.codec)
        self._changed: dict[str, Any] = {}
        self._has_begun = False

    def admitted(self, context: Context) -> Steps[None]:
        """Goes past what comes before the task, and may change its arguments.

        Raises:
            BaseException: whatever a hook raises.
        """
        if before := self._app.hooks.pre_work.of(self.task.name):
            arguments = self.task.arguments
            starting = Starting(context=context, arguments=arguments.named(self.job.payload, self.job.codec))
            self._changed = starting.arguments
            yield from ask(before, starting)
            self._args, self._kwargs = arguments.spread(starting.arguments)

    def call(self, context: Context) -> Any:
        """Calls the task within its middleware; a coroutine is given as it is."""
        self._has_begun = True
        layers = self._app.hooks.middleware.of(self.task.name) if self.is_hooked else ()
        return self._wrapped(layers, context) if layers else self._call(context)

    def check_completed(self, context: Context) -> None:
        """Refuses that a strict task has returned without a word.

        Raises:
            NotCompleted: it has.
        """
        if self.task.strict and context.completion is None:
            raise NotCompleted(
                f"{self.task.name} is strict, and did not explicitly complete: call context.complete(result) when all "
                "is done"
            )

    def told(self, context: Context, result: Any, error: BaseException | None) -> Steps[None]:
        """Tells those who want to know that the task has ended; what they raise changes nothing."""
        after = self._app.hooks.post_work.of(self.task.name)
        if after and self._has_begun:
            worked = Worked(context=context, result=result, error=error)
            yield from tell(after, worked, but=BaseException, hide=self.hide)

    def hide(self, text: str) -> str:
        """The text without what the secret arguments hold."""
        arguments = self.task.arguments
        hidden = arguments.hider(self.job.payload, self.job.codec)(text)
        return arguments.hider_of(self._changed)(hidden) if self._changed else hidden

    def _call(self, context: Context) -> Any:
        function = self.task.function
        if self.task.takes_context:
            return function(context, *self._args, **self._kwargs)
        return function(*self._args, **self._kwargs)

    def _wrapped(self, middleware: tuple[Middleware, ...], context: Context) -> Any:
        if self.task.is_async:
            return wrapped_async(middleware, context, lambda: self._call(context))()

        def call() -> Any:
            result = self._call(context)
            return awaited(result) if inspect.iscoroutine(result) else result

        return wrapped(middleware, context, call)()
