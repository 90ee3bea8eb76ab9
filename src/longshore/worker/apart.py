"""Runs in processes of their own, seen from the worker (docs/design/own-process.md)."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterable
from contextlib import suppress
from multiprocessing import get_context
from multiprocessing.connection import wait
from typing import TYPE_CHECKING, Final

import msgspec

from longshore.application import Application
from longshore.contract import Change
from longshore.errors import ConfigurationError, LongshoreError
from longshore.worker.inside import BEGUN, Answer, Orders, live_apart
from longshore.worker.performing import Interrupted, failed
from longshore.worker.runs import Run

if TYPE_CHECKING:
    from multiprocessing.connection import Connection
    from multiprocessing.context import ForkServerProcess

_SERVER: Final = get_context("forkserver")
_START: Final = 60.0
"""Seconds within which a process must be ready to run: the application's modules are imported by then."""
# What tells how a process ended can be read once, and starting one reads it of all others.
_ONE_AT_A_TIME: Final = threading.Lock()


class ProcessDied(LongshoreError):
    """The process of a run ended without an outcome; the message tells its exit code or the signal that killed it."""


class Apart:
    """Performs runs in processes of their own.

    Args:
        place: of the application among its sides.
        grace: seconds that an interrupted run may take to end before its process is killed.
    """

    def __init__(self, app: Application, place: int, grace: float) -> None:
        self._app = app
        self._place = place
        self._grace = grace
        self._processes: set[OwnProcess] = set()

    def perform(self, run: Run) -> Change | None:
        """Runs the job's task in a new process, and gives the change that settles the run; None: it was interrupted."""
        process = OwnProcess(self._grace)
        if not run.begin(process, now=False):
            return None
        try:
            orders = self._orders(run)
        except ConfigurationError as error:
            return failed(self._app, run.job, error)
        self._processes.add(process)
        try:
            answer = process.live(orders, run.start_clock)
        except OSError as error:
            return failed(self._app, run.job, ProcessDied(f"no process could be started: {error}"))
        finally:
            self._processes.discard(process)
        if answer is not None and answer.problem is None:
            return answer.change
        if run.reason is not None:
            return None
        reason = answer.problem if answer is not None and answer.problem else process.fate
        return failed(self._app, run.job, ProcessDied(reason))

    def close(self) -> None:
        """Kills what runs on."""
        for process in list(self._processes):
            process.signal(signal.SIGKILL)

    def _orders(self, run: Run) -> Orders:
        task = self._app.tasks[run.job.task]
        declared = self._app.declared
        names = (*_address(declared), task.function.__module__)
        side = None if self._app is declared else self._place
        return Orders(
            *names, run.job, _url(declared.store.driver.target), task.memory, _url(declared.moving_from), side
        )


class OwnProcess:
    """The process of one run; the place where the run is."""

    def __init__(self, grace: float) -> None:
        self._grace = grace
        self._lock = threading.Lock()
        self._pipe: Connection | None = None
        self._reason: type[Interrupted] | None = None
        self._process: ForkServerProcess | None = None
        self._killer: threading.Timer | None = None
        self._is_over = False
        self.fate = ""

    def live(self, orders: Orders, begun: Callable[[], None]) -> Answer | None:
        """Starts it, and waits until it has ended; gives its answer. None: it died without one, `fate` tells how.

        ``begun`` is called when the task begins there."""
        pipe, theirs = _SERVER.Pipe()
        process = _SERVER.Process(
            target=live_apart, args=(theirs, msgspec.msgpack.encode(orders)), name="longshore-run"
        )
        with _ONE_AT_A_TIME:
            _SERVER.set_forkserver_preload([orders.module, orders.task_module, live_apart.__module__])
            process.start()
        theirs.close()
        with self._lock:
            self._pipe, self._process = pipe, process
            if self._reason is not None:
                self._tell(self._reason)
        if pipe.poll(_START):
            answer = self._received(pipe, begun)
        else:
            answer = Answer(problem=f"the process of the run was not ready within {_START:g} s")
            self.signal(signal.SIGKILL)
        if not wait([process.sentinel], self._grace):
            self.signal(signal.SIGKILL)  # It has answered, and something that its task left behind keeps it.
            wait([process.sentinel])
        with self._lock:
            self._is_over = True
            if self._killer is not None:
                self._killer.cancel()
        pipe.close()
        with _ONE_AT_A_TIME:
            process.join()
            self.fate = _fate(process.exitcode)
            process.close()
        return answer

    def interrupt(self, run: Run, reason: type[Interrupted]) -> None:
        """Raises ``reason`` inside the run, and kills its process if it goes on."""
        with self._lock:
            self._reason = reason
            if self._pipe is not None and not self._is_over:
                self._tell(reason)

    def signal(self, number: int) -> bool:
        """Sends the process and all that it started a signal; False: it is not on."""
        with self._lock:
            if self._process is None or self._is_over or self._process.pid is None:
                return False
            try:
                os.killpg(self._process.pid, number)
            except ProcessLookupError:  # It is not yet the leader of its session.
                with suppress(ProcessLookupError):
                    os.kill(self._process.pid, number)
            return True

    def _received(self, pipe: Connection, begun: Callable[[], None]) -> Answer | None:
        try:
            while data := pipe.recv_bytes():
                if data != BEGUN:
                    return msgspec.msgpack.decode(data, type=Answer)
                begun()
        except (EOFError, OSError):
            pass
        return None

    def _tell(self, reason: type[Interrupted]) -> None:
        assert self._pipe is not None
        with suppress(OSError):
            self._pipe.send_bytes(reason.__name__.encode())
        self._killer = threading.Timer(self._grace, self.signal, (signal.SIGKILL,))
        self._killer.daemon = True
        self._killer.start()


def _fate(code: int | None) -> str:
    if code is not None and code < 0:
        return f"the process of the run was killed by {_name_of(-code)} (signal {-code}) before it had an outcome"
    return f"the process of the run ended with exit code {code} before it had an outcome"


def _name_of(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return "a signal"


def _url(target: object) -> str | None:
    return target if isinstance(target, str) else None


def _address(app: Application) -> tuple[str, str]:
    """The module and the attribute under which another process finds the application."""
    named = [
        (module, name) for module, names in _modules() for name, value in names if value is app and name.isidentifier()
    ]
    if not named:
        raise ConfigurationError(
            "a run in a process of its own needs an application that a module has under a name, so that it can be "
            "imported there; this one was made inside a function: make it at the top of a module"
        )
    return min(named, key=lambda found: found[0] == "__main__")


def _modules() -> Iterable[tuple[str, list[tuple[str, object]]]]:
    for name, module in list(sys.modules.items()):
        with suppress(AttributeError):  # What stands among the modules need not be one.
            # Not by asking the module itself: one that is loaded when it is first used would be loaded for this.
            yield name, list(object.__getattribute__(module, "__dict__").items())
