"""What other threads of a worker tell its courier."""

from __future__ import annotations

from collections import deque

from longshore.contract import Change
from longshore.holders import Doing
from longshore.worker.bell import Bell
from longshore.worker.claiming import Claiming
from longshore.worker.claims.allowance import Allowance
from longshore.worker.course import Course
from longshore.worker.runs import Run
from longshore.worker.slots import Slots


class Told:
    """Notes what it is told, by any thread, and wakes the thread that will act on it."""

    slots: Slots

    def __init__(self, claiming: Claiming, allowance: Allowance, course: Course) -> None:
        self.claiming = claiming
        self.allowance = allowance
        self.course = course
        self._bell = Bell()
        self._outcomes: deque[tuple[Run, Change | None, float]] = deque()
        self._look_at_held = False

    def hint(self) -> None:
        """There may be something to claim."""
        self.claiming.hint()
        self._bell.ring()

    def report(self, run: Run, change: Change | None, seconds: float) -> None:
        """A run has ended, with the change that settles it, or was interrupted without one."""
        self._outcomes.append((run, change, seconds))
        self._bell.ring()

    def look_at_held(self) -> None:
        """Compare what the store says is held with what runs here, and read what limits and pauses allow."""
        self._look_at_held = True
        self.allowance.rules_changed()
        self._bell.ring()

    def tokens_freed(self) -> None:
        """Others gave tokens of limits back, or ask for some."""
        self.allowance.tokens_freed()
        if self.allowance.is_exhausted:
            self.claiming.hint()
        self._bell.ring()

    def drain(self, seconds: float) -> None:
        """Claim nothing more, hand back what has not begun, and let the rest run for so long."""
        self.course.drain(seconds)
        self._bell.ring()

    def doing(self) -> Doing:
        """What it does, and how many jobs are here."""
        return Doing(self.course.status, self.claiming.slots, self.claiming.busy)

    def pause(self) -> None:
        """Claim nothing more and hand back what has not begun, until told to resume."""
        self.course.is_paused = True
        self._bell.ring()

    def resume(self) -> None:
        """Go on claiming."""
        self.course.is_paused = False
        self.hint()

    def scale(self, slots: int) -> None:
        """Run so many jobs at a time from now on."""
        self.claiming.slots = slots
        self.slots.resize(slots)
        self.hint()
