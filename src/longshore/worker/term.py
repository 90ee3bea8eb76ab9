"""How long a worker works."""

from __future__ import annotations

import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from longshore.worker.settings import WorkerSettings

_LOOK: Final = 1.0
"""Seconds between two looks at the memory."""
_STATUS: Final = Path("/proc/self/statm")
_MEGABYTE: Final = 1024 * 1024


def megabytes() -> float:
    """What this process has in memory; where the system does not tell, the most that it ever had."""
    if _STATUS.exists():
        return int(_STATUS.read_text().split()[1]) * resource.getpagesize() / _MEGABYTE
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most / _MEGABYTE if sys.platform == "darwin" else most / 1024


class Term:
    """Says when a worker has worked enough. Used by its courier alone."""

    def __init__(
        self,
        settings: WorkerSettings,
        *,
        monotonic: Callable[[], float] = time.monotonic,
        megabytes: Callable[[], float] = megabytes,
    ) -> None:
        self._settings = settings
        self._monotonic = monotonic
        self._megabytes = megabytes
        self._ended = 0
        self._idle_since = monotonic()
        self._next_look = float("-inf")

    def left(self, busy: int) -> int | None:
        """How many jobs may still begin, besides those that are here; None for any number."""
        most = self._settings.max_jobs
        return None if most is None else max(0, most - self._ended - busy)

    def ran(self) -> None:
        """A run has ended."""
        self._ended += 1

    def worked(self) -> None:
        """There is something to do: it is not idle before now."""
        self._idle_since = self._monotonic()

    def idle_end(self) -> float:
        """When it has been idle for so long that it ends."""
        timeout = self._settings.idle_timeout
        return float("inf") if timeout is None else self._idle_since + timeout

    def reason_to_retire(self) -> str | None:
        """Why its process is to be replaced by a new one, if it is."""
        settings = self._settings
        if settings.max_jobs is not None and self._ended >= settings.max_jobs:
            return f"it has run {self._ended} jobs"
        if settings.max_memory is None or self._monotonic() < self._next_look:
            return None
        self._next_look = self._monotonic() + _LOOK
        used = self._megabytes()
        return f"it takes {used:.0f} MB" if used > settings.max_memory else None
