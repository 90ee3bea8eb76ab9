"""The thread that waits for wake-ups."""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING

from longshore.errors import StoreError
from longshore.guard import Guard

if TYPE_CHECKING:
    from longshore.contract import Listener
    from longshore.worker.courier import Courier

_log = logging.getLogger("longshore.worker")
_LONG = 3600.0
_AGAIN = 1.0


class Ear(threading.Thread):
    """Tells the courier when the store says that there is something to do: a hint, nothing rests on it."""

    def __init__(self, store: Guard, topics: list[str], courier: Courier) -> None:
        super().__init__(name="longshore-ear", daemon=True)
        self._store = store
        self._topics = topics
        self._courier = courier
        self._ended = threading.Event()
        self._listener: Listener | None = None

    def run(self) -> None:
        """Listens until it is stopped, and again after a lost connection."""
        while not self._ended.is_set():
            try:
                self._listener = self._store.listen(self._topics)
                self._courier.hint()
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
                    self._courier.hint()
        finally:
            listener.close()
