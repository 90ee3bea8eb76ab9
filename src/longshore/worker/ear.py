"""The thread that waits for wake-ups."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

from longshore.contract import Sleeper
from longshore.errors import StoreError
from longshore.guard import Guard

if TYPE_CHECKING:
    from longshore.contract import Listener

_log = logging.getLogger("longshore.worker")
_LONG = 3600.0
_AGAIN = 1.0


class Ear(threading.Thread):
    """Tells when the store says that there is something to do: a hint, nothing rests on it."""

    def __init__(self, about: str, store: Guard, topics: list[str], tell: Callable[[], None]) -> None:
        super().__init__(name=f"longshore-ear-{about}", daemon=True)
        self._store = store
        self._topics = topics
        self._tell = tell
        self._ended = threading.Event()
        self._listener: Listener | None = None

    def run(self) -> None:
        """Listens until it is stopped, and again after a lost connection."""
        while not self._ended.is_set():
            try:
                self._listener = self._store.listen(self._topics)
                if isinstance(self._listener, Sleeper):
                    # From thread to thread takes longer than all else that is done at a wake-up.
                    self._listener.tell = self._tell
                self._tell()
                self._listen(self._listener)
            except StoreError as error:
                _log.warning("no wake-ups for now: %s", error)
                self._ended.wait(_AGAIN)

    def stop(self) -> None:
        """Ends the thread."""
        self._ended.set()
        if self._listener is not None:
            self._listener.interrupt()

    def _listen(self, listener: Listener) -> None:
        try:
            while not self._ended.is_set():
                if listener.wait(_LONG):
                    self._tell()
        finally:
            listener.close()
