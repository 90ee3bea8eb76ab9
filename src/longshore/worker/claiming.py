"""What a worker asks the store for, how much of it, and when."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Final

from longshore.contract import SECOND, Claim, Claimed, StoredJob
from longshore.errors import ConfigurationError
from longshore.worker.runs import Run
from longshore.worker.settings import WorkerSettings
from longshore.worker.tally import Pace

FEW: Final = 8
"""So many idle workers may all ask at once for what may be one job."""
_AT_ONCE: Final = 3
"""How many of more than that ask at once, on average."""
_LATER: Final = 0.1
_APART: Final = 0.01
"""Seconds after which the others begin to ask, and seconds between one and the next, on average."""


class Claiming:
    """What is claimed next; used by the courier's thread alone, but for `hint`."""

    def __init__(self, settings: WorkerSettings, tasks: Callable[[], frozenset[str]]) -> None:
        self.pace = Pace()
        self.slots = settings.slots
        self.busy = 0
        self.is_empty = False
        self.crowd = 1
        self._settings = settings
        self._tasks = tasks
        self._by_task: Counter[str] = Counter()
        self._order = QueueOrder(settings)
        self.check = self._order.check
        self._next = 0.0
        self._hinted = False

    def hint(self) -> None:
        """There may be something to claim. May be called by any thread."""
        self._hinted = True

    def again(self) -> None:
        """What was asked for is not yet answered, or there is more now: the next claim is made at once."""
        self.is_empty = False
        self._next = 0.0

    def due_at(self, now: float) -> float:
        """When a claim is to be made."""
        if self._hinted:
            # Before the claim is made: a hint that comes while it is under way asks for another.
            self._hinted = False
            self._next = min(self._next, now + self._patience())
        return self._next

    def wanted(self) -> int:
        """How many jobs there is room for: in free slots, and ahead as far as they are expected to begin soon."""
        settings = self._settings
        if settings.limits and not any(self._room(task) for task in self._tasks()):
            return 0
        ahead = self.pace.expected(settings.prefetch, self._quick_slots())
        return max(0, min(self.slots + ahead - self.busy, settings.batch))

    def claims(self, wanted: int) -> list[Claim]:
        """How to ask for so many."""
        room = {task: self._room(task) for task in self._settings.limits}
        return self._order.claims(wanted, self._tasks(), room)

    def answered(self, claimed: Claimed, now: float) -> None:
        """What a claim brought decides when the next is made."""
        # An answer of 0 asks for another claim: the store had not looked at everything.
        self.is_empty = not claimed.jobs and not claimed.expired and claimed.next_due != 0
        self._next = 0.0
        if self.is_empty:
            pause = self._settings.poll * random.uniform(0.5, 1.5)
            if claimed.next_due is not None:
                pause = min(pause, claimed.next_due / SECOND + self._patience())
            self._next = now + pause

    def begins(self, job: StoredJob) -> None:
        """A job is here that was claimed."""
        self.busy += 1
        self._by_task[job.task] += 1

    def ends(self, job: StoredJob) -> None:
        """It is not any more."""
        self.busy -= 1
        self._by_task[job.task] -= 1

    def is_quick(self, task: str) -> bool:
        """Whether runs of the task are known to end within the time for which jobs are taken ahead."""
        seconds = self.pace.of(task)
        return seconds is not None and seconds <= self._settings.prefetch

    def too_far(self, runs: Iterable[Run]) -> set[Run]:
        """Which of the runs, in the order in which they begin, will not begin in the time for which jobs are taken."""
        far: set[Run] = set()
        slots, before, seconds = self.slots, 0, 0.0
        for run in runs:
            waits = before >= self.slots
            if waits and (slots <= 0 or seconds / slots > self._settings.prefetch):
                far.add(run)
                continue
            before += 1
            if self.is_quick(run.job.task):
                seconds += self.pace.of(run.job.task) or 0.0
            else:
                slots -= 1
        return far

    def _room(self, task: str) -> int:
        """How many more jobs of the task may be here."""
        return max(0, self._settings.limits.get(task, self._settings.batch) - self._by_task[task])

    def _quick_slots(self) -> int:
        slow = sum(number for task, number in self._by_task.items() if number and not self.is_quick(task))
        return max(0, self.slots - slow)

    def _patience(self) -> float:
        """Seconds by which a claim is put off, so that many idle workers do not all ask for the same job at once."""
        if self.crowd <= FEW or random.random() < _AT_ONCE / self.crowd:
            return 0.0
        return _LATER + random.random() * self.crowd * _APART


class QueueOrder:
    """Several queues, and limits for tasks, as claims that are served in sequence by one call."""

    def __init__(self, settings: WorkerSettings) -> None:
        self._queues = settings.queues
        self._is_strict = settings.order == "strict"
        self._weights = dict(settings.weights)
        self._credit = dict.fromkeys(self._weights, 0.0)
        self._limits = settings.limits

    def check(self, most: int) -> None:
        """Refuses what takes more than ``most`` claims.

        Raises:
            ConfigurationError: it does.
        """
        needed = len(self._limits) + (len(self._weights) + 1 if self._weights else len(self._queues))
        if (self._is_strict or self._weights or self._limits) and needed > most:
            raise ConfigurationError(
                f"queues in an order of their own and limits of tasks take one claim each; the store takes {most} in a "
                f"call, and these are {needed}: use fewer, or several workers"
            )

    def claims(self, wanted: int, tasks: frozenset[str], room: dict[str, int]) -> list[Claim]:
        """Claims for so many jobs, of each task in ``room`` at most so many."""
        tight = {task: most for task, most in room.items() if most < wanted and task in tasks}
        loose = tasks - tight.keys()
        claims = self._of_queues(wanted, loose) if loose or not tight else []
        for task, most in tight.items():
            if most > 0:
                # By lot, so that neither a limited task nor all the others wait for ever.
                claims.insert(random.randint(0, len(claims)), Claim(self._queues, frozenset({task}), limit=most))
        return claims

    def _of_queues(self, wanted: int, tasks: frozenset[str]) -> list[Claim]:
        if self._weights:
            return [*self._shares(wanted, tasks), Claim(self._queues, tasks)]
        if self._is_strict:
            return [Claim((queue,), tasks) for queue in self._queues]
        return [Claim(self._queues, tasks)]

    def _shares(self, wanted: int, tasks: frozenset[str]) -> list[Claim]:
        """Each queue's share of so many; what is left of a share because its queue is empty goes to the others."""
        total = sum(self._weights.values())
        for queue, weight in self._weights.items():
            self._credit[queue] += wanted * weight / total
        shares: Counter[str] = Counter()
        for _ in range(wanted):
            queue = max(self._credit, key=self._credit.__getitem__)
            self._credit[queue] -= 1
            shares[queue] += 1
        return [Claim((queue,), tasks, limit=share) for queue, share in shares.most_common()]
