"""What databases say differently: an expression, a statement's shape, or the way in which values are given."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from typing import Any, ClassVar

from sqlalchemy import ColumnElement, FromClause, Index, Select, Table
from sqlalchemy.engine import Dialect as SQLAlchemyDialect
from sqlalchemy.schema import CreateIndex, CreateTable
from sqlalchemy.sql import ClauseElement, Insert

from longshore_sql.schema import constant
from longshore_sql.statements import Statement, given


def indexes_of(table: Table) -> list[Index]:
    """The indexes of a table, always in the same order."""
    return sorted(table.indexes, key=lambda index: str(index.name))


def cell(name: str, row: int) -> str:
    """The name of one value of a given table."""
    return f"{name} {row}"


class Dialect(ABC):
    """Builds and compiles for one kind of database."""

    locks_rows: ClassVar[bool] = False
    """Whether writers lock the rows that they touch, not the whole store: then others may write meanwhile."""
    has_arrays: ClassVar[bool] = False
    """Whether `arrays` gives a table."""
    repeats_rows: ClassVar[bool] = False
    """Whether the text of a statement that reads one row of a given `table` can be made to read any number."""
    has_sequences: ClassVar[bool] = False
    """Whether the versions of records come from a sequence."""

    def __init__(self, dialect: SQLAlchemyDialect) -> None:
        self._dialect = dialect

    @property
    def clash(self) -> tuple[type[Exception], ...]:
        """What is raised where another has just taken a unique slot; only where `locks_rows`."""
        return ()

    def compiled(self, element: ClauseElement) -> Statement:
        """The statement in this database's text."""
        compiled: Any = element.compile(dialect=self._dialect)
        return Statement(str(compiled), compiled.positiontup or (), compiled.params)

    def script(self, elements: Iterable[Any]) -> list[str]:
        """The texts of statements that define tables."""
        return [str(element.compile(dialect=self._dialect)).strip() for element in elements]

    def definitions(self, tables: Sequence[Table]) -> list[str]:
        """The texts of statements that define tables and their indexes."""
        indexes = [index for table in tables for index in indexes_of(table)]
        return self.script([*map(CreateTable, tables), *map(CreateIndex, indexes)])

    def name(self, table: Table) -> str:
        """The full name of a table, as it stands in a statement."""
        return self._dialect.identifier_preparer.format_table(table)

    @abstractmethod
    def inserting(self, table: Table) -> Insert:
        """An insert that leaves out what clashes with a row that is there."""

    @abstractmethod
    def replacing(self, table: Table) -> Insert:
        """An insert that takes the place of the row with the same primary key."""

    @abstractmethod
    def listed(self, name: str) -> Select[Any]:
        """The elements of a given list, as rows of one column ``value``."""

    @abstractmethod
    def listing(self, values: Iterable[Any]) -> Any:
        """A list as the value of a parameter of `listed`."""

    @abstractmethod
    def through(self, statement: Select[Any], table: Table, index: str) -> Select[Any]:
        """The statement, made to read ``table`` through ``index`` where a planner may choose badly."""

    def unindexed(self, column: ColumnElement[Any]) -> ColumnElement[Any]:
        """The column, so that its rows are not looked for by an index on it, where a planner may choose badly."""
        return column

    def unforeseen(self, value: int) -> ColumnElement[int]:
        """A number that an index may be searched for, but that is not known when a plan is made: so that no index is
        read which holds just the rows with that number, where a planner may choose badly."""
        return constant(value)

    def passing_over(self, statement: Select[Any]) -> Select[Any]:
        """The statement, made to lock what it finds and to pass over what others have locked."""
        return statement

    def locking(self, statement: Select[Any]) -> Select[Any]:
        """The statement, made to lock what it finds and to wait for what others have locked."""
        return statement

    def holding(self, statement: Select[Any]) -> Select[Any]:
        """The same for what nobody reads."""
        return self.locking(statement)

    def current(self, statement: Select[Any]) -> Select[Any]:
        """The statement, made to see what is committed by now, where its transaction may be on an older state."""
        return statement

    def table(self, names: Sequence[str], rows: int) -> FromClause | None:
        """Given values as a table of so many rows, from which an update reads; None where updates read from none.

        The value of a column in a row is the parameter `cell` names.
        """
        return None

    def repeated(self, text: str, rows: int) -> str:
        """The text of a statement that reads one row of a given `table`, made to read so many; only where
        `repeats_rows`. Their values stand before all others."""
        raise NotImplementedError("statements read just so many rows as they were compiled for")

    def arrays(self, columns: Sequence[ColumnElement[Any]]) -> FromClause | None:
        """Given arrays, one for each column, as a table of any number of rows; None where there are no arrays.

        Its further column ``place`` counts the rows from 1."""
        return None

    def among(self, column: ColumnElement[Any], name: str) -> ColumnElement[bool]:
        """Whether the column is an element of a given list."""
        return column.in_(self.listed(name))

    def equals(self, column: ColumnElement[Any], name: str) -> ColumnElement[bool]:
        """Whether the column is a given value."""
        return column == given(name)
