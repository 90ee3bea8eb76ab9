"""One run of one job: from stored arguments to the change that settles it."""

from __future__ import annotations

import inspect
import logging
import time
import traceback
from typing import TYPE_CHECKING, Any

import msgspec

from longshore.context import Context
from longshore.contract import SECOND, Change, Fields, StoredJob
from longshore.durations import microseconds
from longshore.errors import InvalidValue, TooLarge
from longshore.jobs import Attempt
from longshore.retry import Discard, Retry, Snooze
from longshore.states import DISCARD, FAIL, FINISH, GIVE_UP, RELEASE, SNOOZE, STOP, Event, move

if TYPE_CHECKING:
    from longshore.app import Longshore
    from longshore.tasks import Task

_log = logging.getLogger("longshore.worker")
ATTEMPT_BYTES = 8 * 1024
UNREADABLE_PAUSE = 30.0
"""Seconds at least before arguments that could not be read are tried again: a newer process may take them."""


class Interrupted(BaseException):
    """Raised inside a running task: its worker is told to stop, or somebody cancelled the job."""


class Cancelled(Interrupted):
    """Raised inside a running task: somebody cancelled the job."""


def perform(app: Longshore, job: StoredJob) -> Change:
    """Runs the job's task, and gives the change that settles the run. Never raises."""
    began = time.monotonic()
    try:
        task = app.task_named(job.task)
        args, kwargs = task.arguments.decode(job.payload)
    except (InvalidValue, ValueError) as error:
        return _failure(job, error, began, _at_least_unreadable(app, job, error))
    try:
        result = _call(app, task, job, args, kwargs)
    except Snooze as snooze:
        return move(SNOOZE, job, {"delay": microseconds(snooze.delay)})
    except Cancelled as error:
        return _ended(STOP, job, error, began)
    except Interrupted:
        return move(RELEASE, job)
    except BaseException as error:  # noqa: BLE001 - also SystemExit: a task that exits has failed
        return _failure(job, error, began, _delay(task, job, error))
    return _finish(app, task, job, result, began)


def _call(app: Longshore, task: Task[..., Any], job: StoredJob, args: list[Any], kwargs: dict[str, Any]) -> Any:
    app.enter_task(1)
    try:
        if task.takes_context:
            result = task.function(Context(app, job), *args, **kwargs)
        else:
            result = task.function(*args, **kwargs)
        return _awaited(result) if inspect.iscoroutine(result) else result
    finally:
        app.enter_task(-1)


def _awaited(coroutine: Any) -> Any:
    import asyncio

    return asyncio.run(coroutine)


def _finish(app: Longshore, task: Task[..., Any], job: StoredJob, result: Any, began: float) -> Change:
    if result is None:
        return move(FINISH, job)
    codec = task.result_codec
    try:
        data = codec.encode(result)
        if len(data) > app.store.max_payload:
            raise TooLarge(f"its result takes {len(data):,} bytes, more than the {app.store.max_payload:,} allowed")
    except InvalidValue as error:
        return _ended(DISCARD, job, error, began)
    return move(FINISH, job, {"result": data, "result_codec": codec.name})


def _at_least_unreadable(app: Longshore, job: StoredJob, error: Exception) -> float | None:
    task = app.tasks.get(job.task)
    if task is None:
        return UNREADABLE_PAUSE
    delay = _delay(task, job, error)
    return None if delay is None else max(delay, UNREADABLE_PAUSE)


def _delay(task: Task[..., Any], job: StoredJob, error: BaseException) -> float | None:
    try:
        return task.retry.delay_after(job.attempt, error, job.max_attempts)
    except Exception:  # noqa: BLE001 - an application's own delay rule may raise anything, and the job must not be lost
        _log.exception("the retry policy of %s failed; using the default one", task.name)
        return Retry().delay_after(job.attempt, error, job.max_attempts)


def _failure(job: StoredJob, error: BaseException, began: float, delay: float | None) -> Change:
    if delay is not None:
        return _ended(FAIL, job, error, began, {"delay": microseconds(delay)})
    return _ended(DISCARD if isinstance(error, Discard) else GIVE_UP, job, error, began)


def _ended(event: Event, job: StoredJob, error: BaseException, began: float, fields: Fields | None = None) -> Change:
    started = job.started or 0
    record = Attempt(
        "cancelled" if event is STOP else "failed",
        job.attempt,
        job.generation,
        job.holder or "",
        started,
        started + int((time.monotonic() - began) * SECOND),
        _cut(f"{type(error).__name__}: {error}", ATTEMPT_BYTES // 4),
        _cut("".join(traceback.format_exception(error)), ATTEMPT_BYTES // 2),
    )
    values: Fields = {"attempt_record": msgspec.json.encode(record)[:ATTEMPT_BYTES]}
    return move(event, job, {**values, **(fields or {})})


def _cut(text: str, most_bytes: int) -> str:
    """The text, or its end: the innermost frames and the message are there."""
    data = text.encode(errors="replace")
    return text if len(data) <= most_bytes else "…" + data[-most_bytes:].decode(errors="ignore")
