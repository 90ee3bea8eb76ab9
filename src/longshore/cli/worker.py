"""``longshore worker``: runs jobs."""

from __future__ import annotations

import logging
from typing import Annotated

import typer

AppName = Annotated[str, typer.Argument(envvar="LONGSHORE_APP", help="The application, as module:attribute.")]
Url = Annotated[str | None, typer.Option(envvar="LONGSHORE_URL", help="Another store than the application's own.")]
_QUEUES = "Whose jobs to take; repeatable; with a weight as NAME=NUMBER."


def worker(
    app: AppName,
    url: Url = None,
    queue: Annotated[list[str] | None, typer.Option("--queue", "-q", help=_QUEUES)] = None,
    strict: Annotated[bool, typer.Option("--strict", help="Queues in the order given, not by priority.")] = False,
    limit: Annotated[list[str] | None, typer.Option(help="Jobs of one task at a time, as TASK=NUMBER.")] = None,
    processes: Annotated[int, typer.Option("--processes", "-p", min=1, help="How many processes.")] = 1,
    slots: Annotated[int, typer.Option("--slots", "-s", min=1, help="Jobs that one process runs at a time.")] = 10,
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
        idle_timeout=idle_timeout,
        max_jobs=max_jobs,
        max_memory=max_memory,
        release=release,
        drain=drain,
    )
    supervisor = Supervisor(app, processes=processes, url=url, settings=settings, until_empty=until_empty)
    raise typer.Exit(supervisor.run())


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
