"""Where functions are added: one point for each moment, of the application or of one task."""

from __future__ import annotations

import threading
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final, Generic, Protocol, TypeVar

from longshore import plugins
from longshore.context import Context
from longshore.errors import ConfigurationError
from longshore.hooks.calling import name_of
from longshore.hooks.events import Enqueued, Enqueuing, Payload, Settled, Starting, Worked

if TYPE_CHECKING:
    from longshore.worker.worker import Worker

E_contra = TypeVar("E_contra", contravariant=True)
F = TypeVar("F", bound=Callable[..., Any])

GROUP: Final = "longshore.hooks"
_TASK_POINTS: Final = (
    "pre_enqueue",
    "serialize",
    "post_enqueue",
    "deserialize",
    "pre_work",
    "middleware",
    "post_work",
    "on_retry",
    "on_success",
    "on_failure",
)
_RUN_POINTS: Final = ("deserialize", "pre_work", "middleware", "post_work")
_WORKER_POINTS: Final = ("worker_start", "worker_stop", "worker_idle", "worker_busy")


class Hook(Protocol[E_contra]):
    """A function that is told what happens, plain or ``async def``."""

    def __call__(self, event: E_contra, /) -> Awaitable[None] | None: ...


class CallNext(Protocol):
    """Calls what a middleware wraps, and gives its result; within an ``async def`` one, something to await."""

    def __call__(self) -> Any: ...


class Middleware(Protocol):
    """A function that wraps the call of a task, plain or ``async def``; what it gives is the result of the run."""

    def __call__(self, context: Context, call_next: CallNext, /) -> Any: ...


class Functions(Generic[F]):
    """All functions of one moment, those of the application and those of single tasks, in the order they came in.

    Attributes:
        entries: each with the name of its task, None for all; replaced as a whole, so that it is read without a lock.
    """

    __slots__ = ("_changed", "_lock", "entries", "name")

    def __init__(self, name: str, lock: threading.Lock, changed: Callable[[], None]) -> None:
        self.name = name
        self.entries: tuple[tuple[str | None, F], ...] = ()
        self._lock = lock
        self._changed = changed

    def of(self, task: str) -> tuple[F, ...]:
        """Those that are called for a task."""
        return tuple(function for only, function in self.entries if only is None or only == task)

    def add(self, *entries: tuple[str | None, F]) -> None:
        """Adds functions behind those that are there."""
        for _, function in entries:
            if not callable(function):
                raise ConfigurationError(f"a function is added at {self.name}; {function!r} cannot be called")
        with self._lock:
            self.entries = (*self.entries, *entries)
            self._changed()

    def remove(self, entry: tuple[str | None, F]) -> None:
        """Takes out the last one that is equal."""
        with self._lock:
            entries = list(self.entries)
            if entry not in entries:
                task, function = entry
                where = f"of {task}" if task else "of the application"
                raise ConfigurationError(f"{name_of(function)} is no hook {where} at {self.name}: nothing is removed")
            del entries[len(entries) - 1 - entries[::-1].index(entry)]
            self.entries = tuple(entries)
            self._changed()


class Point(Generic[F]):
    """One moment, of the application or of one task: ``@hooks.pre_work`` above a function adds it. Thread-safe."""

    __slots__ = ("_functions", "_task")

    def __init__(self, functions: Functions[F], task: str | None) -> None:
        self._functions = functions
        self._task = task

    def __call__(self, function: F) -> F:
        """Adds a function; it is called from the next time on."""
        self._functions.add((self._task, function))
        return function

    def remove(self, function: F) -> None:
        """Removes a function that was added here; what is under way may still call it.

        Raises:
            ConfigurationError: it was not added here.
        """
        self._functions.remove((self._task, function))

    def of(self, task: str) -> tuple[F, ...]:
        """The functions that are called for a task, those of the application and its own, in order."""
        return self._functions.of(task) if self._functions.entries else ()

    @property
    def functions(self) -> tuple[F, ...]:
        """All functions that were added, by the application and by its tasks, in order."""
        return tuple(function for _, function in self._functions.entries)

    def __bool__(self) -> bool:
        """Whether any function was added, by the application or by any task."""
        return bool(self._functions.entries)


class TaskHooks:
    """The hooks of one task, or of all tasks of an application: see docs/hooks.md for what each may do.

    Attributes:
        pre_enqueue: before a call is stored; may change or refuse it.
        serialize: may replace the bytes that a call's arguments are stored as.
        post_enqueue: a call has its job.
        deserialize: puts back the bytes that `serialize` replaced.
        pre_work: before a run; may change its arguments, or decide on it by raising.
        middleware: wraps the run.
        post_work: after the task has ended, before anything is settled.
        on_retry, on_success, on_failure: the run is settled so.
    """

    def __init__(self, functions: dict[str, Functions[Any]], task: str | None) -> None:
        self.by_point = functions
        self.pre_enqueue: Point[Hook[Enqueuing]] = Point(functions["pre_enqueue"], task)
        self.serialize: Point[Hook[Payload]] = Point(functions["serialize"], task)
        self.post_enqueue: Point[Hook[Enqueued]] = Point(functions["post_enqueue"], task)
        self.deserialize: Point[Hook[Payload]] = Point(functions["deserialize"], task)
        self.pre_work: Point[Hook[Starting]] = Point(functions["pre_work"], task)
        self.middleware: Point[Middleware] = Point(functions["middleware"], task)
        self.post_work: Point[Hook[Worked]] = Point(functions["post_work"], task)
        self.on_retry: Point[Hook[Settled]] = Point(functions["on_retry"], task)
        self.on_success: Point[Hook[Settled]] = Point(functions["on_success"], task)
        self.on_failure: Point[Hook[Settled]] = Point(functions["on_failure"], task)


class Hooks(TaskHooks):
    """The hooks of an application.

    Attributes:
        around_runs: whether any is added that a run meets, so that one without hooks asks once.
        worker_start: a worker is about to begin; to raise keeps it from starting.
        worker_stop: a worker has ended.
        worker_idle: a worker has no job any more, and none is due.
        worker_busy: a worker has a job again.
    """

    def __init__(self) -> None:
        lock = threading.Lock()
        points = (*_TASK_POINTS, *_WORKER_POINTS)
        super().__init__({name: Functions(name, lock, self._changed) for name in points}, None)
        self.around_runs = False
        self.worker_start: Point[Hook[Worker]] = Point(self.by_point["worker_start"], None)
        self.worker_stop: Point[Hook[Worker]] = Point(self.by_point["worker_stop"], None)
        self.worker_idle: Point[Hook[Worker]] = Point(self.by_point["worker_idle"], None)
        self.worker_busy: Point[Hook[Worker]] = Point(self.by_point["worker_busy"], None)
        self._loaded: dict[str, Hooks] = {}
        self._loading = threading.RLock()

    def _changed(self) -> None:
        self.around_runs = any(self.by_point[name].entries for name in _RUN_POINTS)

    def of_task(self, name: str) -> TaskHooks:
        """The hooks of the task of this name, which need not be registered here; ``task.hooks`` is the same."""
        return TaskHooks(self.by_point, name)

    def load(self, name: str) -> None:
        """Adds the hooks that an installed distribution has under a name: all of them, or none.

        Its entry point in the group ``longshore.hooks`` is a function that is given a `Hooks` to add its own to.

        Raises:
            MissingPackage: it needs what is not installed.
            ConfigurationError: none is installed under this name, it is no function, or it is loaded already.
        """
        function = plugins.load(GROUP, name)
        if not callable(function):
            raise ConfigurationError(f"the entry point {name} in {GROUP} must be a function; it is {function!r}")
        with self._loading:
            if name in self._loaded:
                raise ConfigurationError(f"the hooks {name!r} are loaded already")
            theirs = Hooks()
            function(theirs)
            self._loaded[name] = theirs
            for point, functions in theirs.by_point.items():
                self.by_point[point].add(*functions.entries)

    def unload(self, name: str) -> None:
        """Removes what `load` has added, and nobody has removed since.

        Raises:
            ConfigurationError: nothing was loaded under this name.
        """
        with self._loading:
            if name not in self._loaded:
                known = ", ".join(self._loaded) or "none"
                raise ConfigurationError(f"no hooks are loaded as {name!r}; loaded: {known}")
            for point, functions in self._loaded.pop(name).by_point.items():
                for entry in functions.entries:
                    with suppress(ConfigurationError):
                        self.by_point[point].remove(entry)
