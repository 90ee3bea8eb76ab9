"""Several queues, and limits, as claims that are served in sequence by one call."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Final

from msgspec import Struct

from longshore.contract import Claim, Limits, StoredJob
from longshore.errors import ConfigurationError
from longshore.worker.settings import WorkerSettings


class Rooms(Struct, frozen=True):
    """How many more jobs of limited queues and tasks may be here; of those that are not named any number."""

    queues: Mapping[str, int] = {}
    tasks: Mapping[str, int] = {}


UNLIMITED: Final = Rooms()


class Cell(Struct, frozen=True):
    """What one claim asks for, drawing on the rooms of at most one queue and one task."""

    queues: tuple[str, ...]
    tasks: frozenset[str]
    limit: int | None = None
    queue: str | None = None
    task: str | None = None

    @property
    def draws_on(self) -> tuple[str | None, str | None]:
        """By what it is told from the other cells of a call."""
        return self.queue, self.task

    def share_of(self, jobs: Sequence[StoredJob]) -> int:
        """How many of the jobs are of those that it asks for."""
        return sum(job.queue in self.queues and job.task in self.tasks for job in jobs)


class QueueOrder:
    """The order of a worker's queues, and what of it the rooms of limits leave."""

    def __init__(self, settings: WorkerSettings) -> None:
        self._queues = settings.queues
        self._is_strict = settings.order == "strict"
        self._weights = dict(settings.weights)
        self._credit = dict.fromkeys(self._weights, 0.0)
        self._limits = settings.limits
        self._most = Limits().claims
        self._known: set[tuple[str | None, str | None]] = set()
        self._unsearched: set[tuple[str | None, str | None]] = set()
        self._asked: list[tuple[Cell, int | None]] = []
        self._wanted = 0

    @property
    def searched_all(self) -> bool:
        """Whether the calls so far asked for all that there is room for: rooms that many draw on are dealt in turn."""
        return not self._unsearched

    def check(self, most: int) -> None:
        """Refuses what takes more than ``most`` claims.

        Raises:
            ConfigurationError: it does.
        """
        self._most = most
        needed = len(self._limits) + (len(self._weights) + 1 if self._weights else len(self._queues))
        if (self._is_strict or self._weights or self._limits) and needed > most:
            raise ConfigurationError(
                f"queues in an order of their own and limits of tasks take one claim each; the store takes {most} in a "
                f"call, and these are {needed}: use fewer, or several workers"
            )

    def claims(
        self, wanted: int, tasks: frozenset[str], rooms: Rooms = UNLIMITED, *, min_priority: int | None = None
    ) -> list[Claim]:
        """Claims for so many jobs, of each queue and task that ``rooms`` names at most so many."""
        if tasks and rooms is UNLIMITED and not (self._is_strict or self._weights):
            return self._together(wanted, tasks, min_priority)
        tight = Rooms(
            {queue: rooms.queues[queue] for queue in self._queues if rooms.queues.get(queue, wanted) < wanted},
            {task: room for task, room in rooms.tasks.items() if room < wanted and task in tasks},
        )
        self._wanted = wanted
        self._asked = self._dealt(self._cells(wanted, tasks, tight), tight, wanted)
        return [Claim(cell.queues, cell.tasks, min_priority=min_priority, limit=limit) for cell, limit in self._asked]

    def brought(self, jobs: Sequence[StoredJob]) -> None:
        """What the last call brought: where a claim got all that it asked for, or was cut off, there may be more."""
        is_full = len(jobs) >= self._wanted
        for cell, limit in self._asked if jobs else ():
            if is_full or (limit is not None and cell.share_of(jobs) >= limit):
                self._unsearched.add(cell.draws_on)

    def _together(self, wanted: int, tasks: frozenset[str], min_priority: int | None) -> list[Claim]:
        """One claim for all, where no room is dealt out: what an idle worker asks for when it is woken."""
        cell = Cell(self._queues, tasks)
        self._wanted, self._asked = wanted, [(cell, None)]
        self._known, self._unsearched = {cell.draws_on}, set()
        return [Claim(cell.queues, tasks, min_priority=min_priority)]

    def _cells(self, wanted: int, tasks: frozenset[str], tight: Rooms) -> list[Cell]:
        loose_tasks = tasks.difference(tight.tasks)  # A frozenset still: drivers may look claims up.
        loose_queues = tuple(queue for queue in self._queues if queue not in tight.queues)
        open_queues = [queue for queue, room in tight.queues.items() if room > 0]
        cells = self._in_order(wanted, loose_tasks, loose_queues, open_queues) if loose_tasks else []
        for task in (task for task, room in tight.tasks.items() if room > 0):
            of_task = [Cell((queue,), frozenset({task}), queue=queue, task=task) for queue in open_queues]
            if loose_queues:
                of_task.append(Cell(loose_queues, frozenset({task}), task=task))
            for cell in of_task:
                # By lot, so that neither a limited task nor all the others wait for ever.
                cells.insert(random.randint(0, len(cells)), cell)
        return cells

    def _in_order(self, wanted: int, tasks: frozenset[str], loose: tuple[str, ...], tight: list[str]) -> list[Cell]:
        """The cells of tasks for which there is room enough."""
        of_one = [Cell((queue,), tasks, queue=queue) for queue in tight]
        together = [Cell(loose, tasks)] if loose else []
        if self._is_strict:
            both = {cell.queue: cell for cell in of_one} | {queue: Cell((queue,), tasks) for queue in loose}
            return [both[queue] for queue in self._queues if queue in both]
        if self._weights:
            shares = [(queue, share) for queue, share in self._shares(wanted) if queue in loose or queue in tight]
            own = [Cell((queue,), tasks, share, queue if queue in tight else None) for queue, share in shares]
            return [*own, *together, *of_one]
        for cell in of_one:
            together.insert(random.randint(0, len(together)), cell)
        return together

    def _dealt(self, cells: list[Cell], tight: Rooms, wanted: int) -> list[tuple[Cell, int | None]]:
        """Deals out the rooms in sequence; what went away empty-handed comes first the next time."""
        queues, tasks = dict(tight.queues), dict(tight.tasks)
        dealt: list[tuple[Cell, int | None]] = []
        for cell in sorted(cells, key=lambda cell: cell.draws_on not in self._unsearched):
            most = min(queues.get(cell.queue or "", wanted), tasks.get(cell.task or "", wanted))
            if cell.limit is not None:
                most = min(most, cell.limit)
            if most <= 0 or len(dealt) == self._most:
                continue
            if cell.queue is not None:
                queues[cell.queue] -= most
            if cell.task is not None:
                tasks[cell.task] -= most
            is_bounded = cell.queue is not None or cell.task is not None or cell.limit is not None
            dealt.append((cell, most if is_bounded else None))
        # A queue or task that was not limited before is asked for by cells of its own from now on.
        known = {cell.draws_on for cell in cells}
        due = (self._unsearched & known) | (known - self._known)
        self._unsearched = (due or known) - {cell.draws_on for cell, _ in dealt}
        self._known = known
        return dealt

    def _shares(self, wanted: int) -> list[tuple[str, int]]:
        """Each queue's share of so many; what is left of a share because its queue is empty goes to the others."""
        total = sum(self._weights.values())
        for queue, weight in self._weights.items():
            self._credit[queue] += wanted * weight / total
        shares: Counter[str] = Counter()
        for _ in range(wanted):
            queue = max(self._credit, key=self._credit.__getitem__)
            self._credit[queue] -= 1
            shares[queue] += 1
        return shares.most_common()
