"""What SQLite says in its own way."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from msgspec import json
from sqlalchemy import FromClause, Select, Table, column, func, select
from sqlalchemy import values as rows_of
from sqlalchemy.dialects.sqlite import insert
from sqlalchemy.dialects.sqlite.base import SQLiteCompiler
from sqlalchemy.dialects.sqlite.pysqlite import SQLiteDialect_pysqlite
from sqlalchemy.sql import Insert

from longshore_sql.dialect import Dialect, cell
from longshore_sql.statements import given


class _Compiler(SQLiteCompiler):
    """Writes hints down, which SQLAlchemy's own compiler leaves out on SQLite."""

    def get_from_hint_text(self, table: Any, text: str | None) -> str | None:
        return text


class SQLiteDialect(Dialect):
    """Builds and compiles for SQLite."""

    def __init__(self) -> None:
        dialect = SQLiteDialect_pysqlite()
        dialect.statement_compiler = _Compiler
        super().__init__(dialect)

    def inserting(self, table: Table) -> Insert:
        return insert(table).on_conflict_do_nothing()

    def replacing(self, table: Table) -> Insert:
        new = insert(table)
        rest = {column.name: new.excluded[column.name] for column in table.c if not column.primary_key}
        return new.on_conflict_do_update(index_elements=list(table.primary_key.columns), set_=rest)

    def listed(self, name: str) -> Select[Any]:
        return select(func.json_each(given(name)).table_valued("value").c.value)

    def listing(self, values: Iterable[Any]) -> str:
        return json.encode(list(values)).decode()

    def table(self, names: Sequence[str], rows: int) -> FromClause:
        cells = [tuple(given(cell(name, row)) for name in names) for row in range(rows)]
        # Nested, because Python's sqlite3 counts no rows of a statement that begins with WITH.
        named = rows_of(*map(column, names)).data(cells).cte("rows", nesting=True)
        return select(named).subquery("given")

    def through(self, statement: Select[Any], table: Table, index: str) -> Select[Any]:
        return statement.with_hint(table, f"INDEXED BY {index}")
