"""What MariaDB and MySQL say in their own way."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from typing import Any, Final

from sqlalchemy import ColumnElement, FromClause, Select, Table, func, select, union_all
from sqlalchemy.dialects.mysql import insert
from sqlalchemy.dialects.mysql.mariadb import loader
from sqlalchemy.dialects.mysql.pymysql import MySQLDialect_pymysql
from sqlalchemy.schema import CreateIndex, CreateTable
from sqlalchemy.sql import Insert

from longshore_sql.dialect import Dialect, cell, indexes_of
from longshore_sql.schema import constant
from longshore_sql.statements import given

_LIBRARIES: Final = ("pymysql", "MySQLdb", "asyncmy.errors")
_ALL: Final = constant(2**62)
_NOBODY: Final = ("",)
"""What stands for an empty list, which these databases have no word for: no text is empty, and no number is."""


def errors(name: str) -> tuple[type[Exception], ...]:
    """The exceptions of this name of all client libraries that are loaded: an application may use another than ours."""
    return tuple(getattr(sys.modules[library], name) for library in _LIBRARIES if library in sys.modules)


class MySQLDialect(Dialect):
    """Builds and compiles for MariaDB or MySQL, whose writers lock rows and not the whole store."""

    locks_rows = True
    repeats_rows = True

    def __init__(self, *, is_mariadb: bool = True) -> None:
        dialect: Any = loader("pymysql") if is_mariadb else MySQLDialect_pymysql
        super().__init__(dialect(paramstyle="format"))

    @property
    def clash(self) -> tuple[type[Exception], ...]:
        return errors("IntegrityError")

    def definitions(self, tables: Sequence[Table]) -> list[str]:
        # With its indexes in it, a table is made at once; each that is added later would build it anew.
        return [self._definition(table) for table in tables]

    def _definition(self, table: Table) -> str:
        whole, *indexes = self.script([CreateTable(table), *map(CreateIndex, indexes_of(table))])
        inside, _, options = whole.rpartition("\n)")
        parts = [text.removeprefix("CREATE ").replace(f" ON {self.name(table)} ", " ") for text in indexes]
        return ",\n\t".join([inside.rstrip(), *parts]) + f"\n){options}"

    def inserting(self, table: Table) -> Insert:
        same = next(iter(table.primary_key.columns))
        return insert(table).on_duplicate_key_update({same.name: same})

    def replacing(self, table: Table) -> Insert:
        new = insert(table)
        return new.on_duplicate_key_update({one.name: new.inserted[one.name] for one in table.c if not one.primary_key})

    def listed(self, name: str) -> Select[Any]:
        raise NotImplementedError("a list is a list of values here, never a table: say `among`")

    def listing(self, values: Iterable[Any]) -> Sequence[Any]:
        return tuple(values) or _NOBODY

    def through(self, statement: Select[Any], table: Table, index: str) -> Select[Any]:
        return statement.with_hint(table, f"FORCE INDEX ({index})")

    def passing_over(self, statement: Select[Any]) -> Select[Any]:
        return statement.with_for_update(skip_locked=True)

    def locking(self, statement: Select[Any]) -> Select[Any]:
        return statement.with_for_update()

    def holding(self, statement: Select[Any]) -> Select[Any]:
        # Else each row would be sent. The limit keeps the order, in which a derived table is else free.
        return select(func.count()).select_from(self.locking(statement).limit(_ALL).subquery("held"))

    def current(self, statement: Select[Any]) -> Select[Any]:
        return statement.with_for_update(read=True)

    def table(self, names: Sequence[str], rows: int) -> FromClause:
        one_by_one = [select(*(given(cell(name, row)).label(name) for name in names)) for row in range(rows)]
        return union_all(*one_by_one).subquery("given") if rows > 1 else one_by_one[0].subquery("given")

    def repeated(self, text: str, rows: int) -> str:
        table = text[text.index("(SELECT ") : text.index(") AS given")]
        row = f" UNION ALL SELECT {', '.join(['%s'] * table.count('%s'))}"
        return text.replace(table, table + row * (rows - 1), 1)

    def among(self, column: ColumnElement[Any], name: str) -> ColumnElement[bool]:
        # The client library writes a sequence as what stands between brackets.
        return column.op("IN", is_comparison=True)(given(name))

    def equals(self, column: ColumnElement[Any], name: str) -> ColumnElement[bool]:
        return column == given(name)
