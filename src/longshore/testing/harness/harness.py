"""What a test of an application holds."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any, Final, Self, Unpack

from longshore.app import Longshore
from longshore.contract import Inserted, NewJob, StoredJob
from longshore.durations import Seconds
from longshore.guard import Guard
from longshore.jobs import Job
from longshore.memory import store_clock
from longshore.memory_store import MemoryStore
from longshore.tasks import Task
from longshore.testing.clock import ManualClock
from longshore.testing.harness.enqueued import Asked, EnqueuedJob, find_enqueued, id_of, shown_jobs, told
from longshore.testing.harness.mishaps import Delivery, Mishaps, Point
from longshore.testing.harness.running import Ran, Runner

_MOST: Final = 1_000


class Harness:
    """An application under test: ``with Harness(app) as jobs:`` its jobs are in a store of the test's own.

    They run when the test says so, one after another in its thread, and the store's time stands still until `advance`.
    At the end of the block the application is where it was. No worker of it may work in this process meanwhile.

    Args:
        app: the application.
        target: a URL or a live handle of an empty store; a fresh one in memory by default.
        clock: the store's; one that stands at this moment by default.
        options: the driver's own.
    """

    def __init__(self, app: Longshore, target: Any = None, *, clock: ManualClock | None = None, **options: Any) -> None:
        self.app = app
        self.clock = clock or ManualClock(store_clock())
        self._runner = Runner(app, self.clock)
        self._mishaps = Mishaps(app, self.clock, self._runner)
        self._stored: Callable[[], None] | None = None
        self._target = target
        self._options = options
        self._way_back = ExitStack()

    def __enter__(self) -> Self:
        place = MemoryStore() if self._target is None else self._target
        guard = partial(_TellingGuard, stored=self._tell_stored)
        self._way_back.enter_context(self.app.elsewhere(place, clock=self.clock, guard=guard, **self._options))
        return self

    def __exit__(self, *_: object) -> None:
        self._way_back.close()

    def advance(self, seconds: Seconds) -> None:
        """Lets time pass for the store: jobs become due, leases lapse. Nothing runs before `drain`."""
        self.clock.advance(seconds)

    def drain(
        self, *queues: str, with_scheduled: bool = False, raise_errors: bool = False, most: int = _MOST
    ) -> list[Ran]:
        """Runs all that is due, and what becomes due by that, and answers each run, in order.

        Jobs whose worker died by `crash_after` are rescued first, which lets the time of a lease pass. All run in this
        thread, ``async def`` tasks too; if an event loop runs in it, in another. What is of no known task stays.

        Args:
            queues: only of these; of all if none is named.
            with_scheduled: lets time pass until nothing is left, so that retries and scheduled jobs run too.
            raise_errors: raises what the first task that fails raised, once its run is settled.
            most: so many runs are enough.

        Raises:
            Blocked: after ``most`` runs more is due.
        """
        self._mishaps.rescue()
        return list(self._runner.drain(queues, with_scheduled=with_scheduled, raise_errors=raise_errors, most=most))

    @contextmanager
    def inline(self, *, raise_errors: bool = False) -> Iterator[None]:
        """Until the end of the block, enqueuing runs what is due at once, in the same thread, and then returns.

        What a task enqueues runs after it, and so before the outermost call returns. A job that failed is not due
        before its retry's time: `advance` or `drain` it. Jobs of a transaction (``tx=``) wait for `drain`.

        Args:
            raise_errors: enqueuing raises what the task raised, once its run is settled.
        """
        before = self._stored
        self._stored = _AtOnce(lambda: self.drain(raise_errors=raise_errors))
        try:
            yield
        finally:
            self._stored = before

    def all_enqueued(
        self,
        task: Task[..., Any] | str | None = None,
        arguments: Mapping[str, Any] | None = None,
        **asked: Unpack[Asked],
    ) -> list[EnqueuedJob]:
        """The jobs for which all that is given holds, oldest first: those that have not ended, unless ``states`` says
        otherwise.

        Args:
            task: of this task.
            arguments: with these among their arguments, by name; defaults count.
            asked: as it was given to ``task.options(…)``; see `longshore.testing.harness.enqueued.Asked`.

        Raises:
            InvalidValue: the task has no such argument, or there is nothing of such a name to ask for.
        """
        return find_enqueued(self.app, task, arguments, asked)

    def assert_enqueued(
        self,
        task: Task[..., Any] | str,
        arguments: Mapping[str, Any] | None = None,
        *,
        count: int | None = None,
        **asked: Unpack[Asked],
    ) -> list[EnqueuedJob]:
        """Fails unless there is such a job, or exactly ``count`` of them; gives them. See `all_enqueued`."""
        found = find_enqueued(self.app, task, arguments, asked)
        if not found if count is None else len(found) != count:
            wanted = "a job" if count is None else f"{count} jobs"
            raise AssertionError(
                f"expected {wanted} of {told(task, arguments, asked)} to be enqueued, found {len(found)}; there is:"
                f"{shown_jobs(self.app)}"
            )
        return found

    def refute_enqueued(
        self,
        task: Task[..., Any] | str | None = None,
        arguments: Mapping[str, Any] | None = None,
        **asked: Unpack[Asked],
    ) -> None:
        """Fails if there is such a job. See `all_enqueued`."""
        found = find_enqueued(self.app, task, arguments, asked)
        if found:
            raise AssertionError(
                f"expected no job of {told(task, arguments, asked)} to be enqueued, found {len(found)}; there is:"
                f"{shown_jobs(self.app)}"
            )

    def crash_after(self, point: Point, job: Job[Any] | str | None = None) -> Ran:
        """A worker takes a job and dies; the job is left as by a dead process, for a rescue by the next `drain`.

        Args:
            point: after which it dies: ``"claim"``, and nothing of the task was done; ``"run"``, and all was, but the
                store knows nothing of it: both run again; ``"settle"``, and the outcome is stored: what follows from
                it, such as jobs that wait for it, is left to others.
            job: which one; the next that is due by default.

        Raises:
            IllegalMove: no such job is due.
            JobRemoved: there is no such job.
        """
        return self._mishaps.crash_after(point, None if job is None else id_of(job))

    def deliver_twice(self, job: Job[Any] | str) -> Delivery:
        """Runs one job twice, as it happens to a worker that stalls for longer than its lease and then goes on.

        The first run is that of the worker that took the job over, and it counts; the second is that of the one that
        stalled: its task runs whole, and what it answers is refused. What it did in the world is there: a task that
        is not to do it twice must see to that.

        Raises:
            IllegalMove: the job is not due.
            JobRemoved: there is no such job.
        """
        return self._mishaps.deliver_twice(id_of(job))

    def _tell_stored(self) -> None:
        if self._stored is not None:
            self._stored()


class _AtOnce:
    """Drains when something was stored; what tasks or other threads store meanwhile is done by the same drain."""

    def __init__(self, drain: Callable[[], object]) -> None:
        self._drain = drain
        self._turn = threading.Lock()
        self._is_more = False

    def __call__(self) -> None:
        self._is_more = True
        while self._is_more and self._turn.acquire(blocking=False):
            try:
                self._is_more = False
                self._drain()
            finally:
                self._turn.release()


class _TellingGuard(Guard):
    """Tells when jobs were stored that others can see."""

    def __init__(self, *args: Any, stored: Callable[[], object], **options: Any) -> None:
        super().__init__(*args, **options)
        self._stored = stored

    def insert(self, jobs: Sequence[NewJob | StoredJob], *, tx: Any = None, may_move: bool = False) -> list[Inserted]:
        answers = super().insert(jobs, tx=tx, may_move=may_move)
        if tx is None:
            self._stored()
        return answers
