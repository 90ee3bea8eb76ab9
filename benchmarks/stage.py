"""What a phase gets to work with: a directory, a number of jobs, and a watch."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What one timed stretch cost: jobs done, seconds on the wall, seconds of this process on a CPU."""

    jobs: int
    wall: float
    cpu: float


class Stage:
    """One run of one phase in a process of its own.

    ``warm_up`` jobs come before the ``jobs`` that are timed; ``backlog`` more wait behind them in the phase
    that asks for it. A phase calls ``begin`` and ``end``, from any thread, or wraps the timed part in ``timed``.
    """

    def __init__(self, *, directory: Path, jobs: int, warm_up: int, backlog: int) -> None:
        self.directory = directory
        self.jobs = jobs
        self.warm_up = warm_up
        self.backlog = backlog
        self.reading: Reading | None = None
        self._wall = 0.0
        self._cpu = 0.0

    def begin(self) -> None:
        """Start the watch."""
        self._wall = time.perf_counter()
        self._cpu = time.process_time()

    def end(self) -> None:
        """Stop the watch; user and system time of all threads of this process are counted."""
        cpu = time.process_time() - self._cpu
        self.reading = Reading(jobs=self.jobs, wall=time.perf_counter() - self._wall, cpu=cpu)

    @contextmanager
    def timed(self) -> Iterator[None]:
        """Time the body of the ``with`` statement."""
        self.begin()
        yield
        self.end()
