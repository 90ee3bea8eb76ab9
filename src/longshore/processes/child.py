"""One worker process of a supervisor: ``python -m longshore.processes.child``.

It is told what to do by one line of JSON on its standard input, which ends when the supervisor does: then it stops too.
It says under which names it holds jobs on the file descriptor that it was given.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
from types import FrameType
from typing import Final

import msgspec
from msgspec import Struct

from longshore.loading import load_app
from longshore.worker.settings import WorkerSettings
from longshore.worker.worker import Worker

RETIRED: Final = 75
"""The exit code of a process that asks to be replaced by a new one."""
_STDIN: Final = 0


class Orders(Struct, frozen=True):
    """What a supervisor tells its children; ``path`` is where it finds modules itself."""

    app: str
    settings: WorkerSettings
    report: int
    path: tuple[str, ...] = ()
    url: str | None = None
    until_empty: bool = False


def main() -> int:
    """Works until it is told to stop; gives the exit code."""
    orders = msgspec.json.decode(_first_line(), type=Orders)
    sys.path += [entry for entry in orders.path if entry not in sys.path]
    app = load_app(orders.app)
    if orders.url is not None:
        app.use(orders.url)

    def announce(holder: str) -> None:
        os.write(orders.report, json.dumps(holder).encode() + b"\n")

    worker = Worker(app, orders.settings, announce=announce)
    _stop_on_signals(worker)
    threading.Thread(target=_stop_with_supervisor, args=(worker,), name="longshore-orders", daemon=True).start()
    worker.run(until_empty=orders.until_empty)
    app.close()
    return RETIRED if worker.retired else 0


def _stop_on_signals(worker: Worker) -> None:
    asked = 0

    def stop(_signal: int, _frame: FrameType | None) -> None:
        nonlocal asked
        asked += 1
        worker.ask_to_stop(now=asked > 1)

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)


def _first_line() -> bytes:
    # Without the buffer of sys.stdin: a thread that waits in it would keep the interpreter from ending.
    line = b""
    while not line.endswith(b"\n") and (data := os.read(_STDIN, 4096)):
        line += data
    return line


def _stop_with_supervisor(worker: Worker) -> None:
    while os.read(_STDIN, 4096):
        pass
    worker.ask_to_stop()


if __name__ == "__main__":
    sys.exit(main())
