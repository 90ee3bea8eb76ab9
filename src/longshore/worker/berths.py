"""How many jobs may be here: one number of slots for all stores of a worker (docs/design/several-stores.md).

A claim asks for places before it is made, and gives back those for which it brought no job. Where several sides want
more than there is, each gets about as many.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from itertools import count
from typing import Final

from longshore.worker.runs import Run
from longshore.worker.settings import WorkerSettings
from longshore.worker.tally import Pace
from longshore.worker.term import Term

_PATIENCE: Final = 0.25
"""Seconds after which places go to others that a claim has not filled, or that were offered and not asked for."""
_NEVER: Final = float("inf")


class Share:
    """What one side has of the places of a pool, and what it waits for. Times are by the process's own clock.

    Attributes:
        here: so many jobs.
        turn: when it was last given some, in the order of all.
    """

    def __init__(self, tell: Callable[[], None]) -> None:
        self.here = 0
        self.turn = 0
        self._tell = tell
        self._asked = 0
        self._asked_until = _NEVER
        self._lacks = 0
        self._offered_until = _NEVER

    def held(self, now: float) -> int:
        """How many places are its own: of jobs, and of a claim that is under way."""
        return self.here + (self._asked if now < self._asked_until else 0)

    def lacks(self, now: float) -> int:
        """How many more it would take at once."""
        is_late = self._asked > 0 and now >= self._asked_until
        return 0 if is_late or now >= self._offered_until else self._lacks

    def given(self, granted: int, wanted: int, now: float) -> None:
        """It has asked, and got so many."""
        self._asked, self._asked_until = granted, now + _PATIENCE
        self._lacks, self._offered_until = wanted - granted, _NEVER

    def answered(self, brought: int) -> None:
        """Its claim has brought so many jobs, of which it was told by `here`; if fewer than it could, there are no
        more."""
        if self._asked:
            if brought < self._asked:
                self._lacks = 0
            self._asked = 0

    def offer(self, now: float) -> None:
        """There are places for it; if it does not ask for them soon, others have them."""
        if self._offered_until == _NEVER:
            self._offered_until = now + _PATIENCE
            self._tell()

    def lapses_at(self, now: float) -> float:
        """When it loses what it has not filled, or not come for."""
        ends = (self._asked_until if self._asked else _NEVER, self._offered_until if self._lacks else _NEVER)
        return min((end for end in ends if end > now), default=_NEVER)


class Pool:
    """Places of one kind, of which several sides take."""

    def __init__(self) -> None:
        self._shares: list[Share] = []
        self._turns = count(1)

    def join(self, tell: Callable[[], None]) -> Share:
        """One more side, which is told when there are places that it lacks."""
        self._shares.append(Share(tell))
        return self._shares[-1]

    def leave(self, share: Share) -> None:
        """A side takes no more."""
        self._shares.remove(share)

    @property
    def is_of_one(self) -> bool:
        """Whether nobody shares it with another."""
        return len(self._shares) == 1

    def here(self) -> int:
        """How many jobs there are."""
        return sum(share.here for share in self._shares)

    def free(self, size: int, now: float) -> int:
        """How many places of so many are nobody's."""
        return size - sum(share.held(now) for share in self._shares)

    def room(self, share: Share, wanted: int, size: int, now: float) -> int:
        """How many places a side would get that asks for so many; of so many in all."""
        free = self.free(size, now)
        if free >= wanted or self.is_of_one:
            return max(0, min(wanted, free))
        others = {each: each.lacks(now) for each in self._shares if each is not share and each.lacks(now)}
        if not others:
            return max(0, free)
        return _dealt(free, {share: wanted, **others}, now)[share] if free > 0 else 0

    def may_begin(self, share: Share, size: int, now: float) -> bool:
        """Whether a job that a claim of this side has brought, in time or late, leaves others what they asked for."""
        asked = sum(each.held(now) - each.here for each in self._shares if each is not share)
        return self.here() + asked < size

    def ask(self, share: Share, wanted: int, size: int, now: float) -> int:
        """Takes places for a claim; gives how many there are."""
        share.answered(0)
        granted = self.room(share, wanted, size, now)
        share.given(granted, wanted, now)
        if granted:
            share.turn = next(self._turns)
        if not self.is_of_one:
            self.offer(size, now, but=share)
        return granted

    def offer(self, size: int, now: float, *, but: Share | None = None) -> None:
        """Tells who comes first of those that lack places, if there are any."""
        lacking = [share for share in self._shares if share is not but and share.lacks(now)]
        if lacking and self.free(size, now) > 0:
            min(lacking, key=lambda share: (share.held(now), share.turn)).offer(now)

    def lapses_at(self, share: Share, now: float) -> float:
        """When places may come to a side of which nobody tells it."""
        return min((each.lapses_at(now) for each in self._shares if each is not share), default=_NEVER)


def _dealt(places: int, lacking: dict[Share, int], now: float) -> Counter[Share]:
    """Places, one by one to who has the fewest; of those with as many to who has waited longest."""
    dealt: Counter[Share] = Counter()
    held = {share: share.held(now) for share in lacking}
    for _ in range(min(places, sum(lacking.values()))):
        open_handed = (share for share in lacking if dealt[share] < lacking[share])
        dealt[min(open_handed, key=lambda share: (held[share] + dealt[share], share.turn))] += 1
    return dealt


class Berths:
    """The places of a worker; thread-safe.

    Attributes:
        slots: how many jobs run at a time.
        pace: how long they take.

    Args:
        term: says how many jobs may still begin.
        monotonic: the process's own clock, in seconds.
    """

    def __init__(
        self, settings: WorkerSettings, term: Term, *, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self.slots = settings.slots
        self.pace = Pace()
        self._settings = settings
        self._term = term
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._of_slots = Pool()
        self._of_spare_slots = Pool()
        self._of_tasks = {task: Pool() for task in settings.limits}
        self._runs: dict[Run, None] = {}
        self._by_task: Counter[str] = Counter()

    def join(self, tell: Callable[[], None] = lambda: None) -> Berth:
        """The places of one more side; it is told when there are some that it has asked for and not got."""
        with self._lock:
            of_tasks = {task: pool.join(tell) for task, pool in self._of_tasks.items()}
            return Berth(self._of_slots.join(tell), self._of_spare_slots.join(tell), of_tasks)

    def leave(self, berth: Berth) -> None:
        """A side takes no more jobs, and has none."""
        with self._lock:
            self._of_slots.leave(berth.of_slots)
            self._of_spare_slots.leave(berth.of_spare_slots)
            for task, share in berth.of_tasks.items():
                self._of_tasks[task].leave(share)
            self._offer()

    @property
    def busy(self) -> int:
        """How many jobs are here."""
        return len(self._runs)

    def resize(self, slots: int) -> None:
        """So many slots from now on."""
        with self._lock:
            self.slots = slots
            self._offer()

    def runs(self) -> list[Run]:
        """The runs that are here, in the order in which they came."""
        with self._lock:
            return list(self._runs)

    def is_quick(self, task: str) -> bool:
        """Whether runs of the task are known to end within the time for which jobs are taken ahead."""
        seconds = self.pace.of(task)
        return seconds is not None and seconds <= self._settings.prefetch

    # What a side asks for.

    def room(self, berth: Berth, tasks: Iterable[str]) -> int:
        """For how many more jobs of a side there is room, in free slots and ahead."""
        with self._lock:
            now = self._monotonic()
            if not self._has_room_for_any(berth, tasks, now):
                return 0
            return self._of_slots.room(berth.of_slots, self._settings.batch, self._size(), now)

    def ask(self, berth: Berth, tasks: Iterable[str], spare_room: int) -> int:
        """Takes that room for a claim; where there is none, some of the ``spare_room`` for urgent jobs."""
        with self._lock:
            now, size = self._monotonic(), self._size()
            most = self._settings.batch if self._has_room_for_any(berth, tasks, now) else 0
            granted = self._of_slots.ask(berth.of_slots, most, size, now)
            berth.is_for_spare_slots = not granted and spare_room > 0 and self._of_slots.free(size, now) <= 0
            if berth.is_for_spare_slots:
                left = self._term.left(len(self._runs))
                spare_room = spare_room if left is None else min(spare_room, left)
                granted = self._of_spare_slots.ask(berth.of_spare_slots, spare_room, spare_room, now)
            berth.of_limited = {
                task: pool.ask(berth.of_tasks[task], granted, self._settings.limits[task], now)
                for task, pool in self._of_tasks.items()
            }
            return granted

    def rooms(self, berth: Berth) -> dict[str, int]:
        """For how many more jobs of each limited task of a side there is room."""
        if berth.of_limited:
            return berth.of_limited
        with self._lock:
            now = self._monotonic()
            return {task: self._room_of(berth, task, now) for task in self._of_tasks}

    def answered(self, berth: Berth, brought: Mapping[str, int]) -> None:
        """A claim has brought so many jobs of each task, or none, or was not made."""
        with self._lock:
            number = sum(brought.values())
            berth.of_slots.answered(number)
            berth.of_spare_slots.answered(number)
            for task, share in berth.of_tasks.items():
                share.answered(brought.get(task, 0))
            berth.of_limited = {}
            self._offer()

    def lapses_at(self, berth: Berth) -> float:
        """When a side is to ask again, though nobody tells it; infinity: when it is told."""
        with self._lock:
            now = self._monotonic()
            if not berth.of_slots.lacks(now) and not any(share.lacks(now) for share in berth.of_tasks.values()):
                return _NEVER
            ends = [pool.lapses_at(berth.of_tasks[task], now) for task, pool in self._of_tasks.items()]
            return min(self._of_slots.lapses_at(berth.of_slots, now), *ends, _NEVER)

    # What is here.

    def begins(self, berth: Berth, run: Run) -> bool:
        """A job was claimed. False: it came so late that others have its place, and must be handed back."""
        with self._lock:
            task = run.job.task
            share = berth.of_tasks.get(task)
            if self._term.left(len(self._runs)) == 0:
                return False
            if share is not None:
                if not self._of_tasks[task].may_begin(share, self._settings.limits[task], self._monotonic()):
                    return False
                share.here += 1
            berth.of_slots.here += 1
            self._by_task[task] += 1
            self._runs[run] = None
            return True

    def ends(self, berth: Berth, runs: Iterable[Run]) -> None:
        """Jobs are not here any more."""
        with self._lock:
            for run in runs:
                if run in self._runs:
                    self._forget(berth, run)
            self._offer()

    def took(self, ended: Iterable[tuple[str, float]]) -> None:
        """Runs of these tasks have ended that took so many seconds."""
        with self._lock:
            for task, seconds in ended:
                self._term.ran()
                self.pace.took(task, seconds)

    def _forget(self, berth: Berth, run: Run) -> None:
        del self._runs[run]
        task = run.job.task
        self._by_task[task] -= 1
        berth.of_slots.here -= 1
        if task in berth.of_tasks:
            berth.of_tasks[task].here -= 1

    def _size(self) -> int:
        here = self._by_task.items() if self._runs else ()
        slow = sum(number for task, number in here if number and not self.is_quick(task))
        size = self.slots + self.pace.expected(self._settings.prefetch, max(0, self.slots - slow))
        left = self._term.left(0)
        return size if left is None else min(size, left)

    def _has_room_for_any(self, berth: Berth, tasks: Iterable[str], now: float) -> bool:
        limits = self._settings.limits
        return not limits or any(task not in limits or self._room_of(berth, task, now) for task in tasks)

    def _room_of(self, berth: Berth, task: str, now: float) -> int:
        most = self._settings.limits[task]
        return self._of_tasks[task].room(berth.of_tasks[task], most, most, now)

    def _offer(self) -> None:
        if self._of_slots.is_of_one:
            return
        now = self._monotonic()
        self._of_slots.offer(self._size(), now)
        for task, pool in self._of_tasks.items():
            pool.offer(self._settings.limits[task], now)


class Berth:
    """The places of one side.

    Attributes:
        of_limited: of limited tasks, for the claim that is under way.
        is_for_spare_slots: whether that claim is for urgent jobs alone.
    """

    def __init__(self, of_slots: Share, of_spare_slots: Share, of_tasks: dict[str, Share]) -> None:
        self.of_slots = of_slots
        self.of_spare_slots = of_spare_slots
        self.of_tasks = of_tasks
        self.of_limited: dict[str, int] = {}
        self.is_for_spare_slots = False
