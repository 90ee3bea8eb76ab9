"""Creating the tables on PostgreSQL, and bringing older ones up to date while others work with them.

One process at a time takes the steps; each is committed by itself, so a process that dies leaves a store that the next
one goes on with. A lock, held until the end of a transaction, says who it is. Nobody waits for it within a transaction:
an index that is built while others write waits until all transactions have ended that may see the table without it.
"""

from __future__ import annotations

import threading
import time
from typing import Any, Final

import psycopg
from psycopg.rows import tuple_row
from sqlalchemy.schema import CreateIndex, CreateSchema

from longshore.errors import Unavailable
from longshore_sql.dialect import Dialect
from longshore_sql.migrations import Migration, Versions
from longshore_sql.postgres.sources import Source
from longshore_sql.schema import Schema

Connection = psycopg.Connection[Any]
Cursor = psycopg.Cursor[Any]

_AGAIN: Final = 0.05
"""Seconds until who waits for another process asks whether it is done."""


class Migrating:
    """Creates and upgrades the tables of one namespace.

    Args:
        name: of the lock.
        patience: seconds to wait for another process.
    """

    def __init__(
        self, source: Source, schema: Schema, dialect: Dialect, versions: Versions, name: str, patience: float
    ) -> None:
        self._source = source
        self._schema = schema
        self._dialect = dialect
        self._versions = versions
        self._name = name
        self._patience = patience

    def migrate(self) -> None:
        """Takes the steps that lack.

        Raises:
            Unavailable: another process has not ended its own within the patience, or a table could not be locked.
        """
        ends, pause = time.monotonic() + self._patience, threading.Event()
        with self._source.lent() as connection:
            while not self._is_current(connection):
                if self._takes_a_step(connection):
                    ends = time.monotonic() + self._patience
                elif time.monotonic() < ends:
                    pause.wait(_AGAIN)
                else:
                    message = "another process has been changing the tables for longer than lock_timeout"
                    raise Unavailable(f"{message}; nothing was done", unknown=False)

    def _is_current(self, connection: Connection) -> bool:
        """Whether nothing is to be done, and so nobody to be waited for."""
        cursor = connection.cursor(row_factory=tuple_row)
        if not self._exists(cursor) or self._versions.lacking(cursor):
            return False
        self._versions.check(cursor)
        return True

    def _exists(self, cursor: Cursor) -> bool:
        # Who locks a table is told what others have made since his transaction began; a look at names alone locks none.
        cursor.execute("SELECT to_regclass(%s) FROM pg_class LIMIT 1", (self._dialect.name(self._schema.meta),))
        return cursor.fetchall() != [(None,)]

    def _takes_a_step(self, connection: Connection) -> bool:
        """Takes one, all or nothing; False where another process is at it."""
        with connection.transaction():
            cursor = connection.cursor(row_factory=tuple_row)
            cursor.execute("SELECT pg_try_advisory_xact_lock(hashtext(%s))", (self._name,))
            if cursor.fetchall() == [(False,)]:
                return False
            if self._schema.metadata.schema is not None:
                for text in self._dialect.script([CreateSchema(self._schema.metadata.schema, if_not_exists=True)]):
                    cursor.execute(text)
            if not self._exists(cursor):
                self._versions.create(cursor)
            elif lacking := self._versions.lacking(cursor):
                self._take(cursor, lacking[0])
            return True

    def _take(self, cursor: Cursor, migration: Migration) -> None:
        for name in migration.indexes:
            self._build(name)
        self._versions.record(cursor, migration)

    def _build(self, name: str) -> None:
        """Builds an index on a connection of its own while others go on writing, however long that takes."""
        index = self._schema.index_named(name)
        (text,) = self._dialect.script([CreateIndex(index, if_not_exists=True)])
        connection = self._source.opened()
        try:
            patience = connection.execute("SHOW lock_timeout").fetchall()[0][0]
            connection.execute("SET lock_timeout = 0")
            if self._is_unfinished(connection, str(index.name)):
                connection.execute(f"DROP INDEX CONCURRENTLY {self._qualified(str(index.name))}")
            connection.execute(text.replace("INDEX", "INDEX CONCURRENTLY", 1))
            connection.execute("SELECT set_config('lock_timeout', %s, false)", (patience,))
        finally:
            connection.close()

    def _is_unfinished(self, connection: Connection, name: str) -> bool:
        """Whether somebody died who built it."""
        found = "SELECT 1 FROM pg_index WHERE indexrelid = to_regclass(%s) AND NOT indisvalid"
        return connection.execute(found, (self._qualified(name),)).fetchone() is not None

    def _qualified(self, name: str) -> str:
        table = self._dialect.name(self._schema.job)
        return table.replace(str(self._schema.job.name), name)
