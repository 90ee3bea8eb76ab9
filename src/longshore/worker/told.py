"""What other threads of a worker tell its courier."""

from __future__ import annotations

from collections import deque

from longshore.contract import Change
from longshore.worker.bell import Bell
from longshore.worker.claiming import Claiming
from longshore.worker.claims.allowance import Allowance
from longshore.worker.runs import Run


class Told:
    """Notes what it is told, by any thread, and wakes the thread that will act on it."""

    def __init__(self, bell: Bell, claiming: Claiming, allowance: Allowance) -> None:
        self.claiming = claiming
        self.allowance = allowance
        self._bell = bell
        self._outcomes: deque[tuple[Run, Change | None, float]] = deque()
        self._look_at_held = False

    def ring(self) -> None:
        """Something has changed that concerns the whole worker."""
        self._bell.ring()

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
