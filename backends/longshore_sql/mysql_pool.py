"""Connections to MariaDB of our own, in a pool."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, Final, NamedTuple

import sqlalchemy
from sqlalchemy.pool import PoolProxiedConnection, QueuePool

from longshore.errors import Closed
from longshore_sql.mysql_cursor import WritingCursor
from longshore_sql.mysql_errors import is_broken
from longshore_sql.mysql_options import Options
from longshore_sql.mysql_sources import Connection, Source, opened, rolled_back

_CURSOR: Final = "longshore"
"""Under which name the pool keeps a connection's cursor with it."""
_SETTINGS: Final = (
    "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED; "
    "SET SESSION innodb_lock_wait_timeout = {wait}, sql_mode = 'STRICT_TRANS_TABLES,NO_ENGINE_SUBSTITUTION' "
    # A long list of ids would else become a table of its own, which is then joined by whatever way looks cheap.
    # And what is asked of one row at a time would be gathered for all that there are.
    "/*M!100203 , in_predicate_conversion_threshold = 0, optimizer_switch = 'exists_to_in=off' */"
)


class _Line(NamedTuple):
    """A connection that was taken from the pool."""

    pooled: PoolProxiedConnection
    cursor: WritingCursor
    taken: float


class PoolSource(Source):
    """Connections of our own in a pool. A child of fork opens new ones.

    The connection that was used last is kept at hand, as asking the pool for one takes as long as a short statement.
    """

    is_ours = True

    def __init__(self, options: Options) -> None:
        self._options = options
        self._arguments = options.arguments()
        self._settings = _SETTINGS.format(wait=max(1, round(options.lock_timeout)))
        self._process = os.getpid()
        self._abandoned: list[Any] = []
        self._closed = False
        self._lock = threading.Lock()
        self.target = options.target()
        self._fresh()

    @contextmanager
    def lent(self) -> Iterator[Connection]:
        with self.cursor() as cursor:
            yield cursor.connection

    @contextmanager
    def cursor(self) -> Iterator[WritingCursor]:
        line = self._taken()
        try:
            yield line.cursor
        except BaseException as error:
            line.cursor.forget()
            if is_broken(error) or not rolled_back(line.pooled.driver_connection):
                # The others were most likely broken by the same.
                line.pooled.invalidate()
                self._emptied()
            raise
        finally:
            self._give_back(line)

    def engine(self) -> sqlalchemy.Engine:
        return sqlalchemy.create_engine("mysql+pymysql://", pool=self._own())

    def opened(self) -> Connection:
        connection = opened(self._arguments)
        try:
            cursor = connection.cursor()
            cursor.execute(self._settings)
            cursor.nextset()
        except BaseException:
            connection.close()
            raise
        return connection

    def close(self) -> None:
        self._closed = True
        if self._process == os.getpid():
            self._emptied()

    def _own(self) -> QueuePool:
        if self._closed:
            raise Closed("the driver of this MariaDB was closed: connect again")
        if self._process != os.getpid():
            with self._lock:
                if self._process != os.getpid():
                    # The parent goes on with these: nothing may be sent on them, not even a farewell.
                    self._abandoned += [self._pool, self._at_hand]
                    self._fresh()
        return self._pool

    def _taken(self) -> _Line:
        pool = self._own()
        while (line := self._from_hand()) is not None:
            if not self._options.pool_recycle or time.monotonic() - line.taken < self._options.pool_recycle:
                return line
            line.pooled.close()
        pooled = pool.connect()
        if _CURSOR not in pooled.info:
            connection: Connection = pooled.driver_connection
            pooled.info[_CURSOR] = WritingCursor(connection)
        return _Line(pooled, pooled.info[_CURSOR], time.monotonic())

    def _from_hand(self) -> _Line | None:
        with suppress(IndexError):  # Another thread may have been faster.
            return self._at_hand.pop()
        return None

    def _give_back(self, line: _Line) -> None:
        # Never one for which somebody may be waiting: who waits is told by the pool alone.
        if line.pooled.is_valid and not self._at_hand and self._pool.checkedout() < self._options.pool_size:
            self._at_hand.append(line)
        else:
            line.pooled.close()
        if self._closed:
            self._emptied()  # Perhaps it was, before.

    def _emptied(self) -> None:
        while (line := self._from_hand()) is not None:
            line.pooled.close()
        self._pool.dispose()

    def _fresh(self) -> None:
        options = self._options
        self._process = os.getpid()
        self._at_hand: list[_Line] = []
        self._pool = QueuePool(
            self.opened, pool_size=options.pool_size, max_overflow=options.max_overflow, timeout=options.pool_timeout,
            recycle=int(options.pool_recycle) or -1, use_lifo=True, reset_on_return=None,
        )  # fmt: skip
