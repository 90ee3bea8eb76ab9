"""Hooks beside the work: what became of runs that are settled, and whether the worker is busy."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from queue import SimpleQueue
from typing import Any, Final

import msgspec

from longshore.application import Application
from longshore.contract import SECOND, Change, State, StoredJob
from longshore.hooks import Hook, Settled
from longshore.hooks.calling import finish, tell
from longshore.info import Attempt

_log = logging.getLogger("longshore.worker")
MOST_BEHIND: Final = 1_000
"""How many hooks may wait to be called before the worker claims nothing more."""


def react(app: Application, job: StoredJob, change: Change) -> None:
    """Calls the hooks of what became of a run that is settled, in this thread. What they raise is logged."""
    if hooks := _hooks_of(app, job, change):
        finish(tell(hooks, settled(app, job, change)))


def settled(app: Application, job: StoredJob, change: Change) -> Settled:
    """What hooks are told of a run that is settled."""
    fields = change.fields
    record = fields.get("attempt_record")
    attempt = msgspec.json.decode(record, type=Attempt) if record else None
    result, codec = fields.get("result"), fields.get("result_codec")
    return Settled(
        job_id=job.id,
        task=job.task,
        queue=job.queue,
        notes=job.notes,
        attempt=job.attempt,
        max_attempts=job.max_attempts,
        error=attempt.error if attempt else None,
        traceback=attempt.traceback if attempt else None,
        retry_in=fields["delay"] / SECOND if "delay" in fields else None,
        _read=partial(app.result_codec(job.task).decode, result, codec) if result and codec else lambda: None,
    )


def _hooks_of(app: Application, job: StoredJob, change: Change) -> Sequence[Hook[Settled]]:
    if change.to is State.SUCCEEDED:
        return app.hooks.on_success.of(job.task)
    if change.to is State.FAILED:
        return app.hooks.on_failure.of(job.task)
    if change.to is State.PENDING and "attempt_record" in change.fields:
        return app.hooks.on_retry.of(job.task)
    return ()


class Reactions:
    """The thread of a worker in which they run; it begins when the first is called.

    Args:
        worker: what hooks of idle and busy are told.
        stirred: is called when one was called, which may have enqueued something.
        caught_up: is called when all were called, and when the worker need not wait any more.
    """

    def __init__(
        self, app: Application, worker: Any, *, stirred: Callable[[], None], caught_up: Callable[[], None]
    ) -> None:
        self._app = app
        self._worker = worker
        self._stirred = stirred
        self._caught_up = caught_up
        self._line: SimpleQueue[tuple[Sequence[Callable[[Any], Any]], Callable[[], object]] | None] = SimpleQueue()
        self._lock = threading.Lock()
        self._behind = 0
        self._thread: threading.Thread | None = None
        self._is_busy: bool | None = None

    @property
    def is_behind(self) -> bool:
        """Whether the worker must wait for it."""
        return self._behind >= MOST_BEHIND

    @property
    def is_done(self) -> bool:
        """Whether all that was handed over was called."""
        return self._behind == 0

    def settled(self, job: StoredJob, change: Change) -> None:
        """The store has settled a run so."""
        if hooks := _hooks_of(self._app, job, change):
            self._put(hooks, partial(settled, self._app, job, change))

    def turned(self, *, has_jobs: bool, is_empty: bool) -> None:
        """The worker has jobs, or none; whether the store had none for it either."""
        is_busy = has_jobs or (self._is_busy if not is_empty else False)
        if is_busy is None or is_busy is self._is_busy:
            return
        self._is_busy = is_busy
        hooks = self._app.hooks.worker_busy if is_busy else self._app.hooks.worker_idle
        if hooks:
            self._put(hooks.functions, lambda: self._worker)

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """For as long as something goes on that may enqueue or free jobs, as hooks may."""
        with self._lock:
            self._behind += 1
        try:
            yield
        finally:
            self._called()

    def close(self, patience: float) -> None:
        """Waits until all are called, but no longer than so many seconds."""
        if self._thread is not None:
            self._line.put(None)
            self._thread.join(patience)
            if self._thread.is_alive():
                _log.warning("%d hooks were not called in %g s: the worker ends without them", self._behind, patience)

    def _put(self, hooks: Sequence[Callable[[Any], Any]], event: Callable[[], object]) -> None:
        with self._lock:
            self._behind += 1
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="longshore-reactions", daemon=True)
                self._thread.start()
        self._line.put((hooks, event))

    def _run(self) -> None:
        with ExitStack() as stack:
            run = _Loop(stack)
            while (item := self._line.get()) is not None:
                hooks, event = item
                try:
                    finish(tell(hooks, event(), but=BaseException), run)
                except Exception:  # noqa: BLE001 - what is stored may be anything
                    _log.exception("hooks could not be told what became of a run")
                self._called()

    def _called(self) -> None:
        self._stirred()
        with self._lock:
            self._behind -= 1
            has_caught_up = self._behind in (0, MOST_BEHIND - 1)
        if has_caught_up:
            self._caught_up()


class _Loop:
    """One event loop for all ``async def`` hooks of the thread, there when the first of them is called."""

    def __init__(self, stack: ExitStack) -> None:
        self._stack = stack
        self._runner: Any = None

    def __call__(self, awaitable: Any) -> Any:
        import asyncio

        if self._runner is None:
            self._runner = self._stack.enter_context(asyncio.Runner())
        return self._runner.run(_coroutine(awaitable))


async def _coroutine(awaitable: Any) -> Any:
    return await awaitable
