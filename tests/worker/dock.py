"""The application whose tasks worker processes run in tests: they say what happens into a named pipe."""

from __future__ import annotations

import os
import threading
from contextlib import suppress
from pathlib import Path

from longshore import Context, Longshore, Retry
from longshore.worker.performing import Interrupted

app = Longshore("memory://")


def tell(pipe: str, *words: object) -> None:
    """One line, whole also when several processes write."""
    with open(pipe, "a") as words_of_all:  # noqa: PTH123 - appended by one write
        words_of_all.write(" ".join(map(str, words)) + "\n")


def wait_until_open(pipe: str) -> None:
    """Waits, interruptibly, until the test opens the gate beside its pipe."""
    pause = threading.Event()
    while not Path(f"{pipe}.open").exists():
        pause.wait(0.01)


@app.task
def say(pipe: str, word: str) -> int:
    tell(pipe, "say", word, os.getpid())
    return os.getpid()


@app.task
def stay(context: Context, pipe: str, word: str) -> str:
    """Stays until the gate is opened; interrupted, it says so and returns all the same."""
    tell(pipe, "stay", word, os.getpid())
    try:
        wait_until_open(pipe)
    except Interrupted:
        tell(pipe, "interrupted", word, os.getpid())
        wait_until_open(pipe)
        tell(pipe, "late", word, os.getpid())
    return f"{word} by {os.getpid()} after {context.crashes} crashes"


@app.task
def nothing(number: int) -> int:
    return number


@app.task
def leave_a_process_behind(pipe: str) -> None:
    """Forks a process that holds all that this one has open, until the gate is opened."""
    if os.fork() == 0:
        wait_until_open(pipe)
        os._exit(0)
    tell(pipe, "forked", "-", os.getpid())
    wait_until_open(pipe)


@app.task
def leave_an_orphan(pipe: str) -> None:
    """Forks a process that forks another and is gone; the other says whose child it is now, and ends."""
    parent = os.fork()
    if parent == 0:
        if os.fork() == 0:
            while os.getppid() != 1:
                threading.Event().wait(0.01)
            tell(pipe, "orphan", "-", os.getpid())
        os._exit(0)
    os.waitpid(parent, 0)


@app.task(timeout=0.2, retry=Retry(max_attempts=1))
def never_end(pipe: str) -> None:
    """Ends only with its process."""
    tell(pipe, "never", "-", os.getpid())
    pause = threading.Event()
    while True:
        with suppress(Interrupted):
            pause.wait(0.01)


@app.task
def take_a_moment(number: int) -> int:
    threading.Event().wait(0.02)
    return number


@app.task
def kill_its_process() -> None:
    threading.Event().wait(0.01)
    os._exit(1)
