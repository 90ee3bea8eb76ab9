"""Wake-ups where a database cannot call: who listens sleeps in the server, and who wakes interrupts that sleep.

A process that listens has one connection on which it asks the server to sleep, again and again. In a table in the
server's memory stands who listens to what, and whether he was rung. Who wakes rings there and then interrupts those who
sleep; whoever was rung and did not see it yet, since he was just between two sleeps, is interrupted once more.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final

from longshore.contract import Sleeper
from longshore.errors import LongshoreError
from longshore_sql.mysql.dialect import errors
from longshore_sql.mysql.errors import INTERRUPTED, NO_SUCH_THREAD, code_of
from longshore_sql.mysql.sources import cursor_of

Connection = Any

SLEEP: Final = 4
"""Seconds of one sleep in the server: as late as that comes what nobody could interrupt it for."""
_APART: Final = 0.005
"""Seconds between two rounds of ringing: what comes meanwhile goes with the later one."""
_UNHEARD: Final = 0.02
"""The same where nobody listened: who enqueues one job after the other need not be told so each time."""
_ROUNDS: Final = 100
"""How often somebody who was rung is interrupted before it is left to the end of his sleep."""
_FORGOTTEN: Final = 60
"""Seconds after which a line of who did not wake up once is removed: he died."""
_RETRY: Final = 1.0
_LONGEST: Final = 255
_logger: Final = logging.getLogger("longshore.mysql")


class Board:
    """The table of who listens, as statements."""

    def __init__(self, name: str) -> None:
        self.create = (
            f"CREATE TABLE IF NOT EXISTS {name} (listener BIGINT UNSIGNED NOT NULL, "
            f"topic VARCHAR({_LONGEST}) NOT NULL, rung TINYINT NOT NULL DEFAULT 0, seen BIGINT NOT NULL, "
            "PRIMARY KEY (listener, topic), KEY (topic), KEY (listener)) "
            "ENGINE=MEMORY CHARACTER SET utf8mb4 COLLATE utf8mb4_bin"
        )
        seconds = "UNIX_TIMESTAMP()"
        self.enter = (
            f"INSERT INTO {name} (listener, topic, seen) VALUES (%s, %s, {seconds}) ON DUPLICATE KEY UPDATE rung = 0"
        )
        self.leave = f"DELETE FROM {name} WHERE listener = %s AND topic IN %s"
        self.forget = f"DELETE FROM {name} WHERE seen < {seconds} - {_FORGOTTEN}"
        self.strike = f"DELETE FROM {name} WHERE listener = %s"
        self.ring = f"UPDATE {name} SET rung = 1 WHERE topic IN %s"
        self.rung = f"SELECT DISTINCT listener FROM {name} WHERE rung = 1"
        self.heard = f"SELECT topic FROM {name} WHERE listener = %s AND rung = 1"
        self.answer = f"UPDATE {name} SET rung = 0, seen = {seconds} WHERE listener = %s AND topic IN %s"
        self.stay = f"UPDATE {name} SET seen = {seconds} WHERE listener = %s"


class Bell:
    """Rings for topics, those that come close together at once, in a thread of its own."""

    def __init__(self, opened: Callable[[], Connection], board: Board, committed: CommitWatch) -> None:
        self._open = opened
        self._board = board
        self._watch = committed
        self._closed = False
        self._fresh()

    def _fresh(self) -> None:
        self._process = os.getpid()
        self._changed = threading.Condition()
        self._topics: set[str] = set()
        self._thread: threading.Thread | None = None

    def ring(self, topics: Iterable[str]) -> None:
        """Rings soon."""
        with self._begun():
            self._topics.update(map(shortened, topics))
            self._changed.notify()

    def ring_when_committed(self, identity: str, topics: Iterable[str]) -> None:
        """Rings as soon as the row of a job, stored by an open transaction, is committed."""
        with self._begun():
            self._watch.add(identity, map(shortened, topics))
            self._changed.notify()

    def close(self) -> None:
        """Rings for what is left, and ends."""
        if self._process != os.getpid():
            return
        with self._changed:
            self._closed = True
            self._changed.notify()
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    def _begun(self) -> threading.Condition:
        if self._process != os.getpid():
            self._watch.clear()
            self._fresh()
        with self._changed:
            if self._thread is None and not self._closed:
                self._thread = threading.Thread(target=self._run, name="longshore-ring", daemon=True)
                self._thread.start()
        return self._changed

    def _run(self) -> None:
        connection: Connection | None = None
        try:
            while (topics := self._next()) is not None:
                try:
                    connection = connection or self._open()
                    self._round(cursor_of(connection), topics)
                except failures() as error:
                    _logger.info("a wake-up was lost: %s", error)
                    self._watch.clear()
                    if connection is not None:
                        connection.close()
                    connection = None
        finally:
            if connection is not None:
                connection.close()

    def _next(self) -> set[str] | None:
        """The topics to ring for, perhaps none while commits are awaited; None when it was closed."""
        with self._changed:
            while not (self._topics or self._closed):
                if not self._changed.wait(self._watch.patience()) and self._watch.patience() is not None:
                    break
            if self._closed and not self._topics:
                return None
            topics, self._topics = self._topics, set()
            return topics

    def _round(self, cursor: Any, topics: set[str]) -> None:
        topics = topics | self._watch.committed(cursor)
        if not topics:
            return
        cursor.execute(self._board.ring, [sorted(topics)])
        if not cursor.rowcount:
            time.sleep(_UNHEARD)
            return
        for _ in range(_ROUNDS):
            cursor.execute(self._board.rung, ())
            listeners = [listener for (listener,) in cursor.fetchall()]
            if not listeners:
                return
            for listener in listeners:
                interrupt(cursor, listener, self._board)
            time.sleep(_APART)


class CommitWatch:
    """Jobs that an open transaction of the application has stored: whose row is seen by others is committed."""

    def __init__(self, table: str) -> None:
        self._seen = f"SELECT id FROM {table} WHERE id IN %s"
        self._awaited: dict[str, set[str]] = {}
        self._pause = _APART

    def add(self, identity: str, topics: Iterable[str]) -> None:
        """From now on, this one too."""
        self._awaited[identity] = set(topics)
        self._pause = _APART

    def clear(self) -> None:
        """Awaits nothing any more."""
        self._awaited.clear()

    def patience(self) -> float | None:
        """Seconds until the next look; None where nothing is awaited."""
        return self._pause if self._awaited else None

    def committed(self, cursor: Any) -> set[str]:
        """The topics of those that are committed by now; what was rolled back is forgotten."""
        asked = tuple(self._awaited)
        if not asked:
            return set()
        self._pause = min(2 * self._pause, 0.25)
        found = self._found(cursor, asked)
        if len(found) < len(asked):
            cursor.execute("SET TRANSACTION ISOLATION LEVEL READ UNCOMMITTED")
            for identity in set(asked) - self._found(cursor, asked):
                self._awaited.pop(identity, None)
        return set().union(*(self._awaited.pop(identity, set()) for identity in found))

    def _found(self, cursor: Any, asked: Sequence[str]) -> set[str]:
        cursor.execute(self._seen, [asked])
        return {identity for (identity,) in cursor.fetchall()}


class Ears:
    """The listeners of a process, and the connection that sleeps for them."""

    def __init__(self, opened: Callable[[], Connection], board: Board) -> None:
        self._open = opened
        self._board = board
        self._fresh()

    def _fresh(self) -> None:
        self._process = os.getpid()
        self._lock = threading.Lock()
        self._listeners: set[EarListener] = set()
        self._topics: Counter[str] = Counter()
        self._thread: threading.Thread | None = None
        self._desk: Connection | None = None
        self._identity: int | None = None
        self._closed = threading.Event()

    def listen(self, topics: Sequence[str]) -> EarListener:
        """Listens from now on."""
        if self._process != os.getpid():
            self._fresh()
        listener = EarListener(self, topics)
        with self._lock:
            if self._thread is None:
                connection = self._open()
                self._identity = connection.thread_id()
                self._note((self._board.forget, ()))
                self._thread = threading.Thread(
                    target=self._run, args=(connection,), name="longshore-listen", daemon=True
                )
                self._thread.start()
            self._enter(topic for topic in listener.topics if not self._topics[topic])
            self._topics.update(listener.topics)
            self._listeners.add(listener)
        return listener

    def remove(self, listener: EarListener) -> None:
        """Wakes it no more."""
        if self._process != os.getpid():
            return
        with self._lock:
            if listener not in self._listeners:
                return
            self._listeners.discard(listener)
            self._topics.subtract(listener.topics)
            left = [topic for topic in listener.topics if not self._topics[topic]]
            if left and self._identity is not None and not self._closed.is_set():
                self._note((self._board.leave, (self._identity, left)))

    def close(self) -> None:
        """Ends listening; whoever waits returns."""
        if self._process != os.getpid() or self._thread is None:
            return
        self._closed.set()
        for listener in tuple(self._listeners):
            listener.close()
        with self._lock:
            if self._identity is not None:
                self._note((self._board.strike, (self._identity,)), (f"KILL QUERY {self._identity}", ()))
        self._thread.join()
        self._thread = None
        if self._desk is not None:
            self._desk.close()

    def _enter(self, topics: Iterable[str]) -> None:
        identity = self._identity
        if identity is not None:
            self._note(*((self._board.enter, (identity, topic)) for topic in topics))

    def _note(self, *statements: tuple[str, Sequence[Any]]) -> None:
        """Executes on the connection beside the one that sleeps; what fails comes right when that is made anew."""
        try:
            for text, values in statements:
                self._desk = self._desk or self._open()
                cursor_of(self._desk).execute(text, values)
        except failures() as error:
            _logger.info("who listens could not be noted: %s", error)
            if self._desk is not None:
                self._desk.close()
            self._desk = None

    def _run(self, connection: Connection) -> None:
        heard: Connection | None = connection
        while heard is not None:
            try:
                self._hear(heard)
            except errors("Error") as error:
                _logger.info("listening was cut: %s", error)
            finally:
                heard.close()
            heard = self._again()
            # What was said meanwhile was not heard.
            self._ring(None)

    def _again(self) -> Connection | None:
        while not self._closed.is_set():
            try:
                with self._lock:
                    connection = self._open()
                    self._identity = connection.thread_id()
                    self._enter(topic for topic, number in self._topics.items() if number)
                return connection
            except failures():
                self._closed.wait(_RETRY)
        return None

    def _hear(self, connection: Connection) -> None:
        cursor = cursor_of(connection)
        identity = self._identity
        while not self._closed.is_set():
            _slept(cursor)
            try:
                cursor.execute(self._board.heard, (identity,))
                topics = [topic for (topic,) in cursor.fetchall()]
                if topics:
                    cursor.execute(self._board.answer, (identity, topics))
                else:
                    cursor.execute(self._board.stay, (identity,))
            except errors("Error") as error:
                if code_of(error) not in INTERRUPTED:
                    raise
                continue  # Rung once more, and still to be answered.
            self._ring(set(topics))

    def _ring(self, topics: set[str] | None) -> None:
        with self._lock:
            listeners = tuple(self._listeners)
        for listener in listeners:
            if topics is None or not listener.topics.isdisjoint(topics):
                listener.ring()


class EarListener(Sleeper):
    """Waits until one of its topics is rung for."""

    def __init__(self, ears: Ears, topics: Sequence[str]) -> None:
        super().__init__()
        self.topics = frozenset(map(shortened, topics))
        self._ears = ears

    def close(self) -> None:
        """Stops listening; whoever waits returns."""
        self._ears.remove(self)
        super().close()


def failures() -> tuple[type[Exception], ...]:
    """What shows that the server cannot be asked now."""
    return (*errors("Error"), LongshoreError)


def interrupt(cursor: Any, listener: int, board: Board) -> None:
    """Ends a sleep; who is not there any more is struck off the board."""
    try:
        cursor.execute(f"KILL QUERY {int(listener)}", ())
    except errors("Error") as error:
        if code_of(error) != NO_SUCH_THREAD:
            raise
        cursor.execute(board.strike, (listener,))


def shortened(topic: str) -> str:
    """The topic as it stands on the board; those that are long may share one."""
    return topic[:_LONGEST]


def _slept(cursor: Any) -> None:
    try:
        cursor.execute(f"SELECT SLEEP({SLEEP})", ())
    except errors("Error") as error:
        if code_of(error) not in INTERRUPTED:
            raise
