"""What worker processes say to a test, and how a test sees them end."""

from __future__ import annotations

import os
import select
import time
from collections.abc import Callable
from pathlib import Path

from worker.gate import PATIENCE


class Words:
    """A named pipe that processes write lines to, and the gate beside it."""

    def __init__(self, folder: Path) -> None:
        self.path = str(folder / "words")
        os.mkfifo(self.path)
        # Open for writing too: so there is no end of file while nobody else writes.
        self._pipe = os.open(self.path, os.O_RDWR | os.O_NONBLOCK)
        self._unread = b""

    def hear(self, within: float = PATIENCE) -> list[str]:
        """The words of the next line."""
        ends = time.monotonic() + within
        while b"\n" not in self._unread:
            ready, _, _ = select.select([self._pipe], [], [], max(0.0, ends - time.monotonic()))
            assert ready, f"expected a process to say something within {within:g} s"
            self._unread += os.read(self._pipe, 65_536)
        line, _, self._unread = self._unread.partition(b"\n")
        return line.decode().split()

    def somebody_speaks(self, within: float) -> bool:
        """Whether there is something to hear within so many seconds."""
        ready, _, _ = select.select([self._pipe], [], [], 0 if self._unread else within)
        return bool(ready or self._unread)

    def await_speaking(self, again: Callable[[], object]) -> None:
        """Waits until there is something to hear, and does ``again`` what brings it about while there is not."""
        ends = time.monotonic() + PATIENCE
        while not self.somebody_speaks(within=0.2):
            assert time.monotonic() < ends, f"expected a process to say something within {PATIENCE:g} s"
            again()

    def hear_about(self, about: str) -> list[str]:
        """The next line that begins with this word, the others passed over."""
        while (line := self.hear())[0] != about:
            pass
        return line

    def open_gate(self) -> None:
        """Lets go on who stays, and who comes later."""
        Path(f"{self.path}.open").touch()

    def close(self) -> None:
        self.open_gate()
        os.close(self._pipe)


def await_end(pid: int, handle: int) -> None:
    """Waits until a process has ended; ``handle`` is its own, taken while it lived."""
    ready, _, _ = select.select([handle], [], [], PATIENCE)
    os.close(handle)
    assert ready, f"expected process {pid} to end within {PATIENCE:g} s"
