"""The runs that wait for a slot."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable

from longshore.worker.runs import Run


class Line:
    """Runs in the order in which they came; urgent ones before the others where there are spare slots for them.

    Args:
        spare: how many slots only urgent runs may take.
        is_urgent: tells them.
    """

    def __init__(self, spare: int, is_urgent: Callable[[Run], bool]) -> None:
        self._spare = spare
        self._is_urgent = is_urgent
        self._urgent: deque[Run] = deque()
        self._others: deque[Run] = deque()

    def __len__(self) -> int:
        return len(self._urgent) + len(self._others)

    def oldest(self) -> float:
        """When the first was taken, of those that have waited longest; infinity if none waits."""
        return min((runs[0].taken for runs in (self._urgent, self._others) if runs), default=float("inf"))

    def extend(self, runs: Iterable[Run]) -> None:
        """Puts runs at the end."""
        if not self._spare:
            self._others.extend(runs)
            return
        for run in runs:
            (self._urgent if self._is_urgent(run) else self._others).append(run)

    def first(self, free: int) -> Run | None:
        """The run that begins next, if so many slots are free; None if none may."""
        if self._urgent and free > 0:
            return self._urgent[0]
        return self._others[0] if self._others and free > self._spare else None

    def begin_first(self) -> None:
        """What `first` gave begins."""
        (self._urgent or self._others).popleft()

    def spare_room(self, free: int) -> int:
        """How many urgent runs more would begin at once in spare slots."""
        return max(0, min(self._spare, free) - len(self._urgent))

    def take_back(self, choose: Callable[[Run], bool]) -> list[Run]:
        """Takes out those that ``choose`` is true of."""
        taken = [run for run in (*self._urgent, *self._others) if choose(run)]
        if taken:
            gone = set(map(id, taken))
            self._urgent = deque(run for run in self._urgent if id(run) not in gone)
            self._others = deque(run for run in self._others if id(run) not in gone)
        return taken
