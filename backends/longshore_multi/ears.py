"""Hearing wake-ups of several stores at once."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Final

from longshore.contract import Listener, Sleeper
from longshore.errors import StoreError
from longshore_multi.part import Part

_WAIT: Final = 600.0


class Ears(Sleeper):
    """A listener to all of some stores; one that goes away is listened to again when it has come back.

    Args:
        again: seconds until a store that does not answer is asked again.
    """

    def __init__(self, parts: Sequence[Part], topics: Sequence[str], *, again: float) -> None:
        super().__init__()
        self._again = again
        self._closed = threading.Event()
        self._lock = threading.Lock()
        self._listeners: dict[str, Listener] = {}
        for part in parts:
            self._listen(part, topics)
            # A daemon: who forgets to close it must not keep the process from ending.
            threading.Thread(target=self._hear, args=(part, topics), name=f"ear {part.tag}", daemon=True).start()

    def close(self) -> None:
        self._closed.set()
        with self._lock:
            listeners = list(self._listeners.values())
        for listener in listeners:
            listener.interrupt()
        super().close()

    def _listen(self, part: Part, topics: Sequence[str]) -> None:
        try:
            listener = part.listen(topics)
        except StoreError:
            return  # It rests; the others are heard.
        with self._lock:
            self._listeners[part.tag] = listener

    def _hear(self, part: Part, topics: Sequence[str]) -> None:
        try:
            while not self._closed.is_set():
                self._hear_on(part)
                if not self._closed.wait(0 if part.tag in self._listeners else self._again):
                    self._listen_again(part, topics)
        finally:
            self._forget(part)

    def _listen_again(self, part: Part, topics: Sequence[str]) -> None:
        if part.tag not in self._listeners:
            self._listen(part, topics)
            self.ring()  # Nobody knows what was missed.

    def _hear_on(self, part: Part) -> None:
        listener = self._listeners.get(part.tag)
        if listener is None:
            return
        try:
            if listener.wait(_WAIT):
                self.ring()
        except StoreError:
            self._forget(part)

    def _forget(self, part: Part) -> None:
        with self._lock:
            listener = self._listeners.pop(part.tag, None)
        if listener is not None:
            listener.close()
