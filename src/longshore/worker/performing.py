"""One run of one job: from stored arguments to the change that settles it."""

from __future__ import annotations

import inspect
import logging
import time
import traceback
from collections.abc import Callable
from typing import Any, Final

import msgspec
from msgspec.structs import replace

from longshore.application import Application
from longshore.context import Context
from longshore.contract import SECOND, UNREADABLE, Change, Duration, Fields, StoredJob
from longshore.durations import microseconds
from longshore.errors import Corrupt, NotCompleted, TooLarge, UnknownTask
from longshore.info import Attempt
from longshore.retry import Discard, Retry, Snooze
from longshore.states import DISCARD, FAIL, FINISH, GIVE_UP, RELEASE, SNOOZE, STOP, Event, move
from longshore.tasks import Task

_log = logging.getLogger("longshore.worker")
ATTEMPT_BYTES = 8 * 1024
UNREADABLE_PAUSE = 30.0
"""Seconds at least before arguments that could not be read are tried again: a newer process may take them."""


class Interrupted(BaseException):
    """Raised inside a running task: its worker is told to stop, or somebody cancelled the job."""


class Cancelled(Interrupted):
    """Raised inside a running task: somebody cancelled the job."""


class TimedOut(Interrupted):
    """Raised inside a running task: it has taken longer than its task may."""


class Stopped(Interrupted):
    """Raised inside a running task: an operator stopped this run of it, and the attempt has failed."""


_FAILURES: Final = (TimedOut, Stopped)


def perform(
    app: Application, job: StoredJob, *, caught: Callable[[BaseException], None] = lambda error: None
) -> Change:
    """Runs the job's task in this thread, and gives the change that settles the run. Never raises.

    ``caught`` is told what was raised inside.
    """
    prepared = _prepare(app, job, caught)
    if isinstance(prepared, Change):
        return prepared
    context = Context(app, job)
    try:
        with context:
            result = prepared.call(context)
            result = _awaited(result) if inspect.iscoroutine(result) else result
        prepared.check_completed(context)
    except BaseException as error:  # noqa: BLE001 - also SystemExit: a task that exits has failed
        if context.completion is None:
            caught(error)
        return context.ending(_raised(app, prepared, context, error))
    return context.ending(_returned(app, prepared, context, result))


async def perform_async(
    app: Application, job: StoredJob, interrupted_by: Callable[[], type[Interrupted] | None]
) -> Change:
    """Runs the job's ``async def`` task in this event loop, and gives the change that settles the run. Never raises.

    ``interrupted_by`` says for what reason the run was cancelled from outside.
    """
    import asyncio

    prepared = _prepare(app, job)
    if isinstance(prepared, Change):
        return prepared
    context = Context(app, job)
    try:
        with context:
            result = await prepared.call(context)
        prepared.check_completed(context)
    except asyncio.CancelledError as error:
        reason = interrupted_by()
        meant = error if reason is None else reason().with_traceback(error.__traceback__)
        return context.ending(_raised(app, prepared, context, meant))
    except BaseException as error:  # noqa: BLE001 - also SystemExit: a task that exits has failed
        return context.ending(_raised(app, prepared, context, error))
    return context.ending(_returned(app, prepared, context, result))


class _Prepared:
    """A run that may begin: its task, and what it is called with."""

    __slots__ = ("args", "began", "job", "kwargs", "task")

    def __init__(self, task: Task[..., Any], job: StoredJob, args: list[Any], kwargs: dict[str, Any]) -> None:
        self.task = task
        self.job = job
        self.args = args
        self.kwargs = kwargs
        self.began = time.monotonic()

    def call(self, context: Context) -> Any:
        """Calls the function; a coroutine is given as it is."""
        function = self.task.function
        if self.task.takes_context:
            return function(context, *self.args, **self.kwargs)
        return function(*self.args, **self.kwargs)

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


def _prepare(
    app: Application, job: StoredJob, caught: Callable[[BaseException], None] = lambda error: None
) -> _Prepared | Change:
    began = time.monotonic()
    try:
        if UNREADABLE in job.notes:
            raise Corrupt(f"what is stored of this job cannot be read: {job.notes[UNREADABLE]}")
        task = _task_of(app, job)
        args, kwargs = task.arguments.decode(job.payload, job.codec)
    except Exception as error:  # noqa: BLE001 - what is stored may be anything, and a type's own hook may raise anything
        caught(error)
        return _failure(job, error, began, _at_least_unreadable(app, job, error))
    return _Prepared(task, job, args, kwargs)


def _returned(app: Application, run: _Prepared, context: Context, result: Any) -> Change:
    if context.completion is not None:
        result = context.completion.result
    return _finish(app, run.task, run.job, result, run.began)


def _raised(app: Application, run: _Prepared, context: Context, error: BaseException) -> Change:
    job, hide = run.job, _hider(run.task, run.job)
    if context.completion is not None:
        told = hide("".join(traceback.format_exception(error)))
        _log.error("job %s had completed when its task raised; it has succeeded\n%s", job.id, told)
        return _finish(app, run.task, job, context.completion.result, run.began)
    if isinstance(error, Snooze):
        return move(SNOOZE, job, {"delay": microseconds(error.delay)})
    if isinstance(error, Cancelled):
        return _ended(STOP, job, error, run.began, hide=hide)
    if isinstance(error, Interrupted) and not isinstance(error, _FAILURES):
        return move(RELEASE, job)
    return _failure(job, error, run.began, _delay(run.task, job, error), hide)


def _task_of(app: Application, job: StoredJob) -> Task[..., Any]:
    if job.task not in app.tasks:
        raise UnknownTask(f"no task is registered as {job.task!r} in this process")
    return app.tasks[job.task]


def _awaited(coroutine: Any) -> Any:
    # A plain function that gives a coroutine, or a run outside of a worker: there is no event loop to share.
    import asyncio

    return asyncio.run(coroutine)


def without_outcome(app: Application, job: StoredJob, reason: type[Interrupted] | None) -> Change:
    """The change that settles a run which was interrupted for a reason, and has no outcome."""
    if reason is TimedOut:
        error: Interrupted = TimedOut("it has not ended within its time limit, and not when it was interrupted")
    elif reason is Stopped:
        error = Stopped("an operator stopped it")
    else:
        return move(RELEASE, job)
    task = app.tasks.get(job.task)
    delay = None if task is None else _delay(task, job, error)
    return _failure(job, error, time.monotonic(), delay)


def failed(app: Application, job: StoredJob, error: BaseException) -> Change:
    """The change that settles a run which somebody made by hand and which raised an error."""
    if isinstance(error, Snooze):
        return move(SNOOZE, job, {"delay": microseconds(error.delay)})
    task = app.tasks.get(job.task)
    if task is None:
        return _failure(job, error, time.monotonic(), _delay_by(Retry(), job, error))
    return _failure(job, error, time.monotonic(), _delay(task, job, error), _hider(task, job))


def not_storable(job: StoredJob, error: Exception) -> Change:
    """The change that settles a run whose outcome the store can never take."""
    return _ended(GIVE_UP, job, error, time.monotonic())


def _finish(app: Application, task: Task[..., Any], job: StoredJob, result: Any, began: float) -> Change:
    if result is None:
        return move(FINISH, job)
    codec = task.result_codec
    try:
        data = codec.encode(result)
        if len(data) > app.store.max_payload:
            raise TooLarge(f"its result takes {len(data):,} bytes, more than the {app.store.max_payload:,} allowed")
        codec.decode(data, codec.name)  # Who asks for the result must get one that is what the task says it returns.
    except Exception as error:  # noqa: BLE001 - a result's own method for its form in JSON may raise anything
        return _ended(DISCARD, job, error, began, hide=_hider(task, job))
    return move(FINISH, job, {"result": data, "result_codec": codec.name})


def _at_least_unreadable(app: Application, job: StoredJob, error: Exception) -> Duration | None:
    least = microseconds(UNREADABLE_PAUSE)
    task = app.tasks.get(job.task)
    if task is None:
        return least
    delay = _delay(task, job, error)
    return None if delay is None else max(delay, least)


def _delay(task: Task[..., Any], job: StoredJob, error: BaseException) -> Duration | None:
    try:
        return _delay_by(task.retry, job, error)
    except Exception as failed:  # noqa: BLE001 - an application's own delay rule may raise anything, and the job must not be lost
        # What the task raised is in its context, and may tell a secret argument.
        told = _hider(task, job)("".join(traceback.format_exception(failed)))
        _log.error("the retry policy of %s failed; using the default one\n%s", task.name, told)
        return _delay_by(Retry(), job, error)


def _delay_by(retry: Retry, job: StoredJob, error: BaseException) -> Duration | None:
    delay = retry.delay_after(job.attempt, error, job.max_attempts)
    return None if delay is None else microseconds(delay, name="delay")


def _failure(
    job: StoredJob, error: BaseException, began: float, delay: Duration | None, hide: Callable[[str], str] = str
) -> Change:
    if delay is not None:
        return _ended(FAIL, job, error, began, {"delay": delay}, hide)
    return _ended(DISCARD if isinstance(error, Discard) else GIVE_UP, job, error, began, hide=hide)


def _hider(task: Task[..., Any], job: StoredJob) -> Callable[[str], str]:
    return task.arguments.hider(job.payload, job.codec)


def _ended(
    event: Event,
    job: StoredJob,
    error: BaseException,
    began: float,
    fields: Fields | None = None,
    hide: Callable[[str], str] = str,
) -> Change:
    started = job.started or 0
    record = Attempt(
        _outcome(event, error),
        job.attempt,
        job.generation,
        job.holder or "",
        started,
        started + int((time.monotonic() - began) * SECOND),
        hide(_message(error)),
        hide(_traceback(error)),
    )
    return move(event, job, {"attempt_record": _encoded(record), **(fields or {})})


def _traceback(error: BaseException) -> str:
    """The traceback from the task's own first line on: how it was called from here helps nobody."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None and trace.tb_frame.f_code.co_filename == __file__:
        trace = trace.tb_next
    return "".join(traceback.format_exception(type(error), error, trace))


def _outcome(event: Event, error: BaseException) -> str:
    if event is STOP:
        return "cancelled"
    return "timed out" if isinstance(error, TimedOut) else "failed"


def _message(error: BaseException) -> str:
    try:
        return f"{type(error).__name__}: {error}"
    except Exception:  # noqa: BLE001 - an error's own __str__ may raise anything
        return f"{type(error).__name__}, which cannot be shown"


def _encoded(record: Attempt) -> bytes:
    """The record in at most `ATTEMPT_BYTES`; how much longer texts grow in JSON depends on what is in them."""
    most = ATTEMPT_BYTES // 2
    while True:
        cut = replace(record, error=_cut(record.error, most // 2), traceback=_cut(record.traceback, most))
        data = msgspec.json.encode(cut)
        if len(data) <= ATTEMPT_BYTES:
            return data
        most //= 2


def _cut(text: str, most_bytes: int) -> str:
    """The text, or its end: the innermost frames and the message are there."""
    data = text.encode(errors="replace")
    return data.decode() if len(data) <= most_bytes else "…" + data[-most_bytes:].decode(errors="ignore")
