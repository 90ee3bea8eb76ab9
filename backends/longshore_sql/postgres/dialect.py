"""What PostgreSQL says in its own way."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final

import psycopg.errors
from sqlalchemy import (
    BigInteger,
    ColumnElement,
    FromClause,
    Integer,
    Select,
    String,
    Table,
    Text,
    any_,
    bindparam,
    column,
    func,
    literal_column,
    select,
)
from sqlalchemy.dialects.postgresql import ARRAY, insert
from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg
from sqlalchemy.sql import Insert

from longshore_sql.dialect import Dialect
from longshore_sql.postgres.arrays import array_text
from longshore_sql.statements import given, parameter

_SMALLEST: Final[ColumnElement[int]] = literal_column(str(-(2**63)), BigInteger)
CLOCK: Final[ColumnElement[int]] = literal_column(
    "(extract(epoch FROM statement_timestamp()) * 1000000)::bigint", BigInteger
)
"""The time of the statement, not of the transaction."""


class PostgresDialect(Dialect):
    """Builds and compiles for PostgreSQL, whose writers lock rows and not the whole store."""

    locks_rows = True
    has_arrays = True
    has_sequences = True

    def __init__(self) -> None:
        dialect: Any = PGDialect_psycopg
        super().__init__(dialect(paramstyle="format"))

    @property
    def clash(self) -> tuple[type[Exception], ...]:
        return (psycopg.errors.UniqueViolation,)

    def inserting(self, table: Table) -> Insert:
        return insert(table).on_conflict_do_nothing()

    def replacing(self, table: Table) -> Insert:
        new = insert(table)
        rest = {column.name: new.excluded[column.name] for column in table.c if not column.primary_key}
        return new.on_conflict_do_update(index_elements=list(table.primary_key.columns), set_=rest)

    def listed(self, name: str) -> Select[Any]:
        return select(func.unnest(_texts(name)).column_valued("value"))

    def listing(self, values: Iterable[Any]) -> str:
        return array_text(values)

    def through(self, statement: Select[Any], table: Table, index: str) -> Select[Any]:
        # It knows no hints: the settings of our own connections leave the index as the cheapest way.
        return statement

    def unindexed(self, column: ColumnElement[Any]) -> ColumnElement[Any]:
        # A planner sees through sums: from those it would know that the column is not null, and read a partial index.
        never = literal_column("''", Text) if isinstance(column.type, String) else _SMALLEST
        return func.nullif(column, never, type_=column.type)

    def unforeseen(self, value: int) -> ColumnElement[int]:
        return select(literal_column(str(int(value)), Integer)).scalar_subquery()

    def passing_over(self, statement: Select[Any]) -> Select[Any]:
        return statement.with_for_update(skip_locked=True)

    def locking(self, statement: Select[Any]) -> Select[Any]:
        return statement.with_for_update()

    def arrays(self, columns: Sequence[ColumnElement[Any]]) -> FromClause:
        given_arrays = [bindparam(parameter(str(one.key)), type_=ARRAY(one.type)) for one in columns]
        named = [column(str(one.key), one.type) for one in columns]
        rows = func.unnest(*given_arrays).table_valued(*named, with_ordinality="place", name="given")
        return rows.render_derived()

    def among(self, column: ColumnElement[Any], name: str) -> ColumnElement[bool]:
        return column == any_(bindparam(parameter(name), type_=ARRAY(column.type)))

    def equals(self, column: ColumnElement[Any], name: str) -> ColumnElement[bool]:
        return column == given(name)


def _texts(name: str) -> ColumnElement[Any]:
    return bindparam(parameter(name), type_=ARRAY(Text))
