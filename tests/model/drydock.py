"""The application whose tasks run in processes of their own in tests."""

from __future__ import annotations

import asyncio
import ctypes
import os
import signal
import subprocess
import sys
import threading

from longshore import Context, Fixed, Longshore, Retry
from longshore.worker.performing import Interrupted

app = Longshore("memory://")
ONCE = Retry(max_attempts=1)


def tell(path: str, *words: object) -> None:
    """One line, whole also when several processes write."""
    with open(path, "a") as words_of_all:  # noqa: PTH123 - appended by one write
        words_of_all.write(" ".join(map(str, words)) + "\n")


def stay() -> None:
    """Waits in a call that nothing but a signal interrupts."""
    while True:
        signal.pause()


@app.task(executor="process")
def where(context: Context) -> tuple[int, int, str]:
    return os.getpid(), threading.active_count(), context.job_id


@app.task(executor="process")
async def where_async() -> int:
    await asyncio.sleep(0)
    return os.getpid()


@app.task(executor="process", retry=ONCE)
def end_with(code: int) -> None:
    os._exit(code)


@app.task(executor="process", retry=ONCE)
def read_null() -> None:
    ctypes.string_at(0)


@app.task(executor="process", retry=Retry(max_attempts=2, delay=Fixed(0)))
def die_at_first(context: Context) -> int:
    if context.attempt == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    return context.attempt


@app.task(executor="process", retry=ONCE, memory=256)
def fill(megabytes: int) -> int:
    return len(bytearray(megabytes * 1024 * 1024))


@app.task(executor="process", retry=ONCE, timeout=0.2)
def stay_politely(path: str) -> None:
    try:
        stay()
    except Interrupted as reason:
        tell(path, type(reason).__name__)
        raise


@app.task(executor="process", retry=ONCE, timeout=0.2)
def stay_stubbornly(path: str) -> None:
    child = subprocess.Popen([sys.executable, "-c", "import signal; signal.pause()"])
    tell(path, os.getpid(), child.pid)
    while True:
        try:
            stay()
        except Interrupted:
            continue


@app.task(executor="process")
def stay_until_told(path: str) -> None:
    child = subprocess.Popen([sys.executable, "-c", "import signal; signal.pause()"])
    try:
        tell(path, os.getpid(), child.pid)
        stay()
    finally:
        child.kill()
        tell(path, "left", "-")


@app.task(executor="process")
def leave_a_thread_behind() -> int:
    threading.Thread(target=threading.Event().wait).start()
    return os.getpid()


@app.task(executor="process")
def count_runs(context: Context, path: str) -> int:
    tell(path, context.job_id)
    return context.attempt


@app.command
def end_at_once() -> None:
    os._exit(3)
