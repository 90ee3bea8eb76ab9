"""The store's clock between two looks at it."""

from __future__ import annotations

import time
from typing import Final, NamedTuple

from longshore.contract import Instant

_KEPT: Final = 1.0
"""Seconds for which the server's clock goes on here, and its schema is taken for what it was, before both are looked at
again."""
_STEP: Final = 1_000
"""Microseconds of a step of the server's clock."""


class _Told(NamedTuple):
    at: float
    now: Instant


class Times:
    """What the server's clock said last, and how long ago.

    An answer is on its way for a while, so the time goes on from when it was read at the latest: it is never ahead of
    the server's by more than the trip that told it, and does not go back from look to look."""

    def __init__(self) -> None:
        self._told: _Told | None = None
        self._looked = 0.0

    def hear(self, milliseconds: int, asked: float, *, is_whole: bool = True) -> Instant:
        """Takes what a look told that was sent at ``asked``, of the process's own clock; answers the time. A look that
        is whole has seen the schema too."""
        told, here = milliseconds * 1_000, time.monotonic()
        latest = told + _STEP + round((here - asked) * 1e6)
        before = self._told
        now = told if before is None else min(max(told, _gone_on(before, here)), latest)
        self._told = _Told(here, now)
        self._looked = here if is_whole else self._looked
        return now

    def now(self) -> Instant | None:
        """The time; None if the last whole look is too long ago."""
        told, here = self._told, time.monotonic()
        return None if told is None or here - self._looked > _KEPT else _gone_on(told, here)


def _gone_on(told: _Told, here: float) -> Instant:
    return told.now + round((here - told.at) * 1e6)
