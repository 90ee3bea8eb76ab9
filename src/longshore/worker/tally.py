"""What a worker has done, and how fast."""

from __future__ import annotations

from longshore.contract import Answer, Change, Outcome, State


class Tally:
    """How many runs ended how, since the worker began. Written by its courier, read by anybody."""

    def __init__(self) -> None:
        self.succeeded = 0
        self.failed = 0
        self.cancelled = 0
        self.again = 0
        self.refused = 0
        self.void = 0

    def settled(self, change: Change, answer: Answer) -> None:
        """Counts one run."""
        if answer.outcome is Outcome.REFUSED:
            self.refused += 1
        elif change.to is State.SUCCEEDED:
            self.succeeded += 1
        elif change.to is State.PENDING:
            self.again += 1
        elif change.to is State.CANCELLED:
            self.cancelled += 1
        else:
            self.failed += 1

    def __add__(self, other: Tally) -> Tally:
        """Both together, as they are now."""
        both = Tally()
        for name, number in vars(other).items():
            setattr(both, name, getattr(self, name) + number)
        return both

    def __repr__(self) -> str:
        return f"<Tally {', '.join(f'{name}={value}' for name, value in vars(self).items())}>"


class Pace:
    """How long the runs of each task take, as moving averages."""

    _WEIGHT = 0.1
    _LEAST_SECONDS = 1e-5

    def __init__(self) -> None:
        self._of_all: float | None = None
        self._of_task: dict[str, float] = {}
        self._is_stalled = False

    def stalled(self) -> None:
        """What was taken ahead did not begin in time: nothing is expected to begin until a run has ended."""
        self._is_stalled = True

    def took(self, task: str, seconds: float) -> None:
        """A run took so long."""
        self._is_stalled = False
        self._of_all = self._moved(self._of_all, seconds)
        self._of_task[task] = self._moved(self._of_task.get(task), seconds)

    def of(self, task: str) -> float | None:
        """How many seconds a run of the task takes; None while nothing is known."""
        return self._of_task.get(task)

    def expected(self, seconds: float, slots: int) -> int:
        """How many runs the slots will begin within so many seconds; 0 while nothing is known."""
        if self._of_all is None or self._is_stalled:
            return 0
        return int(slots * seconds / max(self._of_all, self._LEAST_SECONDS))

    def _moved(self, mean: float | None, seconds: float) -> float:
        return seconds if mean is None else mean + self._WEIGHT * (seconds - mean)
