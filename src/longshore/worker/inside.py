"""The process of one run, seen from inside (docs/design/own-process.md)."""

from __future__ import annotations

import importlib
import os
import random
import resource
import signal
import threading
from collections.abc import Callable
from contextlib import suppress
from types import FrameType
from typing import TYPE_CHECKING, Any, Final

import msgspec
from msgspec import Struct

from longshore.contract import Change, StoredJob
from longshore.worker.performing import Cancelled, Interrupted, Stopped, TimedOut, perform

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

_REASONS: Final = {reason.__name__: reason for reason in (Interrupted, Cancelled, Stopped, TimedOut)}
_SIGNAL: Final = signal.SIGURG
"""By which a reason arrives in the main thread: ignored by default, and hardly used for anything else."""
_AGAIN: Final = 0.05
BEGUN: Final = b"begun"
"""What is said over the pipe when the task begins: its time runs from then."""
_MEGABYTE: Final = 1024 * 1024


class Orders(Struct, frozen=True):
    """What a process is to run: a job, by the application that a module has under a name."""

    module: str
    attribute: str
    task_module: str
    job: StoredJob
    url: str | None = None
    memory: float | None = None
    old_url: str | None = None
    """The store that the application moves from."""
    side: int | None = None
    """At which of the application's stores the job is; None: there is one."""


class Answer(Struct, frozen=True):
    """The change that settles the run, None if it was interrupted without one; or why the task could not be found."""

    change: Change | None = None
    problem: str | None = None


def live_apart(pipe: Connection, encoded: bytes) -> None:
    """Runs one job and answers over the pipe: the whole life of the process."""
    os.setsid()
    random.seed()
    orders = msgspec.msgpack.decode(encoded, type=Orders)
    interruption = _Interruption(pipe)
    if orders.memory is not None:
        most = int(orders.memory * _MEGABYTE)
        resource.setrlimit(resource.RLIMIT_DATA, (most, most))
    answer = Answer()
    with suppress(Interrupted):  # It may arrive anywhere from here on.
        interruption.begin()
        answer = _performed(orders, pipe, interruption.end)
    with suppress(OSError):  # The worker is gone, and the run void.
        pipe.send_bytes(msgspec.msgpack.encode(answer))


def _performed(orders: Orders, pipe: Connection, over: Callable[[], None]) -> Answer:
    try:
        app = _application(orders)
    except Exception as error:  # noqa: BLE001 - the application's modules may raise anything
        return Answer(problem=f"{orders.module} could not be imported there: {type(error).__name__}: {error}")
    if orders.url is not None:
        app.use(orders.url, moving_from=orders.old_url)
    pipe.send_bytes(BEGUN)
    try:
        return Answer(perform(app if orders.side is None else app.sides[orders.side], orders.job, over))
    finally:
        app.close()


def _application(orders: Orders) -> Any:
    importlib.import_module(orders.task_module)
    return getattr(importlib.import_module(orders.module), orders.attribute)


class _Interruption:
    """Raises in the main thread what the worker says, and ends all when the worker has gone."""

    def __init__(self, pipe: Connection) -> None:
        self._pipe = pipe
        self._main = threading.get_ident()
        self._reason: type[Interrupted] | None = None
        self._is_on = False

    def begin(self) -> None:
        """From now on."""
        self._is_on = True
        signal.signal(_SIGNAL, self._raise)
        threading.Thread(target=self._listen, name="longshore-pipe", daemon=True).start()

    def end(self) -> None:
        """Not any more: the run is over, and its outcome must get through."""
        self._is_on = False

    def _listen(self) -> None:
        try:
            while True:
                if self._reason is None or self._pipe.poll(_AGAIN):
                    self._reason = _REASONS[self._pipe.recv_bytes().decode()]
                if self._is_on:
                    # Once more if need be: one that comes just before a blocking call does not end that call.
                    signal.pthread_kill(self._main, _SIGNAL)
        except (EOFError, OSError):
            os.killpg(os.getpid(), signal.SIGKILL)

    def _raise(self, _signal: int, _frame: FrameType | None) -> None:
        reason, self._reason = self._reason, None
        if reason is not None and self._is_on:
            raise reason
