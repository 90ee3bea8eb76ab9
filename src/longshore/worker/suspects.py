"""Jobs whose workers died more than once."""

from __future__ import annotations

import random
import threading
from typing import Final

from longshore.contract import Change, StoredJob
from longshore.durations import microseconds
from longshore.states import RELEASE, move
from longshore.worker.runs import Run, Side

CRASHES: Final = 2
"""So many crashes make a job a suspect: it was there each time a process died."""
_PAUSE: Final = 2.0
_WATCH: Final = 1.0
"""Seconds for which a suspect is watched before anything more is claimed beside it."""
_MARGIN: Final = 1.0
"""Seconds after which another worker must have taken one that was put off, if it has not come back here."""


def is_suspect(job: StoredJob) -> bool:
    """Whether a job was there each time a process died, more than once."""
    return job.crashes >= CRASHES


class Suspects:
    """At most one suspect is held here at a time, so that one that kills its process takes no other one with it.

    So a job that is innocent never comes beyond `CRASHES`, and only the guilty one is abandoned. Thread-safe.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._held: Run | None = None
        self._waiting: Run | None = None
        self._put_off: dict[str, float] = {}

    def hold(self, run: Run) -> bool:
        """Holds a suspect, which begins when `released` gives it. False: another is held, and it must be put off."""
        with self._lock:
            self._put_off.pop(run.job.id, None)
            if self._held is not None:
                return False
            self._held = self._waiting = run
            return True

    def put_off(self, job: StoredJob, now: float) -> Change:
        """The change that puts one off, for this worker or any other."""
        delay = _PAUSE * random.uniform(0.5, 1.5)
        with self._lock:
            self._put_off[job.id] = now + delay + _MARGIN
        return move(RELEASE, job, {"delay": microseconds(delay)})

    def awaits(self, now: float) -> bool:
        """Whether one that was put off here may come back soon."""
        with self._lock:
            return any(until > now for until in self._put_off.values())

    def watched_until(self, now: float) -> float:
        """Until when nothing more is claimed, so that no other suspect is here while the one may be about to kill."""
        run = self._held
        return float("-inf") if run is None else (now if run.began is None else run.began) + _WATCH

    def released(self, side: Side) -> Run | None:
        """The suspect of this side that is held and has not begun: to be begun when its store has answered, or handed
        back."""
        with self._lock:
            if self._waiting is None or self._waiting.side is not side:
                return None
            run, self._waiting = self._waiting, None
            return run

    def ends(self, run: Run) -> None:
        """A run is not here any more."""
        with self._lock:
            if self._held is run:
                self._held = self._waiting = None
