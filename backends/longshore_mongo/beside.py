"""Two things at once: a server has several cores, and each waits for the disk by itself."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final

_THREADS: Final = 4
"""So many calls can have something done beside themselves; what else comes waits for them."""


class Beside:
    """Threads of one connection, begun when they are first needed, and anew in a child of fork."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._process = os.getpid()
        self._threads: ThreadPoolExecutor | None = None

    def both(self, one: Callable[[], None], other: Callable[[], None]) -> None:
        """Does both, the one in a thread beside this one; returns when both are done, and raises what either raised."""
        begun = self._of_this_process().submit(one)
        try:
            other()
        finally:
            begun.result()

    def close(self) -> None:
        """Lets the threads end; nobody waits for them."""
        if self._threads is not None and self._process == os.getpid():
            self._threads.shutdown(wait=False)
            self._threads = None  # Who comes later is told by the connection itself that it is closed.

    def _of_this_process(self) -> ThreadPoolExecutor:
        if self._threads is None or self._process != os.getpid():
            self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix=self._name)
            self._process = os.getpid()
        return self._threads
