"""How a worker bears that the store is away."""

from __future__ import annotations

import logging
import random
from collections.abc import Callable
from typing import Final

from longshore.errors import StoreError
from longshore.worker.bell import Bell

_log = logging.getLogger("longshore.worker")
FIRST_PAUSE: Final = 0.05
_LONGEST_PAUSE: Final = 5.0


class Outage:
    """Waits longer from time to time, until the store has answered again, or the bell rings.

    Args:
        seconds_valid: how long the lease is valid: it never waits beyond its end, when what runs must be interrupted.
    """

    def __init__(self, bell: Bell, seconds_valid: Callable[[], float]) -> None:
        self._bell = bell
        self._seconds_valid = seconds_valid
        self._pause = 0.0

    def sit_out(self, error: StoreError) -> None:
        """The store has not answered: waits for a while."""
        _log.warning("the store is away: %s", error)
        self._pause = min(max(FIRST_PAUSE, self._pause * 2), _LONGEST_PAUSE) * random.uniform(0.75, 1.25)
        # Once the lease is over there is nothing to be in time for.
        self._bell.wait(min(self._pause, self._seconds_valid() or self._pause))

    def is_over(self) -> None:
        """The store has answered."""
        self._pause = 0.0

    @property
    def is_on(self) -> bool:
        """Whether the store has not answered lately."""
        return self._pause > 0
