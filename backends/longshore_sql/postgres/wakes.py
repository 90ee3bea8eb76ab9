"""Wake-ups by LISTEN and NOTIFY.

A notification inside a commit makes all commits of the database wait for each other, so it goes out after the commit:
right behind the statement that stores a job, or on a connection of its own; and what many threads have to say at once
goes out together. All listeners of a process share one connection, on which one thread waits.
"""

from __future__ import annotations

import logging
import math
import os
import select
import socket
import threading
import time
import zlib
from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Any, Final

import psycopg

from longshore.contract import Sleeper
from longshore.errors import LongshoreError
from longshore_sql.postgres.arrays import array_text
from longshore_sql.statements import Asked

Connection = psycopg.Connection[Any]

# A notification takes part in a commit: this one need not reach the disk. Nothing is left behind on the connection.
_HINT: Final = "SELECT set_config('synchronous_commit', 'off', true), pg_notify(%s, unnest(%s::text[]))"
_NUMBERED: Final = b"SELECT set_config('synchronous_commit', 'off', true), pg_notify($1, unnest($2::text[]))"
_NAME: Final = b"longshore_hint"
_APART: Final = 0.005
"""Seconds between two notifications of one process: what comes meanwhile goes out with the later one."""
_LATEST: Final = 0.0075
"""Seconds after one at which the next goes out by itself, unless a statement has taken it along meanwhile."""
_RETRY: Final = 1.0
_logger: Final = logging.getLogger("longshore.postgres")


class Mouth:
    """A connection on which notifications go out. Nobody waits for what the server says to them."""

    def __init__(self, connection: Connection, channel: str) -> None:
        self._connection = connection
        self._server = connection.pgconn
        self._channel = channel.encode()
        self._is_prepared = connection.prepare_threshold is not None
        if self._is_prepared:
            self._server.prepare(_NAME, _NUMBERED)

    def says(self, topics: Iterable[str], *, waits: bool) -> bool:
        """Whether it could be sent; not while the server is at the one before, for which it may wait."""
        server = self._server
        server.consume_input()
        while server.is_busy() or server.flush():
            if not waits:
                return False
            select.select([server.socket], [], [], _RETRY)
            server.consume_input()
        while server.get_result() is not None:
            pass  # It is a hint, that may be lost.
        values = [self._channel, array_text(topics).encode()]
        if self._is_prepared:
            server.send_query_prepared(_NAME, values)
        else:
            server.send_query_params(_NUMBERED, values)
        return True

    def close(self) -> None:
        """Ends; the server still does what was sent."""
        self._connection.close()


class Notifier:
    """Sends notifications, those that come close together in one.

    The first goes out in the thread of who sends it, which takes a few microseconds, or right behind a statement of
    his. What comes soon after goes with a statement that is made a little later, or is left to a thread of its own,
    which is woken once for all of it.
    """

    def __init__(
        self, opened: Callable[[], Connection], channel: str, *, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._open = opened
        self._channel = channel
        self._monotonic = monotonic
        self._fresh()

    def _fresh(self) -> None:
        self._process = os.getpid()
        self._topics: set[str] = set()
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._is_waiting = False
        self._closed = False
        self._mouth: Mouth | None = None
        self._sent = -math.inf

    def send(self, topics: Iterable[str]) -> None:
        """Sends now or soon."""
        if self._process != os.getpid():
            self._fresh()
        with self._changed:
            self._topics.update(topics)
            if self._closed or not self._topics or self._is_said():
                return
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="longshore-notify", daemon=True)
                self._thread.start()
            elif self._is_waiting:
                self._changed.notify()

    def along(self, topics: Iterable[str]) -> Collection[str]:
        """These topics and all that is still to be said, to be said by the caller at once (`hint`): none of them where
        something was said a moment ago, and they are to be sent."""
        if self._process != os.getpid():
            self._fresh()
        with self._changed:
            now = self._monotonic()
            if self._closed or now < self._sent + _APART:
                return ()
            taken, self._topics, self._sent = self._topics.union(topics), set(), now
            return taken

    def hint(self, topics: Iterable[str]) -> Asked:
        """The statement that says topics; it is to be a transaction of its own."""
        return Asked(_HINT, (self._channel, array_text(topics)))

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

    def _is_said(self) -> bool:
        """Whether all topics could be sent at once."""
        now = self._monotonic()
        if self._mouth is None or not self._is_waiting or now < self._sent + _APART:
            return False
        try:
            if not self._mouth.says(self._topics, waits=False):
                return False
        except psycopg.Error:
            return False  # The thread will meet the same, and open another connection.
        self._topics.clear()
        self._sent = now
        return True

    def _run(self) -> None:
        try:
            while topics := self._next():
                try:
                    mouth = self._mouth or Mouth(self._open(), self._channel)
                    mouth.says(topics, waits=True)
                    self._mouth = mouth
                except (psycopg.Error, LongshoreError) as error:
                    _logger.info("a wake-up was lost: %s", error)
                    self._hush()
        finally:
            self._hush()

    def _hush(self) -> None:
        mouth, self._mouth = self._mouth, None
        if mouth is not None:
            mouth.close()

    def _next(self) -> set[str]:
        """The topics to send, none when it was closed."""
        with self._changed:
            while not self._closed:
                if not self._topics:
                    self._is_waiting = True
                    self._changed.wait_for(lambda: self._topics or self._closed)
                    self._is_waiting = False
                elif (pause := self._sent + _LATEST - self._monotonic()) > 0:
                    self._changed.wait_for(lambda: self._closed, pause)
                else:
                    break
            topics, self._topics, self._sent = self._topics, set(), self._monotonic()
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
            self._wake(_heard(connection))

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


def _heard(connection: Connection) -> set[str]:
    """The topics that came in by now."""
    server, topics = connection.pgconn, set()
    server.consume_input()
    while (notify := server.notifies()) is not None:
        topics.add(notify.extra.decode())
    return topics


def shortened(topic: str) -> str:
    """The topic as it is sent: a notification has a greatest length."""
    return topic if len(topic) <= 200 else f"{zlib.crc32(topic.encode()):08x}"
