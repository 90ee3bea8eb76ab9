"""Wake-ups: one connection of each process hears all that its listeners listen to."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Sequence
from typing import Any, Final

import redis

from longshore.contract import Sleeper
from longshore.errors import Unavailable

_PAUSE: Final = 0.5
"""Seconds between attempts to reach a server that has gone."""
_PATIENCE: Final = 10.0
"""Seconds within which a server confirms that it was listened to."""


class Ear(Sleeper):
    """A listener to some topics."""

    def __init__(self, ears: Ears, channels: frozenset[bytes]) -> None:
        super().__init__()
        self.channels = channels
        self._ears = ears

    def close(self) -> None:
        """Stops listening; whoever waits returns."""
        self._ears.leave(self)
        super().close()


class Ears:
    """All listeners of one connection to a store, and the thread that hears for them."""

    def __init__(self, client: redis.Redis, root: str) -> None:
        self._client = client
        self._root = root
        self._silent = f"{root}wake:".encode()  # Nobody wakes it; a connection that listens to nothing cannot wait.
        self._process = os.getpid()
        self._lock = threading.Lock()  # Of the three below; nothing is sent while it is held.
        self._sending = threading.Lock()
        self._ears: set[Ear] = set()
        self._heard: set[bytes] = set()
        self._confirmed = threading.Condition(self._lock)
        self._closed = threading.Event()
        self._line: Any = None
        self._thread: threading.Thread | None = None

    def is_of_this_process(self) -> bool:
        """False in a child, which has the memory but not the thread."""
        return self._process == os.getpid()

    def listen(self, topics: Sequence[str]) -> Ear:
        """Listens from now on: the server has confirmed it."""
        ear = Ear(self, frozenset(f"{self._root}wake:{topic}".encode() for topic in topics))
        with self._lock:
            self._ears.add(ear)
        if ear.channels:
            self._subscribe(ear)
        return ear

    def leave(self, ear: Ear) -> None:
        """Hears no more for a listener."""
        with self._lock:
            self._ears.discard(ear)
            unheard = ear.channels - self._wanted()
        with self._sending, contextlib.suppress(redis.exceptions.RedisError, OSError):
            if self._line is not None and unheard:
                with self._lock:
                    unheard -= self._wanted()
                    self._heard -= unheard
                if unheard:
                    self._line.send_command("UNSUBSCRIBE", *unheard)

    def close(self) -> None:
        """Ends the thread; listeners hear nothing any more."""
        self._closed.set()
        if not self.is_of_this_process():
            return
        if self._line is not None:
            self._line.disconnect()
        if self._thread is not None:
            self._thread.join()
            self._line.disconnect()

    def _wanted(self) -> set[bytes]:
        return {channel for ear in self._ears for channel in ear.channels}

    def _subscribe(self, ear: Ear) -> None:
        with self._sending:
            if self._line is None:
                self._line = self._listening(self._silent)
            with self._lock:
                new = ear.channels - self._heard
            if new:
                self._line.send_command("SUBSCRIBE", *new)
            if self._thread is None:
                self._thread = threading.Thread(target=self._hear, name="longshore-redis-ears", daemon=True)
                self._thread.start()
        with self._confirmed:
            if not self._confirmed.wait_for(lambda: ear.channels <= self._heard, _PATIENCE):
                self._ears.discard(ear)
                raise Unavailable("the server did not confirm that wake-ups are listened to", unknown=False)

    def _listening(self, *channels: bytes) -> Any:
        """A connection of the pool, which it keeps to listen."""
        line: Any = self._client.connection_pool.get_connection()
        line.send_command("SUBSCRIBE", *channels)
        return line

    def _hear(self) -> None:
        while not self._closed.is_set():
            try:
                said, channel, *_ = self._line.read_response(timeout=None)
            except (redis.exceptions.RedisError, OSError, ValueError, AttributeError):
                self._reconnect()
                continue
            if said == b"subscribe":
                with self._confirmed:
                    self._heard.add(channel)
                    self._confirmed.notify_all()
            elif said == b"message":
                self._ring(channel)

    def _ring(self, channel: bytes | None) -> None:
        with self._lock:
            rung = [ear for ear in self._ears if channel is None or channel in ear.channels]
        for ear in rung:
            ear.ring()

    def _reconnect(self) -> None:
        """A new connection; as hints may have been lost meanwhile, all are woken once."""
        while not self._closed.wait(_PAUSE):
            with self._sending:
                with self._lock:
                    self._heard.clear()
                    wanted = self._wanted()
                self._line.disconnect()
                self._client.connection_pool.release(self._line)
                try:
                    self._line = self._listening(self._silent, *wanted)
                except (redis.exceptions.RedisError, OSError):
                    continue
            self._ring(None)
            return
