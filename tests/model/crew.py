"""Worker processes that nobody watches over, and when the tasks in them ran, as they wrote it down themselves."""

from __future__ import annotations

import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from msgspec import Struct

from longshore.processes.child import Orders
from longshore.processes.supervisor import Child
from longshore.worker.settings import WorkerSettings
from worker.faulty import FaultyApp
from worker.gate import PATIENCE


class Stay(Struct, frozen=True):
    """One run, from when to when by the machine's clock, in seconds; an end that is missing is infinity."""

    pid: int
    began: float
    ended: float


def stays(log: str | Path) -> list[Stay]:
    """The runs that were written down."""
    runs: dict[tuple[int, int], list[float]] = {}
    for line in Path(log).read_text().splitlines():
        _, number, pid, nanoseconds = line.split()
        runs.setdefault((int(pid), int(number)), []).append(int(nanoseconds) / 1e9)
    return [Stay(pid, times[0], times[1] if len(times) > 1 else float("inf")) for (pid, _), times in runs.items()]


def most_at_a_time(runs: list[Stay]) -> int:
    """How many of them were on at the same moment, at most."""
    # An end counts before a beginning at the same nanosecond.
    moments = sorted([(run.began, 1) for run in runs] + [(run.ended, -1) for run in runs])
    most = on = 0
    for _, step in moments:
        on += step
        most = max(most, on)
    return most


@contextmanager
def processes(
    url: str, settings: WorkerSettings, number: int, *, application: str = "model.berth:app"
) -> Iterator[list[Child]]:
    """Worker processes without a supervisor that would free what a dead one has."""
    children = [Child(Orders(application, settings, -1, tuple(sys.path), url)) for _ in range(number)]
    try:
        yield children
    finally:
        for child in children:
            child.signal(signal.SIGKILL)
            child.end()


def await_stay(log: str, wanted: Callable[[Stay], bool]) -> Stay:
    """Waits until one is written down that is wanted."""
    pause, ends = threading.Event(), time.monotonic() + PATIENCE
    while time.monotonic() < ends:
        if Path(log).exists():
            for run in stays(log):
                if wanted(run):
                    return run
        pause.wait(0.02)
    raise AssertionError(f"expected such a run within {PATIENCE:g} s")


def calls(app: FaultyApp) -> int:
    """How often the workers of an application have asked for jobs."""
    return app.line.calls["claim"] + app.line.calls["exchange"]


def quiet(*apps: FaultyApp) -> None:
    """Waits until nobody has asked for a while."""
    pause, before = threading.Event(), -1
    while (now := sum(map(calls, apps))) != before:
        before = now
        pause.wait(1.2)
