"""The application of the tests of limits: its tasks write down when they run, by a clock that all processes share."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path

from msgspec import Struct

from longshore import Longshore

app = Longshore("memory://")


class Stay(Struct, frozen=True):
    """One run, from when to when by the machine's clock, in seconds; an end that is missing is infinity."""

    pid: int
    began: float
    ended: float


@app.task
def moor(log: str, number: int, seconds: float) -> None:
    """Stays for a while."""
    note(log, "in", number)
    threading.Event().wait(seconds)
    note(log, "out", number)


@app.task
def pass_by(log: str, number: int) -> None:
    note(log, "in", number)
    note(log, "out", number)


@app.task
def nothing(number: int) -> int:
    return number


def note(log: str, word: str, number: int) -> None:
    """One line, whole also when several processes write."""
    with open(log, "a") as lines:  # noqa: PTH123 - appended by one write
        lines.write(f"{word} {number} {os.getpid()} {time.monotonic_ns()}\n")


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
