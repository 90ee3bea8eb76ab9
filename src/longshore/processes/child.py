"""One worker process of a supervisor: ``python -m longshore.processes.child``.

It is told what to do by one line of JSON on its standard input, and when to stop by further ones. The input ends when
the supervisor does: then it stops too. It says under which names it holds jobs on the file descriptor it was given.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
from collections.abc import Iterator
from types import FrameType
from typing import Final

import msgspec
from msgspec import Struct

from longshore.loading import load_app
from longshore.worker.settings import WorkerSettings
from longshore.worker.worker import Worker

RETIRED: Final = 75
"""The exit code of a process that asks to be replaced by a new one."""
STOP: Final = b"stop"
"""Finish what runs, and end."""
STOP_NOW: Final = b"stop now"
"""Interrupt what runs, hand it back, and end."""
_STDIN: Final = 0


class Orders(Struct, frozen=True):
    """What a supervisor tells its children; ``path`` is where it finds modules itself."""

    app: str
    settings: WorkerSettings
    report: int
    path: tuple[str, ...] = ()
    url: str | list[str] | None = None
    until_empty: bool = False


def main() -> int:
    """Works until it is told to stop; gives the exit code."""
    lines = _lines()
    orders = msgspec.json.decode(next(lines), type=Orders)
    sys.path += [entry for entry in orders.path if entry not in sys.path]
    app = load_app(orders.app)
    if orders.url is not None:
        app.use(orders.url)

    def announce(holder: str) -> None:
        os.write(orders.report, json.dumps(holder).encode() + b"\n")

    worker = Worker(app, orders.settings, announce=announce)
    _stop_on_signals(worker)
    threading.Thread(target=_obey, args=(worker, lines), name="longshore-orders", daemon=True).start()
    worker.run(until_empty=orders.until_empty)
    app.close()
    return RETIRED if worker.retired else 0


def _stop_on_signals(worker: Worker) -> None:
    # Told twice it is still patient: who stops all processes of a service at once signals it beside its supervisor,
    # which tells it too. Only the supervisor's own word makes haste.
    def stop(_signal: int, _frame: FrameType | None) -> None:
        worker.ask_to_stop()

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)


def _obey(worker: Worker, lines: Iterator[bytes]) -> None:
    for line in lines:
        worker.ask_to_stop(now=line == STOP_NOW)
    worker.ask_to_stop()


def _lines() -> Iterator[bytes]:
    """What the supervisor says, until it ends."""
    # Without the buffer of sys.stdin: a thread that waits in it would keep the interpreter from ending.
    unread = b""
    while data := os.read(_STDIN, 4096):
        *lines, unread = (unread + data).split(b"\n")
        yield from lines


if __name__ == "__main__":
    sys.exit(main())
