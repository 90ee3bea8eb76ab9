"""Connections to PostgreSQL of our own, in a pool."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final, NamedTuple

import psycopg
import sqlalchemy
from psycopg.rows import tuple_row
from sqlalchemy.pool import PoolProxiedConnection, QueuePool

from longshore.errors import Closed
from longshore_sql.postgres_cursor import PreparedCursor
from longshore_sql.postgres_options import Options
from longshore_sql.postgres_sources import (
    Connection,
    Lent,
    Source,
    checked,
    is_at_rest,
    is_through_a_pooler,
    opened,
    settings,
)

_CURSOR: Final = "longshore"
"""Under which name the pool keeps a connection's cursor with it."""
_ISOLATION: Final = {"default_transaction_isolation": "read committed"}
"""That of statements which are not within a transaction that says its own."""
_BROKEN: Final = (psycopg.OperationalError, psycopg.InterfaceError)


class _Line(NamedTuple):
    """A connection that was taken from the pool."""

    pooled: PoolProxiedConnection
    cursor: Lent
    taken: float


class PoolSource(Source):
    """Connections of our own in a pool. A child of fork opens new ones.

    The connection that was used last is kept at hand, as asking the pool for one takes as long as a short statement.
    """

    def __init__(self, options: Options) -> None:
        self._options = options
        self._process = os.getpid()
        self._abandoned: list[Any] = []
        self._closed = False
        self._lock = threading.Lock()
        self.target = options.target()
        own = {"lock_timeout": str(round(options.lock_timeout * 1_000)), **_ISOLATION}
        self._settings = f"SELECT {settings(lasting=True, **own)}"
        self._fresh()

    @contextmanager
    def lent(self) -> Iterator[Connection]:
        with self.cursor() as cursor:
            yield cursor.connection

    @contextmanager
    def cursor(self) -> Iterator[Lent]:
        line = self._taken()
        try:
            yield line.cursor
        except BaseException as error:
            if isinstance(error, _BROKEN) or not is_at_rest(line.cursor):
                line.pooled.invalidate(error)
            raise
        finally:
            self._give_back(line)

    def engine(self) -> sqlalchemy.Engine:
        if self._closed:
            raise Closed("the driver of this PostgreSQL was closed: connect again")
        if self._process != os.getpid():
            with self._lock:
                if self._process != os.getpid():
                    # The parent goes on with these: nothing may be sent on them, not even a farewell.
                    self._abandoned += [self._engine, self._at_hand]
                    self._fresh()
        return self._engine

    def opened(self) -> Connection:
        connection = opened(self._options.url or "")
        self.is_set_up = not is_through_a_pooler(connection)
        try:
            if self.is_set_up:
                connection.execute(self._settings)
        except BaseException:
            connection.close()
            raise
        return connection

    def close(self) -> None:
        self._closed = True
        if self._process == os.getpid():
            while (line := self._last_used()) is not None:
                line.pooled.close()
            self._engine.dispose()

    def _taken(self) -> _Line:
        engine = self.engine()
        while (line := self._last_used()) is not None:
            if not self._options.pool_recycle or time.monotonic() - line.taken < self._options.pool_recycle:
                return line
            line.pooled.close()
        pooled = engine.raw_connection()
        connection = checked(pooled.driver_connection)
        connection.autocommit = True  # Unless an application's transaction was on it last.
        if _CURSOR not in pooled.info:
            own = self.is_set_up
            pooled.info[_CURSOR] = PreparedCursor(connection) if own else connection.cursor(row_factory=tuple_row)
        return _Line(pooled, pooled.info[_CURSOR], time.monotonic())

    def _last_used(self) -> _Line | None:
        try:
            return self._at_hand.pop()
        except IndexError:
            return None  # There was none, or another thread was faster.

    def _give_back(self, line: _Line) -> None:
        # Never one for which somebody may be waiting: who waits is told by the pool alone.
        if line.pooled.is_valid and not self._at_hand and self._pool.checkedout() < self._options.pool_size:
            self._at_hand.append(line)
        else:
            line.pooled.close()
        if self._closed:
            # The pool was perhaps emptied before, and would forget it unclosed.
            line.cursor.connection.close()

    def _fresh(self) -> None:
        options = self._options
        self._process = os.getpid()
        self._at_hand: list[_Line] = []
        create: Any = self.opened
        self._pool = QueuePool(
            create, pool_size=options.pool_size, use_lifo=True, max_overflow=options.max_overflow,
            timeout=options.pool_timeout, recycle=int(options.pool_recycle) or -1, reset_on_return=None,
        )  # fmt: skip
        self._engine = sqlalchemy.create_engine("postgresql+psycopg://", pool=self._pool)
