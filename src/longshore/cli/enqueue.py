"""``longshore enqueue``: a job by the name of its task."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from difflib import get_close_matches
from typing import Annotated, Any

import typer
from msgspec import UNSET

from longshore.cli.jobs import notes_of
from longshore.cli.opening import AppOption, JsonOption, UrlOption, opened
from longshore.cli.printing import print_json
from longshore.errors import InvalidValue
from longshore.tasks import DEFAULT_QUEUE, Call, Options, Task


def enqueue(
    task: Annotated[str, typer.Argument(help="The task's name.")],
    arguments: Annotated[str, typer.Argument(help="Its arguments by name, as a JSON object.")] = "{}",
    app: AppOption = None,
    url: UrlOption = None,
    identity: Annotated[str | None, typer.Option("--id", help="The job's id, instead of a generated one.")] = None,
    queue: Annotated[str | None, typer.Option("--queue", "-q", help="Another queue than the task's.")] = None,
    priority: Annotated[int | None, typer.Option("--priority", "-p", help="Higher first.")] = None,
    delay: Annotated[float, typer.Option("--delay", "-d", help="Not before so many seconds from now.")] = 0.0,
    expires: Annotated[float | None, typer.Option(help="Not after so many seconds from now.")] = None,
    max_attempts: Annotated[int | None, typer.Option(help="How often it may run; 0 for no limit.")] = None,
    note: Annotated[list[str] | None, typer.Option(help="A note, as KEY=JSON; repeatable.")] = None,
    json: JsonOption = False,
) -> None:
    """Stores a job, and prints its id; with the application its arguments are checked."""
    options = Options(
        id=identity,
        queue=queue or DEFAULT_QUEUE,
        priority=priority or 0,
        delay=delay,
        expires=expires,
        max_attempts=UNSET if max_attempts is None else max_attempts or None,
        notes=notes_of(note) or {},
    )
    with opened(app, url) as found:
        known = found.tasks.get(task)
        if known is None:
            if app is not None:
                print(f"longshore: {_stays(task, found.tasks)}", file=sys.stderr)
            call = found.call_by_name(task, _object(arguments), options=options)
        else:
            call = _call(known, _object(arguments), options, queue, priority)
        job = found.enqueue(call)
    if json:
        print_json({"id": job.id})
    else:
        print(job.id)


def _call(
    task: Task[..., Any], arguments: dict[str, Any], options: Options, queue: str | None, priority: int | None
) -> Call[Any]:
    configured = task.options(
        id=options.id,
        queue=queue,
        priority=priority,
        delay=options.delay,
        expires=options.expires,
        max_attempts=options.max_attempts,
        notes=options.notes,
    )
    call = configured.call(**arguments)
    task.arguments.decode(call.payload)  # What is no value of its parameter's type is found now, not by a worker.
    return call


def _stays(task: str, known: Iterable[str]) -> str:
    near = get_close_matches(task, known, n=1)
    meant = f" (did you mean {near[0]}?)" if near else ""
    return f"the application has no task {task}{meant}; the job is stored, and stays pending until a worker knows it"


def _object(arguments: str) -> dict[str, Any]:
    from json import loads

    try:
        given = loads(arguments)
    except ValueError as error:
        raise InvalidValue(f"expected the arguments as a JSON object; this is no JSON: {error}") from error
    if not isinstance(given, dict):
        raise InvalidValue(f"expected the arguments as a JSON object by name; got {arguments}")
    return given
