"""The application of the tests of limits: its tasks write down when they run, by a clock that all processes share."""

from __future__ import annotations

import os
import threading
import time

from longshore import Longshore

app = Longshore("memory://")


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
