"""What was enqueued, as a test asks for it."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any, Final, TypedDict

from msgspec import UNSET, Struct

from longshore.app import Longshore
from longshore.contract import UNENDED, Duration, Instant, Order, State, StoredJob, Where
from longshore.durations import Seconds, instant, microseconds
from longshore.errors import InvalidValue
from longshore.info import JobInfo, info_of
from longshore.jobs import Job
from longshore.tasks import Task, shown_call

_NEAR: Final[Duration] = 1_000
"""Jobs of one call are created a microsecond apart, and some stores keep milliseconds."""
_MOST_SHOWN: Final = 20


class EnqueuedJob(Struct, frozen=True):
    """A job in the store, with the arguments that it was given, by name."""

    info: JobInfo
    arguments: Mapping[str, Any]

    @property
    def id(self) -> str:
        return self.info.id


class Asked(TypedDict, total=False):
    """What a job must be besides: each as it was given to ``task.options(…)``.

    ``notes`` must be among the job's, ``after`` among its parents. ``since`` is how long ago at most, or at which
    moment at the earliest, it was enqueued; ``states`` are those that count, in place of those of jobs that have not
    ended.
    """

    id: str
    queue: str
    priority: int
    delay: Seconds
    at: datetime
    expires: Seconds | datetime
    max_attempts: int | None
    notes: Mapping[str, Any]
    after: Job[Any] | str
    key: str
    group: str
    since: Seconds | datetime
    states: State | Iterable[State]


def find_enqueued(
    app: Longshore, task: Task[..., Any] | str | None, arguments: Mapping[str, Any] | None, asked: Asked
) -> list[EnqueuedJob]:
    """The jobs for which all that is given holds, oldest first.

    Raises:
        InvalidValue: the task has no argument of a name, or what is asked for is not of the form that is needed.
    """
    known = _known(app, task)
    _check(known, arguments, asked)
    now = app.store.now()
    found = []
    for job in app.store.each(_where(task, asked), order=Order.OLDEST):
        if all(is_so(job) for is_so in _conditions(asked, now)):
            given = _arguments(app, job)
            if _hold(known, given, arguments or {}):
                found.append(EnqueuedJob(info_of(job, now), given))
    return found


def told(task: Task[..., Any] | str | None, arguments: Mapping[str, Any] | None, asked: Asked) -> str:
    """What was asked for, in words."""
    name = "any task" if task is None else task if isinstance(task, str) else task.name
    values = ", ".join(f"{key}={value!r}" for key, value in (arguments or {}).items())
    call = name if arguments is None else f"{name}({values})"
    return ", ".join([call, *(f"{key}={value!r}" for key, value in asked.items())])


def shown_jobs(app: Longshore) -> str:
    """All that is in the store, for a message, a line each, newest first; secret arguments are hidden."""
    now = app.store.now()
    lines: list[str] = []
    for job in app.store.each():
        if len(lines) == _MOST_SHOWN:
            lines.append("…")
            break
        info = info_of(job, now)
        due = f", due in {(job.due - now) / 1e6:g} s" if job.due > now and job.state in UNENDED else ""
        call = shown_call(app.tasks, job)
        lines.append(f"{call}: {info.shown_as}, queue={job.queue!r}, priority={job.priority}{due}")
    return "".join(f"\n  {line}" for line in lines) or " nothing"


def _known(app: Longshore, task: Task[..., Any] | str | None) -> Task[..., Any] | None:
    return app.tasks.get(task) if isinstance(task, str) else task


def _check(known: Task[..., Any] | None, arguments: Mapping[str, Any] | None, asked: Asked) -> None:
    options = Asked.__annotations__
    if unknown := asked.keys() - options.keys():
        raise InvalidValue(
            f"expected what can be asked of a job: {', '.join(options)}; got {', '.join(sorted(unknown))}"
        )
    if known is None or arguments is None:
        return
    parameters = _parameters(known)
    takes_any = any(each.kind is each.VAR_KEYWORD for each in parameters.values())
    # No job would ever have it, so that refuting it would prove nothing.
    if (others := arguments.keys() - parameters.keys()) and not takes_any:
        raise InvalidValue(
            f"expected arguments of {known.name}: {', '.join(parameters) or 'it has none'}; got "
            f"{', '.join(sorted(others))}"
        )


def _parameters(task: Task[..., Any]) -> dict[str, inspect.Parameter]:
    return dict(list(inspect.signature(task.function).parameters.items())[task.takes_context :])


def _where(task: Task[..., Any] | str | None, asked: Asked) -> Where:
    states = asked.get("states", UNENDED)
    name = task if isinstance(task, str) or task is None else task.name
    return Where(
        ids=(asked["id"],) if "id" in asked else None,
        queues=(asked["queue"],) if "queue" in asked else None,
        tasks=None if name is None else (name,),
        states=(states,) if isinstance(states, State) else tuple(states),
        notes=asked.get("notes"),
        parents=(id_of(asked["after"]),) if "after" in asked else None,
        keys=(asked["key"],) if "key" in asked else None,
        groups=(asked["group"],) if "group" in asked else None,
    )


def id_of(job: Job[Any] | str) -> str:
    """The id of a job, of which a handle or the id is given."""
    return job if isinstance(job, str) else job.id


def _conditions(asked: Asked, now: Instant) -> list[Callable[[StoredJob], bool]]:
    """What no `Where` can ask."""
    conditions: list[Callable[[StoredJob], bool]] = []
    if "priority" in asked:
        conditions.append(lambda job: job.priority == asked["priority"])
    if "max_attempts" in asked:
        conditions.append(lambda job: job.max_attempts == asked["max_attempts"])
    if "delay" in asked:
        delay = microseconds(asked["delay"], name="delay")
        conditions.append(lambda job: _near(job.due, job.created + delay))
    if "at" in asked:
        at = instant(asked["at"], name="at")
        conditions.append(lambda job: _near(job.due, at))
    if "expires" in asked:
        expires = asked["expires"]
        conditions.append(lambda job: _near(job.expires, _end_of(expires, job.created)))
    if "since" in asked:
        since = asked["since"]
        first = instant(since, name="since") if isinstance(since, datetime) else now - microseconds(since, name="since")
        conditions.append(lambda job: job.created >= first)
    return conditions


def _end_of(expires: Seconds | datetime, created: Instant) -> Instant:
    if isinstance(expires, datetime):
        return instant(expires, name="expires")
    return created + microseconds(expires, name="expires")


def _near(one: Instant | None, other: Instant) -> bool:
    return one is not None and abs(one - other) <= _NEAR


def _arguments(app: Longshore, job: StoredJob) -> Mapping[str, Any]:
    task = app.tasks.get(job.task)
    if task is not None:
        return task.arguments.named(job.payload, job.codec)
    values: Mapping[str, Any] = app.result_codec(job.task).decode(job.payload, job.codec)
    return values


def _hold(known: Task[..., Any] | None, given: Mapping[str, Any], wanted: Mapping[str, Any]) -> bool:
    """Whether each wanted argument was given, or is what the task takes when it is not given."""
    defaults: dict[str, Any] = {}
    if known is not None:
        parameters = _parameters(known).items()
        defaults = {name: each.default for name, each in parameters if each.default is not each.empty}
    there = {**defaults, **given}
    return all(there.get(name, UNSET) == value for name, value in wanted.items())
