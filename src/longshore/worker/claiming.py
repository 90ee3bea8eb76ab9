"""What a worker asks the store for, how much of it, and when."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Final

from longshore.contract import SECOND, Claim, Claimed, StoredJob
from longshore.worker.berths import Berths
from longshore.worker.claims.allowance import Allowance
from longshore.worker.claims.order import UNLIMITED, QueueOrder, Rooms
from longshore.worker.runs import Run
from longshore.worker.settings import WorkerSettings

FEW: Final = 8
"""So many idle workers may all ask at once for what may be one job."""
_AT_ONCE: Final = 3
"""How many of more than that ask at once, on average."""
_LATER: Final = 0.1
_APART: Final = 0.01
"""Seconds after which the others begin to ask, and seconds between one and the next, on average."""
_MOMENT: Final = 0.01
"""Seconds until a job is asked for again that others are at; twice as many each time that they still are."""
_SHORTLY: Final = 0.005
"""Seconds until the next claim after one that found fewer jobs than were wanted: by then what it found may have ended,
and the claim goes with that."""


class Claiming:
    """What is claimed next; used by the courier's thread alone, but for `hint`."""

    def __init__(
        self,
        settings: WorkerSettings,
        tasks: Callable[[], frozenset[str]],
        berths: Berths,
        *,
        allowance: Allowance | None = None,
        tell: Callable[[], None] = lambda: None,
    ) -> None:
        self.is_empty = False
        self.crowd = 1
        self._settings = settings
        self._tasks = tasks
        self._berths = berths
        self._berth = berths.join(tell)
        self._allowance = allowance
        self._order = QueueOrder(settings)
        self.check = self._order.check
        self._next = 0.0
        self._hinted = False
        self._moment = _MOMENT
        self._asked_for = 0
        self._asked_at = 0.0

    def hint(self) -> None:
        """There may be something to claim. May be called by any thread."""
        self._hinted = True

    @property
    def is_hinted(self) -> bool:
        """Whether somebody has said so since `due_at` was asked."""
        return self._hinted

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
        return min(self._next, self._allowance.ask_at()) if self._allowance else self._next

    def wanted(self) -> int:
        """How many jobs there is room for: in free slots, and ahead as far as they are expected to begin soon."""
        return self._berths.room(self._berth, self._tasks())

    def ask(self, spare_room: int = 0) -> int:
        """The same, and that room is taken until `gave_back`.

        Where there is none, jobs of high priority are wanted for the ``spare_room``.
        """
        return self._berths.ask(self._berth, self._tasks(), spare_room)

    def gave_back(self, jobs: Iterable[StoredJob] = ()) -> None:
        """What was asked for has brought these jobs, which are here, or is not asked for any more."""
        self._berths.answered(self._berth, Counter(job.task for job in jobs))

    def ask_again_at(self) -> float:
        """When there may be room of which nobody tells."""
        return self._berths.lapses_at(self._berth)

    def leave(self) -> None:
        """Nothing more is claimed."""
        self._berths.leave(self._berth)

    def free(self, wanted: int) -> int:
        """For how many of so many jobs there is a slot free."""
        if self._berth.is_for_spare_slots:
            return wanted
        return max(0, min(wanted, self._berths.slots - self._berths.busy))

    def claims(self, wanted: int, now: float = 0.0) -> list[Claim]:
        """How to ask for so many; nothing where no limit leaves room for one."""
        least = self._settings.spare_priority if self._berth.is_for_spare_slots else None
        self._asked_for, self._asked_at = wanted, now
        claims = self._order.claims(wanted, self._tasks(), self._rooms(), min_priority=least)
        if not claims:
            self.is_empty = self._is_all()
            self._next = now + self._settings.poll * random.uniform(0.5, 1.5)
        return claims

    def answered(self, claimed: Claimed, now: float) -> None:
        """What a claim brought decides when the next is made."""
        # An answer of 0 asks for another claim: the store had not looked at everything.
        self._order.brought(claimed.jobs)
        brought_nothing = not claimed.jobs and not claimed.expired and claimed.next_due != 0
        self.is_empty = brought_nothing and not claimed.passed_over and self._is_all()
        self._next = 0.0
        if brought_nothing and self._order.searched_all:
            self._next = self._next_after(claimed, now)
        elif self._found_all(claimed):
            self._next = now + _SHORTLY
        if not claimed.passed_over:
            self._moment = _MOMENT

    def _found_all(self, claimed: Claimed) -> bool:
        """Whether a claim that brought jobs has probably left none."""
        is_cut_off = bool(claimed.expired) or claimed.passed_over or not self._order.searched_all
        return 0 < len(claimed.jobs) < self._asked_for and not is_cut_off

    def _next_after(self, claimed: Claimed, now: float) -> float:
        """When it is worth asking again."""
        ends = [now + self._settings.poll * random.uniform(0.5, 1.5)]
        if claimed.next_due is not None:
            # A store looks at its clock as long after it was asked as it will the next time: counted from the answer, a
            # job that is due later would begin late by a whole call.
            ends.append(self._asked_at + claimed.next_due / SECOND + self._patience())
        if claimed.passed_over:
            # Whoever is at them may be about to change them only, and perhaps in a transaction that stays open long.
            ends.append(now + self._moment + self._patience())
            self._moment = min(2 * self._moment, self._settings.poll)
        return min(ends)

    def placed(self, wanted: int, brought: int) -> None:
        """What a claim of so many jobs brought is here: there are no more, if it could have brought more."""
        if self._allowance and self._allowance.is_limited:
            self._allowance.answered(is_full=brought >= wanted or not self._order.searched_all)

    def begins(self, run: Run) -> bool:
        """A job is here that was claimed. False: others have taken its place meanwhile, and it must be handed back."""
        return self._berths.begins(self._berth, run)

    def ends(self, runs: Iterable[Run]) -> None:
        """Jobs are not here any more."""
        self._berths.ends(self._berth, runs)

    def is_urgent(self, job: StoredJob) -> bool:
        """Whether it may run in a spare slot."""
        return job.priority >= self._settings.spare_priority

    def is_quick(self, task: str) -> bool:
        """Whether runs of the task are known to end within the time for which jobs are taken ahead."""
        return self._berths.is_quick(task)

    def too_far(self) -> set[Run]:
        """Which of the runs that are here will not begin in the time for which jobs are taken."""
        far: set[Run] = set()
        slots = most = self._berths.slots
        before, seconds = 0, 0.0
        for run in self._berths.runs():
            waits = before >= most + (self._settings.spare if self.is_urgent(run.job) else 0)
            if waits and (slots <= 0 or seconds / slots > self._settings.prefetch):
                far.add(run)
                continue
            before += 1
            if self.is_quick(run.job.task):
                seconds += self._berths.pace.of(run.job.task) or 0.0
            else:
                slots -= 1
        return far

    def _is_all(self) -> bool:
        """Whether what was asked for is all that there may be to claim."""
        is_exhausted = self._allowance is not None and self._allowance.is_exhausted
        return self._order.searched_all and not (is_exhausted or self._berth.is_for_spare_slots)

    def _rooms(self) -> Rooms:
        rooms = self._allowance.rooms() if self._allowance else UNLIMITED
        if not self._settings.limits:
            return rooms
        tasks = dict(rooms.tasks)
        for task, room in self._berths.rooms(self._berth).items():
            tasks[task] = min(room, tasks.get(task, self._settings.batch))
        return Rooms(rooms.queues, tasks)

    def _patience(self) -> float:
        """Seconds by which a claim is put off, so that many idle workers do not all ask for the same job at once."""
        if self.crowd <= FEW or random.random() < _AT_ONCE / self.crowd:
            return 0.0
        return _LATER + random.random() * self.crowd * _APART
