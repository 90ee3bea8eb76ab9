"""``longshore top``: a store as it is now, shown again and again."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from threading import Event
from typing import Annotated, Any

import typer

from longshore.admin import Admin
from longshore.cli.opening import AppOption, UrlOption, opened
from longshore.cli.printing import table
from longshore.contract import UNENDED, State

_COLUMNS = (*sorted(UNENDED), State.SUCCEEDED, State.FAILED)


def top(
    app: AppOption = None,
    url: UrlOption = None,
    interval: Annotated[float, typer.Option("--interval", "-i", min=0.1, help="Seconds between looks.")] = 1.0,
    times: Annotated[int | None, typer.Option("--times", "-n", min=1, help="End after so many looks.")] = None,
) -> None:
    """Shows queues, workers and what they run, again and again until Ctrl-C."""
    from rich.console import Console, Group
    from rich.live import Live

    console = Console()
    with opened(app, url) as found:
        views = (Group(*_view(found.admin)) for _ in _looks(interval, times))
        if not sys.stdout.isatty():
            for view in views:
                console.print(view)
            return
        with Live(console=console, screen=times is None, auto_refresh=False) as live:
            for view in views:
                live.update(view, refresh=True)


def _looks(interval: float, times: int | None) -> Iterator[int]:
    pause = Event()
    look = 0
    while True:
        yield look
        look += 1
        if look == times:
            return
        pause.wait(interval)


def _view(admin: Admin) -> Iterator[Any]:
    stats, hour = admin.stats(scheduled=False), admin.history()[-1]
    workers = admin.workers()
    yield (
        f"{stats.running} running, {stats.pending} pending, {stats.failed} failed; {stats.workers} workers, "
        f"{stats.busy_workers} busy; since {hour.start:%H:%M} UTC {hour.succeeded} succeeded, {hour.failed} failed, "
        f"{hour.again} to run again"
    )
    queues = admin.counts().items()
    names = [state.name.lower() for state in _COLUMNS]
    yield table(("queue", *names), ((queue, *(counts[state] for state in _COLUMNS)) for queue, counts in queues))
    held = [(worker, job) for worker in workers for job in worker.holds]
    yield table(
        ("worker", "alive", "job", "task", "started"),
        ((worker.name, "yes" if worker.alive else "no", job.id, job.task, job.started) for worker, job in held[:50]),
    )
