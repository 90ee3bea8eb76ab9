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
from longshore.completing.finishing import finished
from longshore.context import Context
from longshore.contract import SECOND, UNREADABLE, Change, Duration, Fields, StoredJob
from longshore.durations import microseconds
from longshore.errors import Corrupt
from longshore.hooks.calling import Steps, afinish, finish
from longshore.hooks.payloads import deserialized
from longshore.info import Attempt
from longshore.retry import Discard, Retry, Snooze
from longshore.states import DISCARD, FAIL, GIVE_UP, RELEASE, SNOOZE, STOP, Event, move
from longshore.tasks import Task
from longshore.worker.prepared import Prepared

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
    app: Application,
    job: StoredJob,
    over: Callable[[], None] = lambda: None,
    *,
    caught: Callable[[BaseException], None] = lambda error: None,
) -> Change:
    """Runs the job's task in this thread, and gives the change that settles the run. Never raises.

    ``over`` is called as soon as the task has ended, ``caught`` is told what was raised inside.
    """
    return finish(_performed(app, job, caught, lambda error: error, over))


async def perform_async(
    app: Application, job: StoredJob, interrupted_by: Callable[[], type[Interrupted] | None]
) -> Change:
    """Runs the job's ``async def`` task in this event loop, and gives the change that settles the run. Never raises.

    ``interrupted_by`` says for what reason the run was cancelled from outside.
    """
    import asyncio

    def meant(error: BaseException) -> BaseException:
        reason = interrupted_by() if isinstance(error, asyncio.CancelledError) else None
        return error if reason is None else reason().with_traceback(error.__traceback__)

    return await afinish(_performed(app, job, lambda error: None, meant))


def _performed(
    app: Application,
    job: StoredJob,
    caught: Callable[[BaseException], None],
    meant: Callable[[BaseException], BaseException],
    over: Callable[[], None] = lambda: None,
) -> Steps[Change]:
    """The steps of a run, the same in a thread and on an event loop; ``meant`` says what an error stands for."""
    began = time.monotonic()
    try:
        if UNREADABLE in job.notes:
            raise Corrupt(f"what is stored of this job cannot be read: {job.notes[UNREADABLE]}")
        readable = (yield from deserialized(app.hooks, job)) if app.hooks.around_runs else job
        run = Prepared(app, readable, began)
    except Exception as unreadable:  # noqa: BLE001 - what is stored may be anything, and a type's own hook may raise anything
        caught(unreadable)
        return _failure(job, unreadable, began, _at_least_unreadable(app, job, unreadable))
    with Context(app, job) as context:
        result, raised = yield from _through(run, context, meant, over)
        result, error = context.outcome(result, raised)
        if raised is not None and error is None:
            _log_late(run, raised)
        if run.is_hooked:
            yield from run.told(context, result, error)
    error = error or context.doubt()
    if error is None:
        return context.ending(_finish(app, run, result))
    caught(error)
    return context.ending(_raised(run, error))


def _through(
    run: Prepared,
    context: Context,
    meant: Callable[[BaseException], BaseException],
    over: Callable[[], None],
) -> Steps[tuple[Any, BaseException | None]]:
    # A step of its own: who keeps an error in the frame that caught it keeps all that the task had in hand.
    try:
        if run.is_hooked:
            yield from run.admitted(context)
        result = _called(run, context)
        if isinstance(result, _TaskExit):
            return None, meant(result.error)
        if inspect.iscoroutine(result):
            result = yield result
        run.check_completed(context)
        return result, None
    except GeneratorExit:  # These steps are given up; what a task raises of this kind has come another way.
        raise
    except BaseException as error:  # noqa: BLE001 - also SystemExit: a task that exits has failed
        return None, meant(error)
    finally:
        over()


class _TaskExit:
    """What a task raised that means something else to the steps of its run."""

    def __init__(self, error: GeneratorExit) -> None:
        self.error = error


def _called(run: Prepared, context: Context) -> Any:
    try:
        return run.call(context)
    except GeneratorExit as error:
        return _TaskExit(error)


def _log_late(run: Prepared, error: BaseException) -> None:
    told = run.hide("".join(traceback.format_exception(error)))
    _log.error("job %s had completed when its task raised; it has succeeded\n%s", run.job.id, told)


def _raised(run: Prepared, error: BaseException) -> Change:
    job = run.job
    if isinstance(error, Snooze):
        return move(SNOOZE, job, {"delay": microseconds(error.delay)})
    if isinstance(error, Cancelled):
        return _ended(STOP, job, error, run.began, hide=run.hide)
    if isinstance(error, Interrupted) and not isinstance(error, _FAILURES):
        return move(RELEASE, job)
    return _failure(job, error, run.began, _delay(run.task, job, error), run.hide)


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


def _finish(app: Application, run: Prepared, result: Any) -> Change:
    try:
        return finished(run.job, result, run.task.result_codec, app.store.max_payload)
    except Exception as error:  # noqa: BLE001 - a result's own method for its form in JSON may raise anything
        return _ended(DISCARD, run.job, error, run.began, hide=run.hide)


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
