"""Several worker processes, kept alive and ended together."""

from __future__ import annotations

import json
import logging
import os
import selectors
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Self

import msgspec

from longshore.durations import microseconds
from longshore.errors import ConfigurationError, StoreError
from longshore.holders import end_lease, rescue, store_of
from longshore.loading import load_app
from longshore.processes.child import RETIRED, STOP, STOP_NOW, Orders
from longshore.worker.settings import WorkerSettings

_log = logging.getLogger("longshore.supervisor")
_STEADY = 5.0
"""Seconds after which a child is said to have begun well."""
_LONGEST_PAUSE = 30.0
_LOOK = 1.0
"""Seconds after which children are looked at that may have died without closing their reports."""


class Child:
    """One worker process, and the names under which it held jobs."""

    def __init__(self, orders: Orders) -> None:
        self.report, write = os.pipe()
        self.holders: list[str] = []
        self.began = time.monotonic()
        self._unread = b""
        try:
            # By exec and in a session of its own: nothing is carried over, and Ctrl-C reaches the supervisor alone.
            self.process = subprocess.Popen(
                [sys.executable, "-m", "longshore.processes.child"],
                stdin=subprocess.PIPE,
                pass_fds=[write],
                start_new_session=True,
            )
        except OSError:
            os.close(self.report)
            raise
        finally:
            os.close(write)
        self.tell(msgspec.json.encode(msgspec.structs.replace(orders, report=write)))

    def tell(self, line: bytes) -> None:
        """Says one line to it, if it is still there."""
        assert self.process.stdin is not None
        with suppress(BrokenPipeError):  # Its end is seen like any other.
            self.process.stdin.write(line + b"\n")
            self.process.stdin.flush()

    def read_report(self) -> bool:
        """Reads the names it has reported; False when it has ended."""
        data = os.read(self.report, 65_536)
        *lines, self._unread = (self._unread + data).split(b"\n")
        self.holders += [json.loads(line) for line in lines]
        return bool(data)

    def is_dead(self) -> bool:
        """Whether it has ended, though a process that it left behind may keep its report open."""
        return self.process.poll() is not None

    def signal(self, number: int) -> None:
        """Sends a signal, if it is still there."""
        self.process.send_signal(number)

    def end(self) -> int:
        """Waits for its end, and gives its exit code."""
        os.close(self.report)
        if self.process.stdin is not None:
            with suppress(BrokenPipeError):
                self.process.stdin.close()
        return self.process.wait()


class Supervisor:
    """Runs ``processes`` workers of an application until it is told to stop.

    One that dies is replaced, and its jobs are freed at once; so is one that has worked enough (see `WorkerSettings`),
    or has a run that goes on after its time. If the supervisor itself is killed, the workers notice,
    finish what they run, and end.

    Args:
        app: ``module:attribute``.
        url: another store than the application's own, or several.
        until_empty: the workers end when no job is due.
    """

    def __init__(
        self,
        app: str,
        *,
        processes: int = 2,
        url: str | list[str] | None = None,
        settings: WorkerSettings | None = None,
        until_empty: bool = False,
    ) -> None:
        if processes < 1:
            raise ConfigurationError(f"processes must be at least 1; it is {processes}")
        self._app = load_app(app)
        if url is not None:
            self._app.use(url)
        self._settings = settings or WorkerSettings()
        self._orders = Orders(app, self._settings, -1, tuple(sys.path), url, until_empty)
        self._ends_by_itself = until_empty or self._settings.idle_timeout is not None
        self._count = processes
        self._children: list[Child] = []
        self._selector = selectors.DefaultSelector()
        self._wake_read, self._wake_write = os.pipe()
        self._selector.register(self._wake_read, selectors.EVENT_READ, None)
        self._thread: threading.Thread | None = None
        self._stops = 0
        self._is_closed = False
        self._kill_at: float | None = None
        self._deaths = 0
        self._start_at: list[float] = []

    def __enter__(self) -> Self:
        self._start_all()
        self._thread = threading.Thread(target=self._watch, name="longshore-supervisor", daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        if self._thread is not None:
            self._thread.join()
        self._close()

    @property
    def pids(self) -> list[int]:
        """The processes that work now."""
        return [child.process.pid for child in self._children]

    def run(self) -> int:
        """Works in this thread until SIGTERM or SIGINT, then lets the workers drain; a second signal stops them now.

        Gives the exit code: 0 when it was asked to stop, or all was empty as asked.
        """
        try:
            with self._signals():
                self._start_all()
                self._watch()
        finally:
            self._close()
        return 0

    def stop(self) -> None:
        """Lets the workers finish what they run; called again, stops them now. Returns at once."""
        if not self._is_closed:
            os.write(self._wake_write, b"s")

    @contextmanager
    def _signals(self) -> Iterator[None]:
        def stop(_signal: int, _frame: FrameType | None) -> None:
            self.stop()

        before = {number: signal.signal(number, stop) for number in (signal.SIGTERM, signal.SIGINT)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _start_all(self) -> None:
        # The schema is made once, before several processes need it.
        self._app.store.now()
        for _ in range(self._count):
            self._start()

    def _start(self) -> None:
        try:
            child = Child(self._orders)
        except OSError as error:
            _log.warning("no worker process could be started: %s", error)
            self._deaths += 1
            self._start_later()
            return
        self._children.append(child)
        self._selector.register(child.report, selectors.EVENT_READ, child)

    def _watch(self) -> None:
        while self._children or (self._start_at and not self._stops):
            # Looked at before the reports, so that all that a dead child has said is there to be read.
            dead = [child for child in self._children if child.is_dead()]
            ready = [key.data for key, _ in self._selector.select(0 if dead else self._timeout())]
            for child in ready:
                if child is None:
                    self._stop_asked(os.read(self._wake_read, 64))
                elif not child.read_report():
                    self._ended(child)
            for child in dead:
                if child not in ready:
                    self._ended(child)
            self._bury_orphans()
            self._start_due()
            if self._kill_at is not None and time.monotonic() >= self._kill_at:
                for child in self._children:
                    child.signal(signal.SIGKILL)
                self._kill_at = None

    def _bury_orphans(self) -> None:
        """The first process of a container is given all whose parents have died, and nobody else buries them."""
        if os.getpid() != 1:
            return
        own = {child.process.pid for child in self._children}
        dead_and_not_buried = os.WEXITED | os.WNOHANG | os.WNOWAIT
        with suppress(ChildProcessError):
            while (dead := os.waitid(os.P_ALL, 0, dead_and_not_buried)) and dead.si_pid not in own:
                os.waitpid(dead.si_pid, 0)

    def _timeout(self) -> float:
        times = [*self._start_at, *([self._kill_at] if self._kill_at is not None else [])]
        return min(_LOOK, max(0.0, min(times) - time.monotonic())) if times else _LOOK

    def _stop_asked(self, asked: bytes) -> None:
        self._stops += len(asked)
        self._start_at.clear()
        settings = self._settings
        patience = (settings.drain if self._stops == 1 else 0.0) + settings.grace + 5.0
        self._kill_at = time.monotonic() + patience
        for child in self._children:
            child.tell(STOP if self._stops == 1 else STOP_NOW)

    def _ended(self, child: Child) -> None:
        self._selector.unregister(child.report)
        self._children.remove(child)
        code = child.end()
        if code != 0:
            self._free(child, code)
        if self._stops or (code == 0 and self._ends_by_itself):
            return
        died_early = code != RETIRED and time.monotonic() - child.began < _STEADY
        self._deaths = self._deaths + 1 if died_early else 0
        self._start_later()

    def _start_later(self) -> None:
        pause = min(0.5 * 2 ** min(self._deaths, 6), _LONGEST_PAUSE) if self._deaths else 0.0
        self._start_at.append(time.monotonic() + pause)

    def _free(self, child: Child, code: int) -> None:
        if code != RETIRED:
            how = f"signal {-code}" if code < 0 else f"exit code {code}"
            _log.warning("worker process %d died (%s)", child.process.pid, how)
        try:
            for holder in child.holders:
                store = store_of(self._app.store, holder)
                end_lease(store, holder)
                rescue(store, holder, by=f"supervisor.{os.getpid()}", lease=microseconds(self._settings.lease))
        except StoreError as error:
            _log.warning("its jobs run again when its lease is over: %s", error)

    def _start_due(self) -> None:
        due = [at for at in self._start_at if at <= time.monotonic()]
        for at in due:
            self._start_at.remove(at)
            self._start()

    def _close(self) -> None:
        self._is_closed = True
        self._selector.close()
        os.close(self._wake_read)
        os.close(self._wake_write)
        self._app.close()
