"""``longshore worker``: runs jobs."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from longshore.cli.opening import target_of

if TYPE_CHECKING:
    from longshore.app import Longshore
    from longshore.worker.settings import WorkerSettings

AppName = Annotated[str, typer.Argument(envvar="LONGSHORE_APP", help="The application, as module:attribute.")]
_URL = "Another store than the application's own; given more than once, several at once."
Url = Annotated[list[str] | None, typer.Option("--url", envvar="LONGSHORE_URL", help=_URL)]
_QUEUES = "Whose jobs to take; repeatable; with a weight as NAME=NUMBER."


def worker(
    app: AppName,
    url: Url = None,
    queue: Annotated[list[str] | None, typer.Option("--queue", "-q", help=_QUEUES)] = None,
    strict: Annotated[bool, typer.Option("--strict", help="Queues in the order given, not by priority.")] = False,
    limit: Annotated[list[str] | None, typer.Option(help="Jobs of one task at a time, as TASK=NUMBER.")] = None,
    processes: Annotated[int, typer.Option("--processes", "-p", min=1, help="How many processes.")] = 1,
    slots: Annotated[int, typer.Option("--slots", "-s", min=1, help="Jobs that one process runs at a time.")] = 10,
    spare: Annotated[int, typer.Option(min=0, help="So many more for urgent jobs, when all slots are taken.")] = 0,
    spare_priority: Annotated[int, typer.Option(help="From which priority on a job is urgent.")] = 1,
    until_empty: Annotated[bool, typer.Option("--until-empty", help="End when no job is due.")] = False,
    idle_timeout: Annotated[float | None, typer.Option(min=0, help="End after so many seconds without a job.")] = None,
    max_jobs: Annotated[int | None, typer.Option(min=1, help="Replace a process after so many jobs.")] = None,
    max_memory: Annotated[float | None, typer.Option(min=1, help="Replace a process above so many MB.")] = None,
    release: Annotated[str, typer.Option(envvar="LONGSHORE_RELEASE", help="Shown with the worker.")] = "",
    drain: Annotated[float, typer.Option(help="Seconds that running jobs have after SIGTERM.")] = 25.0,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Log what happens.")] = False,
) -> None:
    """Runs jobs until it is told to stop by SIGTERM or Ctrl-C."""
    from longshore.processes.supervisor import Supervisor
    from longshore.worker.settings import WorkerSettings

    logging.basicConfig(level=logging.INFO if verbose else logging.WARNING, format="%(asctime)s %(name)s %(message)s")
    names, weights = _queues(queue or ["default"])
    settings = WorkerSettings(
        queues=names,
        weights=weights,
        order="strict" if strict else "merged",
        limits=dict(_pair(text) for text in limit or ()),
        slots=slots,
        spare=spare,
        spare_priority=spare_priority,
        idle_timeout=idle_timeout,
        max_jobs=max_jobs,
        max_memory=max_memory,
        release=release,
        drain=drain,
    )
    supervisor = Supervisor(app, processes=processes, url=target_of(url), settings=settings, until_empty=until_empty)
    _tell(app, settings, processes)
    raise typer.Exit(supervisor.run())


def _tell(name: str, settings: WorkerSettings, processes: int) -> None:
    from longshore.loading import load_app

    app = load_app(name)
    for doubt in _doubts(app, settings):
        print(f"longshore: {doubt}", file=sys.stderr)
    if sys.stderr.isatty():
        print(f"longshore: {_greeting(app, settings, processes)}", file=sys.stderr)


def _doubts(app: Longshore, settings: WorkerSettings) -> Iterator[str]:
    """What is allowed, and is seldom meant."""
    if not app.tasks:
        yield "the application has no tasks: import the modules that declare them where it is made"
        return
    used = {task.queue for task in app.tasks.values()}
    if unused := [queue for queue in settings.queues if queue not in used]:
        yield f"no task puts its jobs into {', '.join(unused)} by itself; the tasks use {', '.join(sorted(used))}"
    if unknown := [task for task in settings.limits if task not in app.tasks]:
        yield f"limits of unknown tasks: {', '.join(unknown)}; there are {', '.join(sorted(app.tasks))}"


def _greeting(app: Longshore, settings: WorkerSettings, processes: int) -> str:
    """What somebody who looks at a terminal wants to know, since a worker says nothing while all is well."""
    number = "1 process runs" if processes == 1 else f"{processes} processes run"
    others = sorted({task.queue for task in app.tasks.values()} - set(settings.queues))
    left = f"; not those of {', '.join(others)} (--queue)" if others else ""
    jobs = f"up to {settings.slots} jobs of {', '.join(settings.queues)} at a time"
    return f"{number} {jobs}{left}; Ctrl-C stops"


def _queues(given: list[str]) -> tuple[tuple[str, ...], dict[str, int]]:
    if not any("=" in text for text in given):
        return tuple(given), {}
    weights = dict(_pair(text) for text in given)
    return tuple(weights), weights


def _pair(text: str) -> tuple[str, int]:
    name, _, number = text.rpartition("=")
    if not name or not number.isdecimal():
        raise typer.BadParameter(f"expected NAME=NUMBER; got {text!r}")
    return name, int(number)
