"""Job ids: UUIDs of version 7 in 26 characters that sort by time of making."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from typing import Final

_ALPHABET: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_PAIRS: Final = tuple(high + low for high in _ALPHABET for low in _ALPHABET)
_VERSION_AND_VARIANT: Final = (7 << 76) | (2 << 62)
_RANDOM: Final = ((1 << 12) - 1) << 64 | (1 << 62) - 1
_LOW_BITS: Final = (1 << 20) - 1


def _text(number: int) -> str:
    """All of an id but its last four characters."""
    return "".join([_PAIRS[(number >> shift) & 1023] for shift in range(100, -1, -10)])


class IdMaker:
    """Makes ids that rise within a process, also within a millisecond, and never repeat, also after a fork.

    The layout is RFC 9562's UUIDv7 (48 bits of milliseconds, 74 random bits from the operating system, counted up
    within a millisecond), written in Crockford's base 32.

    Args:
        clock: nanoseconds since 1970; replaced in tests.
    """

    def __init__(self, *, clock: Callable[[], int] = time.time_ns) -> None:
        self._clock = clock
        self._pid = os.getpid()
        # One for each process: a thread that forks may leave its child a lock that nobody will ever release.
        self._locks = {self._pid: threading.Lock()}
        self._millisecond = 0
        self._prefix = ""
        self._low = _LOW_BITS

    def __call__(self) -> str:
        """The next id."""
        pid = os.getpid()
        with self._locks.get(pid) or self._locks.setdefault(pid, threading.Lock()):
            millisecond = self._clock() // 1_000_000
            if millisecond > self._millisecond or self._low >= _LOW_BITS or pid != self._pid:
                self._draw(millisecond, pid)
            self._low = low = self._low + 1
            prefix = self._prefix
        return prefix + _PAIRS[low >> 10] + _PAIRS[low & 1023]

    def _draw(self, millisecond: int, pid: int) -> None:
        # A used-up count takes the next millisecond's ids, and the clock may stand or step back: never below the last.
        used_up = self._low >= _LOW_BITS and millisecond <= self._millisecond
        self._millisecond = max(millisecond, self._millisecond + used_up)
        self._pid = pid
        drawn = int.from_bytes(os.urandom(10), "big") & _RANDOM | _VERSION_AND_VARIANT
        self._prefix = _text(self._millisecond << 60 | drawn >> 20)
        self._low = drawn & (_LOW_BITS >> 1)
