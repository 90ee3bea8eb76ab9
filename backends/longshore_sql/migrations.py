"""Creating the tables of a namespace, and bringing older ones up to date.

A new store gets the tables as `Schema` draws them; an older one gets the steps it lacks, in order. Both come to the
same, which is tested. Each version says which is the oldest that can still read it: a process whose code is older
than the store goes on while its own version is not below that.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final, NamedTuple

from sqlalchemy import select
from sqlalchemy.schema import CreateIndex, CreateSequence

from longshore.errors import SchemaError
from longshore_sql.dialect import Dialect
from longshore_sql.schema import READABLE_FROM, VERSION, Schema
from longshore_sql.statements import Cursor, given


class Migration(NamedTuple):
    """What leads from the version before to this one: statements, or indexes that are new in `Schema`.

    Where many write at once, an index is built while they go on, and a process may die over it: so what builds indexes
    does nothing else. Statements are to be such as need the tables for a moment only: a column without a value of its
    own, an index that is left out.
    """

    version: int
    readable_from: int
    texts: Callable[[Schema, Dialect], Sequence[str]] | None = None
    indexes: Sequence[str] = ()


MIGRATIONS: Final[tuple[Migration, ...]] = ()
"""All that lead on from version 1. A migration is never changed once it was released."""


class Versions:
    """The version of a stored schema."""

    def __init__(
        self,
        schema: Schema,
        dialect: Dialect,
        *,
        version: int = VERSION,
        readable_from: int = READABLE_FROM,
        migrations: Sequence[Migration] = MIGRATIONS,
    ) -> None:
        self._schema = schema
        self._dialect = dialect
        self._version = version
        self._readable_from = readable_from
        self._migrations = migrations
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
        if readable_from > self._version:
            raise SchemaError(
                f"the tables {self._schema.namespace}_… are of version {version}, which needs Longshore's schema "
                f"{readable_from} or newer; this one has {self._version}: update the longshore package"
            )
        if version < self._version:
            raise SchemaError(
                f"the tables {self._schema.namespace}_… are of version {version}, expected {self._version}: run migrate"
            )

    def create(self, cursor: Cursor) -> None:
        """Makes all tables and indexes at the present version."""
        sequences = [CreateSequence(self._schema.versions)] if self._dialect.has_sequences else []
        tables = self._schema.metadata.sorted_tables
        for text in [*self._dialect.script(sequences), *self._dialect.definitions(tables)]:
            cursor.execute(text)
        self._store(cursor, version=self._version, readable_from=self._readable_from, records=0)

    def lacking(self, cursor: Cursor) -> list[Migration]:
        """The steps that the stored schema lacks."""
        version = dict(self._read.run(cursor).fetchall())["version"]
        return [migration for migration in self._migrations if migration.version > version]

    def upgrade(self, cursor: Cursor) -> None:
        """Takes all steps that the stored schema lacks, where nobody else can write meanwhile."""
        for migration in self.lacking(cursor):
            for text in self._dialect.script(CreateIndex(self._schema.index_named(name)) for name in migration.indexes):
                cursor.execute(text)
            self.record(cursor, migration)

    def record(self, cursor: Cursor, migration: Migration) -> None:
        """Executes the statements of a step, and stores that it was taken; its indexes are there."""
        for text in migration.texts(self._schema, self._dialect) if migration.texts else ():
            cursor.execute(text)
        self._store(cursor, version=migration.version, readable_from=migration.readable_from)

    def _store(self, cursor: Cursor, **values: int) -> None:
        for name, value in values.items():
            self._write.run(cursor, name=name, value=value)
