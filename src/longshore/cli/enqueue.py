"""``longshore enqueue``: a job by the name of its task."""

from __future__ import annotations

from typing import Annotated

import typer

from longshore.cli.calls import Arguments, MaxAttempts, Notes, Priority, Queue, TaskName, attempts_of, call_of, notes_of
from longshore.cli.opening import AppOption, JsonOption, UrlOption, opened
from longshore.cli.printing import print_json


def enqueue(
    task: TaskName,
    arguments: Arguments = "{}",
    app: AppOption = None,
    url: UrlOption = None,
    identity: Annotated[str | None, typer.Option("--id", help="The job's id, instead of a generated one.")] = None,
    queue: Queue = None,
    priority: Priority = None,
    delay: Annotated[float, typer.Option("--delay", "-d", help="Not before so many seconds from now.")] = 0.0,
    expires: Annotated[float | None, typer.Option(help="Not after so many seconds from now.")] = None,
    max_attempts: MaxAttempts = None,
    note: Notes = None,
    after: Annotated[list[str] | None, typer.Option(help="The id of a job that it waits for; repeatable.")] = None,
    lax: Annotated[bool, typer.Option("--lax", help="It runs however those it waits for end.")] = False,
    key: Annotated[str | None, typer.Option(help="Of all jobs with this key one runs at a time, in order.")] = None,
    group: Annotated[str | None, typer.Option(help="The group that it is a member of.")] = None,
    json: JsonOption = False,
) -> None:
    """Stores a job, and prints its id; with the application its arguments are checked."""
    bonds = {"after": after or (), "lax": lax, "key": key, "group": group}
    with opened(app, url) as found:
        call = call_of(
            found, app, task, arguments,
            id=identity, queue=queue, priority=priority, delay=delay, expires=expires,
            max_attempts=attempts_of(max_attempts), notes=notes_of(note), **bonds,
        )  # fmt: skip
        job = found.enqueue(call)
    if json:
        print_json({"id": job.id})
    else:
        print(job.id)
