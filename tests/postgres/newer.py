"""Code that is newer than the one that is tested: what the next versions of the tables could be like."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from sqlalchemy import Column, Index, Text

from longshore_sql.migrations import Migration, Versions
from longshore_sql.postgres.driver import PostgresDriver
from longshore_sql.schema import READABLE_FROM, VERSION, Schema

MIGRATIONS: Final = (
    Migration(
        VERSION + 1, READABLE_FROM, lambda schema, dialect: [f"ALTER TABLE {dialect.name(schema.job)} ADD colour TEXT"]
    ),
    Migration(VERSION + 2, READABLE_FROM, indexes=["coloured"]),
)


def newer(
    connect: Callable[..., PostgresDriver], namespace: str, *, steps: int = len(MIGRATIONS), **options: object
) -> PostgresDriver:
    """A connection of code whose tables have a column and an index more, and that older code can still read."""
    driver = connect(**options)
    schema = Schema(namespace, numbered=False)
    schema.job.append_column(Column("colour", Text))
    Index(schema.index("coloured"), schema.job.c.colour)
    driver._schema = schema
    driver._versions = Versions(
        schema, driver._dialect, version=VERSION + steps, readable_from=READABLE_FROM, migrations=MIGRATIONS[:steps]
    )
    return driver
