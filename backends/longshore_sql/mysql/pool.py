"""Connections to MariaDB of our own, in a pool."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import sqlalchemy
from sqlalchemy.pool import PoolProxiedConnection

from longshore_sql.mysql.cursor import WritingCursor
from longshore_sql.mysql.errors import is_broken
from longshore_sql.mysql.options import Options
from longshore_sql.mysql.sources import Connection, Source, opened, rolled_back
from longshore_sql.own_pool import OwnPool

_CURSOR: Final = "longshore"
"""Under which name the pool keeps a connection's cursor with it."""
_SETTINGS: Final = (
    "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED; "
    "SET SESSION innodb_lock_wait_timeout = {wait}, sql_mode = 'STRICT_TRANS_TABLES,NO_ENGINE_SUBSTITUTION' "
    # A long list of ids would else become a table of its own, which is then joined by whatever way looks cheap.
    # And what is asked of one row at a time would be gathered for all that there are.
    "/*M!100203 , in_predicate_conversion_threshold = 0, optimizer_switch = 'exists_to_in=off' */"
)


class PoolSource(OwnPool[WritingCursor], Source):
    """Connections of our own in a pool. A child of fork opens new ones."""

    is_ours = True

    def __init__(self, options: Options) -> None:
        self._arguments = options.arguments()
        self._settings = _SETTINGS.format(wait=max(1, round(options.lock_timeout)))
        self._engine: sqlalchemy.Engine | None = None
        self.target = options.target()
        super().__init__("MariaDB", options)

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
        pool = self._own()
        with self._lock:
            if self._engine is None or self._engine.pool is not pool:
                # One for each pool: what an engine hears of its pool's connections it hears as long as that lives.
                self._engine = sqlalchemy.create_engine("mysql+pymysql://", pool=pool)
            return self._engine

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

    def _ready(self, pooled: PoolProxiedConnection) -> WritingCursor:
        if _CURSOR not in pooled.info:
            connection: Connection = pooled.driver_connection
            pooled.info[_CURSOR] = WritingCursor(connection)
        cursor: WritingCursor = pooled.info[_CURSOR]
        return cursor
