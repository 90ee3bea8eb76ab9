"""Wake-ups for what is stored in an application's own transaction.

A notification inside a transaction takes part in its commit, and all commits of a database that notify go one after
the other. So nothing is said there: the transaction's number is noted, and a thread with a connection of its own asks
now and then which of those that were noted are committed, and wakes then. A process that dies before has woken nobody;
those who would have been look from time to time in any case.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final

import psycopg
from psycopg.rows import tuple_row

from longshore.errors import LongshoreError

Connection = psycopg.Connection[Any]

NUMBER: Final = "SELECT pg_current_xact_id()::text"
"""Tells a transaction from all others."""
_ENDED: Final = """
SELECT number, pg_xact_status(number::xid8) = 'committed' FROM unnest(%s::text[]) AS number
WHERE pg_xact_status(number::xid8) IS DISTINCT FROM 'in progress'
"""
FIRST_PAUSE: Final = 0.002
LONGEST_PAUSE: Final = 0.5
_LONGER: Final = 1.3
"""How much longer each pause is than the last while no further transaction is noted: a tenth of a second after it was
noted a transaction is asked for every 25 ms, after two seconds twice a second."""
_logger: Final = logging.getLogger("longshore.postgres")


class Commits:
    """The application's transactions in which something was stored, until they end."""

    def __init__(self, opened: Callable[[], Connection], wake: Callable[[Sequence[str]], None]) -> None:
        self._open = opened
        self._wake = wake
        self._fresh()

    def _fresh(self) -> None:
        self._process = os.getpid()
        self._changed = threading.Condition()
        self._noted: dict[str, set[str]] = {}
        self._is_more = False
        self._pause = FIRST_PAUSE
        self._closed = False
        self._thread: threading.Thread | None = None

    def note(self, number: str, topics: Iterable[str]) -> None:
        """Wakes the topics soon after the transaction is committed."""
        if self._process != os.getpid():
            self._fresh()
        with self._changed:
            self._noted.setdefault(number, set()).update(topics)
            self._is_more = True
            if self._thread is None and not self._closed:
                self._thread = threading.Thread(target=self._run, name="longshore-commits", daemon=True)
                self._thread.start()
            self._changed.notify()

    def close(self) -> None:
        """Ends; of transactions that are still open nobody hears."""
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
            while numbers := self._next():
                try:
                    connection = connection or self._open()
                    self._tell(numbers, connection)
                except (psycopg.Error, LongshoreError) as error:
                    _logger.info("it cannot be seen which transactions are committed: %s", error)
                    if connection is not None:
                        connection.close()
                    connection = None
        finally:
            if connection is not None:
                connection.close()

    def _next(self) -> list[str]:
        """The transactions to ask for, after a pause that grows while there are no further ones; none when closed."""
        with self._changed:
            self._changed.wait_for(lambda: self._noted or self._closed)
            if self._is_more:
                self._pause, self._is_more = FIRST_PAUSE, False
            self._changed.wait_for(lambda: self._is_more or self._closed, self._pause)
            self._pause = min(self._pause * _LONGER, LONGEST_PAUSE)
            return [] if self._closed else list(self._noted)

    def _tell(self, numbers: list[str], connection: Connection) -> None:
        ended = connection.cursor(row_factory=tuple_row).execute(_ENDED, (numbers,)).fetchall()
        for number, is_committed in ended:
            if is_committed:
                self._wake(sorted(self._noted[number]))
            with self._changed:
                del self._noted[number]
                self._changed.notify_all()
