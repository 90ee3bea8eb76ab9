"""Wake-ups by LISTEN and NOTIFY.

A notification inside a commit makes all commits of the database wait for each other, so it goes out after the commit,
on a connection of its own, and what many threads have to say at once goes out together. All listeners of a process
share one connection, on which one thread waits.
"""

from __future__ import annotations

import logging
import os
import select
import socket
import threading
import time
import zlib
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final

import psycopg

from longshore.contract import Sleeper
from longshore.errors import LongshoreError

Connection = psycopg.Connection[Any]

# A notification takes part in a commit: this one need not reach the disk. Nothing is left behind on the connection.
_HINT: Final = "SELECT set_config('synchronous_commit', 'off', true), pg_notify(%s, unnest(%s::text[]))"
_APART: Final = 0.005
"""Seconds between two notifications of one process: what comes meanwhile goes out with the later one."""
_RETRY: Final = 1.0
_logger: Final = logging.getLogger("longshore.postgres")


class Notifier:
    """Sends notifications, those that come close together in one."""

    def __init__(self, opened: Callable[[], Connection], channel: str) -> None:
        self._open = opened
        self._channel = channel
        self._topics: set[str] = set()
        self._changed = threading.Condition()
        self._process = os.getpid()
        self._thread: threading.Thread | None = None
        self._closed = False
        self._sent = 0.0

    def send(self, topics: Iterable[str]) -> None:
        """Sends soon, in another thread."""
        if self._process != os.getpid():
            self._changed, self._topics, self._process = threading.Condition(), set(), os.getpid()
            self._thread = None
        with self._changed:
            self._topics.update(topics)
            if self._thread is None and not self._closed:
                self._thread = threading.Thread(target=self._run, name="longshore-notify", daemon=True)
                self._thread.start()
            self._changed.notify()

    def close(self) -> None:
        """Sends what is left, and ends."""
        if self._process != os.getpid():
            return
        with self._changed:
            self._closed = True
            self._changed.notify()
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    def _run(self) -> None:
        connection: Connection | None = None
        try:
            while topics := self._next():
                try:
                    connection = connection or self._open()
                    connection.execute(_HINT, (self._channel, topics))
                except (psycopg.Error, LongshoreError) as error:
                    _logger.info("a wake-up was lost: %s", error)
                    if connection is not None:
                        connection.close()
                    connection = None
        finally:
            if connection is not None:
                connection.close()

    def _next(self) -> list[str]:
        """The topics to send, none when it was closed."""
        with self._changed:
            self._changed.wait_for(lambda: self._topics or self._closed)
            if not self._topics:
                return []
            self._changed.wait_for(lambda: self._closed, max(0.0, self._sent + _APART - time.monotonic()))
            topics, self._topics, self._sent = sorted(self._topics), set(), time.monotonic()
            return topics


class Ears:
    """The listeners of a process, and the connection that they share."""

    def __init__(self, opened: Callable[[], Connection], channel: str) -> None:
        self._open = opened
        self._channel = channel
        self._process = 0
        self._fresh()

    def _fresh(self) -> None:
        self._process = os.getpid()
        self._lock = threading.Lock()
        self._listeners: set[NotifyListener] = set()
        self._thread: threading.Thread | None = None
        self._closed = False
        self._hurry: socket.socket | None = None

    def listen(self, topics: Sequence[str]) -> NotifyListener:
        """Listens from now on."""
        if self._process != os.getpid():
            self._fresh()
        listener = NotifyListener(self, topics)
        with self._lock:
            self._listeners.add(listener)
            if self._thread is not None:
                return listener
            connection = self._connected()
            ear, self._hurry = socket.socketpair()
            self._thread = threading.Thread(
                target=self._run, args=(connection, ear), name="longshore-listen", daemon=True
            )
            self._thread.start()
        return listener

    def remove(self, listener: NotifyListener) -> None:
        """Wakes it no more."""
        if self._process == os.getpid():
            with self._lock:
                self._listeners.discard(listener)

    def close(self) -> None:
        """Ends listening; whoever waits returns."""
        if self._process != os.getpid():
            return
        self._closed = True
        for listener in tuple(self._listeners):
            listener.close()
        if self._thread is not None and self._hurry is not None:
            self._hurry.send(b"\0")
            self._thread.join()
            self._hurry.close()
            self._thread = None

    def _connected(self) -> Connection:
        connection = self._open()
        connection.execute(f'LISTEN "{self._channel}"')
        return connection

    def _run(self, connection: Connection, ear: socket.socket) -> None:
        heard: Connection | None = connection
        with ear:
            while heard is not None:
                try:
                    self._hear(heard, ear)
                except psycopg.Error as error:
                    _logger.info("listening was cut: %s", error)
                finally:
                    heard.close()
                heard = self._again(ear)
                # What was said meanwhile was not heard.
                self._wake(None)

    def _again(self, ear: socket.socket) -> Connection | None:
        while not self._closed:
            try:
                return self._connected()
            except (psycopg.Error, LongshoreError):
                select.select([ear], [], [], _RETRY)
        return None

    def _hear(self, connection: Connection, ear: socket.socket) -> None:
        ends: list[Any] = [connection.fileno(), ear]
        while not self._closed:
            select.select(ends, [], [])
            self._wake({notify.payload for notify in connection.notifies(timeout=0)})

    def _wake(self, topics: set[str] | None) -> None:
        with self._lock:
            listeners = tuple(self._listeners)
        for listener in listeners:
            if topics is None or not listener.topics.isdisjoint(topics):
                listener.ring()


class NotifyListener(Sleeper):
    """Waits until one of its topics is named."""

    def __init__(self, ears: Ears, topics: Sequence[str]) -> None:
        super().__init__()
        self.topics = frozenset(map(shortened, topics))
        self._ears = ears

    def close(self) -> None:
        """Stops listening; whoever waits returns."""
        self._ears.remove(self)
        super().close()


def shortened(topic: str) -> str:
    """The topic as it is sent: a notification has a greatest length."""
    return topic if len(topic) <= 200 else f"{zlib.crc32(topic.encode()):08x}"
