"""Commands on a store as a whole: statistics, history, workers, purge, health."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer
from msgspec.structs import asdict

from longshore.cli.jobs import Queues, Tasks
from longshore.cli.opening import AppOption, JsonOption, UrlOption, opened
from longshore.cli.printing import print_json, print_table
from longshore.errors import ConfigurationError, InvalidValue, LongshoreError


class Check(StrEnum):
    """What health is asked for."""

    LIVE = "live"
    READY = "ready"


def stats(app: AppOption = None, url: UrlOption = None, json: JsonOption = False) -> None:
    """Shows how many jobs and workers there are, and what nobody takes."""
    with opened(app, url) as found:
        shown, queues, unserved = found.admin.stats(), found.admin.counts(), found.admin.unserved()
    if json:
        print_json({**asdict(shown), "queues": queues, "unserved": unserved})
        return
    print_table(("what", "number"), asdict(shown).items())
    for queue in queues:
        counted = ", ".join(f"{number} {state.name.lower()}" for state, number in queues[queue].items() if number)
        print(f"queue {queue}: {counted}")
    for each in unserved:
        why = "workers that know it serve other queues" if each.known else "no living worker knows it"
        print(f"unserved: {each.jobs} of {each.task} in {each.queue}: {why}")


def history(app: AppOption = None, url: UrlOption = None, json: JsonOption = False) -> None:
    """Shows what workers did in each of the last 24 hours."""
    with opened(app, url) as found:
        hours = found.admin.history()
    if json:
        print_json(hours)
        return
    columns = ("hour", "succeeded", "failed", "cancelled", "again")
    print_table(columns, ((h.start, h.succeeded, h.failed, h.cancelled, h.again) for h in hours))


def workers(app: AppOption = None, url: UrlOption = None, json: JsonOption = False) -> None:
    """Lists the processes that run jobs, and those that died and still hold some."""
    with opened(app, url) as found:
        present = found.admin.workers()
    if json:
        print_json(present)
        return
    columns = ("name", "alive", "status", "release", "host", "pid", "queues", "slots", "holds", "jobs")
    print_table(
        columns,
        (
            (
                w.name,
                "yes" if w.alive else "no",
                w.status,
                w.release,
                w.host,
                w.pid,
                w.queues,
                w.slots,
                len(w.holds),
                [j.id for j in w.holds],
            )
            for w in present
        ),
    )


def purge(
    app: AppOption = None,
    url: UrlOption = None,
    queue: Queues = None,
    task: Tasks = None,
    every: Annotated[bool, typer.Option("--all", help="Of all queues and tasks.")] = False,
    json: JsonOption = False,
) -> None:
    """Gives up all jobs that have not ended; they stay to be seen, abandoned."""
    if every == bool(queue or task):
        raise InvalidValue("expected which jobs to give up: --queue, --task, or --all; and not both")
    with opened(app, url) as found:
        number = found.admin.purge(queues=queue or None, tasks=task or None)
    if json:
        print_json({"abandoned": number})
    else:
        print(f"{number} jobs are abandoned")


def health(
    check: Annotated[Check, typer.Argument(help="live: the store answers; ready: a living worker serves the queues.")],
    app: AppOption = None,
    url: UrlOption = None,
    queue: Annotated[list[str] | None, typer.Option("--queue", "-q", help="One to be served; repeatable.")] = None,
    json: JsonOption = False,
) -> None:
    """Says by its exit code whether all is well: 0, or 1."""
    problem: str | None = None
    try:
        with opened(app, url, patience=0.0) as found:
            found.store.now()
            if check is Check.READY:
                problem = _not_served(queue or [], [w.queues for w in found.admin.workers() if w.alive])
    except ConfigurationError:
        raise
    except LongshoreError as error:
        problem = str(error)
    if json:
        print_json({"check": check, "healthy": problem is None, "problem": problem})
    if problem is not None:
        if json:
            raise typer.Exit(1)
        raise LongshoreError(problem)
    if not json:
        print(check)


def _not_served(wanted: list[str], served: list[tuple[str, ...]]) -> str | None:
    if not served:
        return "no worker lives"
    missing = sorted(set(wanted).difference(*served))
    return f"no living worker serves {', '.join(missing)}" if missing else None
