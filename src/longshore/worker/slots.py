"""Where jobs run: a number of slots, each of which is a thread or a place on the event loop while a job is in it."""

from __future__ import annotations

import ctypes
import threading
from collections import deque
from collections.abc import Callable
from queue import SimpleQueue

from longshore.contract import Change, StoredJob
from longshore.worker.loop import Loop, PerformAsync
from longshore.worker.performing import Interrupted
from longshore.worker.runs import Report, Run

Perform = Callable[[StoredJob], Change]


class SlotThread(threading.Thread):
    """One thread, running one job at a time."""

    def __init__(self, number: int, runs: SimpleQueue[Run | None], perform: Perform, ended: Report) -> None:
        super().__init__(name=f"longshore-slot-{number}", daemon=True)
        self._runs = runs
        self._perform = perform
        self._ended = ended
        self._guard = threading.Lock()
        self._current: Run | None = None

    def run(self) -> None:
        """Takes runs until it is given None."""
        while (run := self._runs.get()) is not None:
            change = self._perform_interruptibly(run)
            self._ended(run, change, run.seconds())

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
                if not run.begin(self):
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
    """A fixed number of slots behind one line of runs.

    Threads begin when they are first needed, and so does the event loop: who runs ``async def`` tasks alone has no
    threads but that of the loop, and who runs none has no loop.
    """

    def __init__(self, number: int, perform: Perform, perform_async: PerformAsync, report: Report) -> None:
        self.number = number
        self._perform = perform
        self._perform_async = perform_async
        self._report = report
        self._lock = threading.Lock()
        self._line: deque[Run] = deque()
        self._free = number
        self._in_threads = 0
        self._for_threads: SimpleQueue[Run | None] = SimpleQueue()
        self._threads: list[SlotThread] = []
        self._loop: Loop | None = None

    def put(self, run: Run) -> None:
        """Lines up a run; it begins at once if a slot is free."""
        with self._lock:
            self._line.append(run)
            self._fill()

    def waiting(self) -> int:
        """How many runs have not begun."""
        return len(self._line)

    def take_back(self, choose: Callable[[Run], bool] = lambda run: True) -> list[Run]:
        """Takes out of the line those of the runs that have not begun that ``choose`` is true of."""
        with self._lock:
            taken = [run for run in self._line if choose(run)]
            if taken:
                gone = set(map(id, taken))
                self._line = deque(run for run in self._line if id(run) not in gone)
        return taken

    def stop(self) -> None:
        """Lets each thread, and the event loop, end after the runs that they are in."""
        with self._lock:
            for _ in self._threads:
                self._for_threads.put(None)
            if self._loop is not None:
                self._loop.end()

    def _fill(self) -> None:
        while self._free and self._line:
            self._free -= 1
            self._begin(self._line.popleft())

    def _begin(self, run: Run) -> None:
        if run.on_loop:
            if self._loop is None:
                self._loop = Loop(self._perform_async, self._ended)
                self._loop.start()
            self._loop.begin(run)
            return
        self._in_threads += 1
        if self._in_threads > len(self._threads):
            thread = SlotThread(len(self._threads), self._for_threads, self._perform, self._ended)
            self._threads.append(thread)
            thread.start()
        self._for_threads.put(run)

    def _ended(self, run: Run, change: Change | None, seconds: float) -> None:
        with self._lock:
            self._free += 1
            if not run.on_loop:
                self._in_threads -= 1
            self._fill()
        self._report(run, change, seconds)
