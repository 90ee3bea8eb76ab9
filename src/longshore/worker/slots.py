"""Where jobs run: a number of slots, each of which is a thread or a place on the event loop while a job is in it."""

from __future__ import annotations

import ctypes
import threading
import time
from collections.abc import Callable
from queue import SimpleQueue
from typing import Final

from longshore.contract import Change
from longshore.worker.line import Line
from longshore.worker.loop import Loop
from longshore.worker.performing import Interrupted
from longshore.worker.runs import Run

_MOMENT: Final = 1e-6
"""Seconds for which whoever has roused a thread gives way to it; the system makes some 60 µs of it."""


class SlotThread(threading.Thread):
    """One thread, running one job at a time."""

    def __init__(self, number: int, following: Callable[[SlotThread], Run | None]) -> None:
        super().__init__(name=f"longshore-slot-{number}", daemon=True)
        self.was_on = False
        self._following = following
        self._guard = threading.Lock()
        self._current: Run | None = None
        self._is_interrupted = False

    def run(self) -> None:
        """Takes runs until it is given None."""
        while (run := self._following(self)) is not None:
            change = self._perform_interruptibly(run)
            run.side.report(run, change, run.seconds())

    def interrupt(self, run: Run, reason: type[Interrupted]) -> None:
        """Raises ``reason`` inside the run, if it is still on."""
        with self._guard:
            if self._current is run and self.ident is not None:
                self._is_interrupted = True
                ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(self.ident), ctypes.py_object(reason))

    def _perform_interruptibly(self, run: Run) -> Change | None:
        if run.apart:
            return run.side.perform_apart(run)
        # The exception arrives, once, anywhere before `_task_has_ended`, so perhaps just before the task begins: then
        # there is no change, and the courier hands the job back.
        try:
            with self._guard:
                if not run.begin(self):
                    return None
                self._current = run
            try:
                return run.side.perform(run, self._task_has_ended)
            finally:
                self._task_has_ended()
        except Interrupted:
            self._task_has_ended()
            return None

    def _task_has_ended(self) -> None:
        with self._guard:
            self._current = None
            if self._is_interrupted and self.ident is not None:
                self._is_interrupted = False
                # What has not arrived by now never does.
                ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(self.ident), None)


class Slots:
    """A number of slots behind one line of runs, whatever side they are of.

    Threads begin when they are first needed, and so does the event loop: who runs ``async def`` tasks alone has no
    threads but that of the loop, and who runs none has no loop.

    A thread that has ended a run takes the next itself. Sleeping ones are roused one at a time, and each, once awake,
    rouses the next: short runs are all taken by one thread before a second is awake, long ones begin as fast as threads
    wake.

    Besides ``number`` slots there may be ``spare`` ones, which are filled by urgent runs alone.
    """

    def __init__(
        self,
        number: int,
        *,
        spare: int = 0,
        is_urgent: Callable[[Run], bool] = lambda run: False,
    ) -> None:
        self.number = number
        self._spare = spare
        self._lock = threading.Lock()
        self._line = Line(spare, is_urgent)
        self._free = number + spare
        self._threads: list[SlotThread] = []
        self._asleep = 0
        self._is_rousing = False
        self._bell: SimpleQueue[None] = SimpleQueue()
        self._stopped = False
        self._loop: Loop | None = None

    def put(self, *runs: Run) -> None:
        """Lines up runs; they begin at once as far as slots are free."""
        with self._lock:
            self._line.extend(runs)
            self._advance()
            is_rousing = self._is_rousing
        if is_rousing:
            # A thread needs some 20 µs to wake, and then the interpreter's lock: were that kept here until the next
            # call of the store, the run would begin so much later.
            time.sleep(_MOMENT)

    def resize(self, number: int) -> None:
        """So many slots from now on; where there are fewer than before, what runs goes on."""
        with self._lock:
            self._free += number - self.number
            self.number = number
            self._advance()

    def waiting(self) -> int:
        """How many runs have not begun."""
        return len(self._line)

    def oldest(self) -> float:
        """When the first of them was taken; infinity if there is none."""
        if not self._line:
            return float("inf")
        with self._lock:
            return self._line.oldest()

    def take_back(self, choose: Callable[[Run], bool] = lambda run: True) -> list[Run]:
        """Takes out of the line those of the runs that have not begun that ``choose`` is true of."""
        with self._lock:
            return self._line.take_back(choose)

    def spare_room(self) -> int:
        """How many urgent runs more would begin at once in spare slots."""
        if not self._spare:
            return 0
        with self._lock:
            return self._line.spare_room(self._free)

    def stop(self) -> None:
        """Lets each thread, and the event loop, end after the runs that they are in."""
        with self._lock:
            self._stopped = True
            for _ in self._threads:
                self._bell.put(None)
            if self._loop is not None:
                self._loop.end()

    def _advance(self) -> None:
        """Begins what is first in line, as far as slots are free."""
        while (run := self._line.first(self._free)) is not None and run.on_loop:
            self._begin_first()
            self._begin_on_loop(run)
        if run is not None and not self._is_rousing:
            self._rouse()

    def _rouse(self) -> None:
        if self._asleep:
            self._is_rousing = True
            self._asleep -= 1
            self._bell.put(None)
        elif len(self._threads) < self.number + self._spare:
            self._is_rousing = True
            thread = SlotThread(len(self._threads), self._following)
            self._threads.append(thread)
            thread.start()

    def _following(self, thread: SlotThread) -> Run | None:
        """The next run of a thread, once there is one; None when it should end."""
        while True:
            with self._lock:
                if thread.was_on:
                    thread.was_on = False
                    self._free += 1
                else:
                    self._is_rousing = False
                run = self._next_in_line()
                if run is not None or self._stopped:
                    thread.was_on = run is not None
                    return run
                self._asleep += 1
            self._bell.get()

    def _next_in_line(self) -> Run | None:
        run = self._line.first(self._free)
        if run is not None and not run.on_loop:
            self._begin_first()
        else:
            run = None
        self._advance()
        return run

    def _begin_first(self) -> None:
        self._line.begin_first()
        self._free -= 1

    def _begin_on_loop(self, run: Run) -> None:
        if self._loop is None:
            self._loop = Loop(self._ended_on_loop)
            self._loop.start()
        self._loop.begin(run)

    def _ended_on_loop(self, run: Run, change: Change | None, seconds: float) -> None:
        with self._lock:
            self._free += 1
            self._advance()
        run.side.report(run, change, seconds)
