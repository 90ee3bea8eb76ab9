"""Creating the tables of a namespace, and bringing older ones up to date.

A new store gets the tables as `Schema` draws them; an older one gets the steps it lacks, in order. Both come to the
same, which is tested. Each version says which is the oldest that can still read it: a process whose code is older
than the store goes on while its own version is not below that.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final, NamedTuple

from sqlalchemy import select
from sqlalchemy.schema import CreateIndex, CreateSequence, CreateTable

from longshore.errors import SchemaError
from longshore_sql.dialect import Dialect
from longshore_sql.schema import READABLE_FROM, VERSION, Schema
from longshore_sql.statements import Cursor, given


class Migration(NamedTuple):
    """What leads from the version before to this one."""

    version: int
    readable_from: int
    texts: Callable[[Schema, Dialect], Sequence[str]]


MIGRATIONS: Final[tuple[Migration, ...]] = ()
"""All that lead on from version 1. A migration is never changed once it was released."""


class Versions:
    """The version of a stored schema."""

    def __init__(self, schema: Schema, dialect: Dialect) -> None:
        self._schema = schema
        self._dialect = dialect
        meta = schema.meta
        self._read = dialect.compiled(select(meta.c.name, meta.c.value))
        self._write = dialect.compiled(dialect.replacing(meta).values(name=given("name"), value=given("value")))

    def check(self, cursor: Cursor) -> None:
        """Raises `SchemaError` where this code cannot work on the stored schema."""
        self.judge(dict(self._read.run(cursor).fetchall()))

    def is_current(self, cursor: Cursor) -> bool:
        """Whether the stored schema is just that of this code."""
        return dict(self._read.run(cursor).fetchall()).get("version") == VERSION

    def judge(self, found: Mapping[str, int]) -> None:
        """Raises `SchemaError` where this code cannot work on a schema of which this is stored."""
        version, readable_from = found.get("version", 0), found.get("readable_from", 0)
        if readable_from > VERSION:
            raise SchemaError(
                f"the tables {self._schema.namespace}_… are of version {version}, which needs Longshore's schema "
                f"{readable_from} or newer; this one has {VERSION}: update the longshore package"
            )
        if version < VERSION:
            raise SchemaError(
                f"the tables {self._schema.namespace}_… are of version {version}, expected {VERSION}: run migrate"
            )

    def create(self, cursor: Cursor) -> None:
        """Makes all tables and indexes at the present version."""
        tables = self._schema.metadata.sorted_tables
        indexes = [index for table in tables for index in sorted(table.indexes, key=lambda index: str(index.name))]
        sequences = [CreateSequence(self._schema.versions)] if self._dialect.locks_rows else []
        for text in self._dialect.script([*sequences, *map(CreateTable, tables), *map(CreateIndex, indexes)]):
            cursor.execute(text)
        self._store(cursor, version=VERSION, readable_from=READABLE_FROM, records=0)

    def upgrade(self, cursor: Cursor, migrations: Sequence[Migration] = MIGRATIONS) -> None:
        """Takes the steps that the stored schema lacks."""
        version = dict(self._read.run(cursor).fetchall())["version"]
        for migration in migrations:
            if migration.version > version:
                for text in migration.texts(self._schema, self._dialect):
                    cursor.execute(text)
                self._store(cursor, version=migration.version, readable_from=migration.readable_from)

    def _store(self, cursor: Cursor, **values: int) -> None:
        for name, value in values.items():
            self._write.run(cursor, name=name, value=value)
