"""How the limits of SQL servers are timed: the same loops around statements of each one's own."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

from benchmarks.stage import Stage

BATCH = 100
BULK = 1_000

C = TypeVar("C")
J = TypeVar("J")


@dataclass(frozen=True, slots=True, kw_only=True)
class Loops(Generic[C, J]):
    """What a limit does on a connection: insert jobs by number, claim so many at most, complete what was claimed."""

    opened: Callable[[Path], AbstractContextManager[C]]
    insert: Callable[[C, Sequence[int]], None]
    claim: Callable[[C, int], list[J]]
    complete: Callable[[C, list[J]], None]

    def enqueue_one(self, stage: Stage) -> None:
        """One by one, the warm-up first."""
        with self.opened(stage.directory) as connection:
            for number in range(stage.warm_up):
                self.insert(connection, [number])
            with stage.timed():
                for number in range(stage.warm_up, stage.warm_up + stage.jobs):
                    self.insert(connection, [number])

    def enqueue_bulk(self, stage: Stage) -> None:
        """By a thousand."""
        with self.opened(stage.directory) as connection:
            self._fill(connection, 0, stage.warm_up)
            with stage.timed():
                self._fill(connection, stage.warm_up, stage.jobs)

    def drain_one(self, stage: Stage) -> None:
        """One by one."""
        self._drain(stage, 1)

    def drain(self, stage: Stage) -> None:
        """By a hundred."""
        self._drain(stage, BATCH)

    def drain_with_backlog(self, stage: Stage) -> None:
        """The same before many that stay."""
        self._drain(stage, BATCH, stage.backlog)

    def _fill(self, connection: C, first: int, count: int) -> None:
        for start in range(first, first + count, BULK):
            self.insert(connection, range(start, min(start + BULK, first + count)))

    def _drain(self, stage: Stage, batch: int, more: int = 0) -> None:
        with self.opened(stage.directory) as connection:
            self._fill(connection, 0, stage.warm_up + stage.jobs + more)
            self._turns(connection, stage.warm_up, BATCH)
            with stage.timed():
                self._turns(connection, stage.jobs, batch)

    def _turns(self, connection: C, jobs: int, batch: int) -> None:
        for left in range(jobs, 0, -batch):
            claimed = self.claim(connection, min(batch, left))
            assert len(claimed) == min(batch, left), "not every job was claimed"
            self.complete(connection, claimed)
