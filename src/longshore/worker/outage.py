"""How a worker bears that the store is away."""

from __future__ import annotations

import logging
import random
from typing import Final

from longshore.errors import StoreError
from longshore.worker.bell import Bell

_log = logging.getLogger("longshore.worker")
FIRST_PAUSE: Final = 0.05
_LONGEST_PAUSE: Final = 5.0


class Outage:
    """Waits longer from time to time, until the store has answered again, or the bell rings."""

    def __init__(self, bell: Bell) -> None:
        self._bell = bell
        self._pause = 0.0

    def sit_out(self, error: StoreError) -> None:
        """The store has not answered: waits for a while."""
        _log.warning("the store is away: %s", error)
        self._pause = min(max(FIRST_PAUSE, self._pause * 2), _LONGEST_PAUSE) * random.uniform(0.75, 1.25)
        self._bell.wait(self._pause)

    def is_over(self) -> None:
        """The store has answered."""
        self._pause = 0.0

    @property
    def is_on(self) -> bool:
        """Whether the store has not answered lately."""
        return self._pause > 0
