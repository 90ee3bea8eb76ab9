"""Where ``async def`` tasks run: one event loop in a thread of its own."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from longshore.contract import Change
from longshore.worker.performing import Interrupted
from longshore.worker.runs import Run

if TYPE_CHECKING:
    import asyncio

_log = logging.getLogger("longshore.worker")

Report = Callable[[Run, Change | None, float], None]
"""Is told that a run has ended."""


class Loop(threading.Thread):
    """One event loop for all runs of ``async def`` tasks. Nothing of asyncio is imported before there is one."""

    def __init__(self, ended: Report) -> None:
        super().__init__(name="longshore-loop", daemon=True)
        self._ended = ended
        self._loop: asyncio.AbstractEventLoop
        self._runs: dict[Run, asyncio.Task[Change | None]] = {}
        self._is_ready = threading.Event()
        self._is_ending = False

    def start(self) -> None:
        """Returns when runs can begin."""
        super().start()
        self._is_ready.wait()

    def run(self) -> None:
        """Runs until it was told to end and no run is left, then closes what tasks left open."""
        import asyncio

        with asyncio.Runner() as runner:
            self._loop = runner.get_loop()
            self._is_ready.set()
            while not self._is_ending or self._runs:
                try:
                    self._loop.run_forever()
                except (SystemExit, KeyboardInterrupt):
                    _log.exception("something that a task left behind tried to exit")

    def begin(self, run: Run) -> None:
        """Begins a run; called by any thread."""
        self._loop.call_soon_threadsafe(self._begin, run)

    def interrupt(self, run: Run, reason: type[Interrupted]) -> None:
        """Cancels the run, if it is still on; called by any thread."""
        if self.is_alive():
            self._loop.call_soon_threadsafe(self._cancel, run)

    def end(self) -> None:
        """Lets the thread end after the runs that are on; called by any thread, when nothing more begins."""
        if self.is_alive():
            self._loop.call_soon_threadsafe(self._end)

    def _begin(self, run: Run) -> None:
        if not run.begin(self):
            self._ended(run, None, 0.0)
            return
        task = self._loop.create_task(self._performed(run), name=f"longshore-job-{run.job.id}")
        self._runs[run] = task
        task.add_done_callback(partial(self._done, run))

    async def _performed(self, run: Run) -> Change | None:
        # The loop may have been busy since it was told to begin.
        return await run.side.perform_async(run) if run.reason is None else None

    def _cancel(self, run: Run) -> None:
        if run in self._runs:
            self._runs[run].cancel()

    def _done(self, run: Run, task: asyncio.Task[Change | None]) -> None:
        del self._runs[run]
        # Cancelled before its first step, it has no change.
        self._ended(run, None if task.cancelled() else task.result(), run.seconds())
        if self._is_ending and not self._runs:
            self._loop.stop()

    def _end(self) -> None:
        self._is_ending = True
        if not self._runs:
            self._loop.stop()
