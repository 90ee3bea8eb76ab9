"""What wakes the courier."""

from __future__ import annotations

from contextlib import suppress
from queue import Empty, SimpleQueue


class Bell:
    """Wakes one thread. May be rung from a signal handler, in the very thread that waits.

    A `threading.Event` may not: its lock cannot be taken twice, and a handler may run while it is held. The methods of
    a `SimpleQueue` may be interrupted by themselves.
    """

    def __init__(self) -> None:
        self._rings: SimpleQueue[None] = SimpleQueue()

    def ring(self) -> None:
        """Makes `wait` return, now or the next time."""
        if self._rings.empty():
            self._rings.put(None)

    def silence(self) -> None:
        """Forgets that it was rung: before looking at what is to be done, never after."""
        with suppress(Empty):
            while not self._rings.empty():
                self._rings.get_nowait()

    def wait(self, timeout: float) -> None:
        """Returns when it is rung, at the latest after so many seconds."""
        try:
            self._rings.get(timeout=max(0.0, timeout))
        except Empty:
            return
