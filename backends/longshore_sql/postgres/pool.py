"""Connections to PostgreSQL of our own, in a pool."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import psycopg
import sqlalchemy
from psycopg.rows import tuple_row
from sqlalchemy.pool import PoolProxiedConnection

from longshore_sql.own_pool import Line, OwnPool
from longshore_sql.postgres.cursor import PreparedCursor
from longshore_sql.postgres.options import Options
from longshore_sql.postgres.sources import (
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


class PoolSource(OwnPool[Lent], Source):
    """Connections of our own in a pool. A child of fork opens new ones."""

    def __init__(self, options: Options) -> None:
        self._url = options.url or ""
        self.target = options.target()
        own = {"lock_timeout": str(round(options.lock_timeout * 1_000)), **_ISOLATION}
        self._settings = f"SELECT {settings(lasting=True, **own)}"
        super().__init__("PostgreSQL", options)

    @contextmanager
    def lent(self) -> Iterator[Connection]:
        with self.cursor() as cursor:
            if isinstance(cursor, PreparedCursor):
                cursor.settle()
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
        self._own()
        return self._engine

    def opened(self) -> Connection:
        connection = opened(self._url)
        self.is_set_up = not is_through_a_pooler(connection)
        try:
            if self.is_set_up:
                connection.execute(self._settings)
        except BaseException:
            connection.close()
            raise
        return connection

    def _ready(self, pooled: PoolProxiedConnection) -> Lent:
        connection = checked(pooled.driver_connection)
        connection.autocommit = True  # Unless an application's transaction was on it last.
        if _CURSOR not in pooled.info:
            own = self.is_set_up
            pooled.info[_CURSOR] = PreparedCursor(connection) if own else connection.cursor(row_factory=tuple_row)
        cursor: Lent = pooled.info[_CURSOR]
        return cursor

    def _put_away(self, line: Line[Lent]) -> None:
        if line.pooled.is_valid and isinstance(line.cursor, PreparedCursor):
            try:
                line.cursor.settle()
            except psycopg.Error as error:
                line.pooled.invalidate(error)
        super()._put_away(line)

    def _begin(self) -> None:
        super()._begin()
        self._engine = sqlalchemy.create_engine("postgresql+psycopg://", pool=self._pool)
