"""``longshore failures``: what failed, and a new job in place of it."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from longshore.cli.jobs import Queues, SomeIds, Tasks, print_fates
from longshore.cli.opening import AppOption, JsonOption, UrlOption, opened
from longshore.cli.printing import print_json, print_table
from longshore.errors import InvalidValue

failures = typer.Typer(no_args_is_help=True, help="Looks at what failed or was abandoned, and enqueues it anew.")


@failures.command("list")
def list_failures(
    app: AppOption = None,
    url: UrlOption = None,
    queue: Queues = None,
    task: Tasks = None,
    limit: Annotated[int, typer.Option("--limit", "-l", help="At most so many.")] = 50,
    after: Annotated[str | None, typer.Option(help="The cursor of the page before.")] = None,
    json: JsonOption = False,
) -> None:
    """Lists failed and abandoned jobs with their last error, newest first."""
    with opened(app, url) as found:
        page = found.admin.failures(queues=queue or None, tasks=task or None, limit=limit, after=after)
    if json:
        print_json(page)
        return
    columns = ("id", "state", "queue", "task", "attempt", "ended", "error", "enqueued again")
    rows = ((f.id, f.state, f.queue, f.task, f.attempt, f.ended, f.error, f.enqueued_again) for f in page.failures)
    print_table(columns, rows)
    if page.after is not None:
        print(f"there are more: --after {page.after}", file=sys.stderr)


@failures.command()
def retry(
    ids: SomeIds = None,
    app: AppOption = None,
    url: UrlOption = None,
    queue: Queues = None,
    task: Tasks = None,
    every: Annotated[bool, typer.Option("--all", help="All of them, or all of these queues and tasks.")] = False,
    json: JsonOption = False,
) -> None:
    """Stores a new job in place of each, once; the failed one stays to be looked at."""
    if bool(ids) == every or (ids and (queue or task)):
        raise InvalidValue("expected the jobs' ids, or --all, perhaps with --queue and --task; and not both")
    with opened(app, url) as found:
        some = ids or []
        after: str | None = None
        while every:
            page = found.admin.failures(queues=queue or None, tasks=task or None, limit=500, after=after)
            some += [failure.id for failure in page.failures if failure.enqueued_again is None]
            after = page.after
            every = after is not None
        fates = found.admin.enqueue_failed(some)
    print_fates(fates, as_json=json)
