"""Where jobs run: threads that take one run after another."""

from __future__ import annotations

import ctypes
import threading
import time
from collections.abc import Callable
from queue import Empty, SimpleQueue

from longshore.contract import Change, StoredJob
from longshore.worker.performing import Interrupted


class Run:
    """A claimed job on its way through a worker."""

    __slots__ = ("interrupted", "job", "slot", "taken")

    def __init__(self, job: StoredJob, taken: float) -> None:
        self.job = job
        self.taken = taken
        self.slot: Slot | None = None
        self.interrupted = False

    def interrupt(self, reason: type[Interrupted]) -> None:
        """Raises ``reason`` inside the run, once only; a run that has not begun never will."""
        if not self.interrupted:
            self.interrupted = True
            if self.slot is not None:
                self.slot.interrupt(self, reason)


Perform = Callable[[StoredJob], Change]
Report = Callable[[Run, Change | None, float], None]


class Slot(threading.Thread):
    """One thread, running one job at a time."""

    def __init__(self, number: int, runs: SimpleQueue[Run | None], perform: Perform, report: Report) -> None:
        super().__init__(name=f"longshore-slot-{number}", daemon=True)
        self._runs = runs
        self._perform = perform
        self._report = report
        self._guard = threading.Lock()
        self._current: Run | None = None

    def run(self) -> None:
        """Takes runs until it is given None."""
        while (run := self._runs.get()) is not None:
            began = time.monotonic()
            change = self._perform_interruptibly(run)
            self._report(run, change, time.monotonic() - began)

    def interrupt(self, run: Run, reason: type[Interrupted]) -> None:
        """Raises ``reason`` inside the run, if it is still on."""
        with self._guard:
            if self._current is run and self.ident is not None:
                ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(self.ident), ctypes.py_object(reason))

    def _perform_interruptibly(self, run: Run) -> Change | None:
        # The exception arrives, once, anywhere before `_current` is cleared, so perhaps outside `perform`: then there
        # is no change, and the courier hands the job back.
        try:
            with self._guard:
                run.slot = self
                if run.interrupted:
                    return None
                self._current = run
            try:
                return self._perform(run.job)
            finally:
                with self._guard:
                    self._current = None
        except Interrupted:
            with self._guard:
                self._current = None
            return None


class Slots:
    """A fixed number of threads behind one line of runs."""

    def __init__(self, number: int, perform: Perform, report: Report) -> None:
        self.number = number
        self._line: SimpleQueue[Run | None] = SimpleQueue()
        self._threads = [Slot(index, self._line, perform, report) for index in range(number)]

    def start(self) -> None:
        """Starts the threads."""
        for thread in self._threads:
            thread.start()

    def put(self, run: Run) -> None:
        """Lines up a run."""
        self._line.put(run)

    def waiting(self) -> int:
        """How many runs have not begun."""
        return self._line.qsize()

    def take_back(self, *, taken_before: float = float("inf")) -> list[Run]:
        """Takes out of the line the runs that were claimed before a moment and have not begun."""
        taken: list[Run] = []
        later: list[Run] = []
        while (run := self._next_in_line()) is not None:
            (taken if run.taken < taken_before else later).append(run)
        for run in later:
            self._line.put(run)
        return taken

    def stop(self) -> None:
        """Lets each thread end after the run it is in."""
        for _ in self._threads:
            self._line.put(None)

    def _next_in_line(self) -> Run | None:
        try:
            return self._line.get_nowait()
        except Empty:
            return None
