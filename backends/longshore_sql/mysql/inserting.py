"""Storing new jobs where an insert does not say which of its rows clash.

A call's jobs go in together, by one statement, which takes effect whole or not at all. If one clashes, a look tells
which ids are there; the others go in together once more, and singly if it is not an id that stands in their way.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from longshore_sql.dialect import Dialect
from longshore_sql.locked_inserting import LockedInserting
from longshore_sql.schema import Schema, constant
from longshore_sql.statements import Row, Statement, Step, given


class _Text(NamedTuple):
    """The text of an insert before its rows, that of one row, and what puts a row's values in order."""

    head: str
    row: str
    arranged: Callable[[Sequence[Any]], Row]


class WholeInserting(LockedInserting):
    """Stores jobs of one schema."""

    def __init__(self, schema: Schema, dialect: Dialect) -> None:
        self._bulk_texts: dict[tuple[str, ...], _Text] = {}
        super().__init__(schema, dialect)

    def _landed(self, step: Step, columns: tuple[str, ...], rows: list[Row], **constants: int) -> set[str]:
        identity = columns.index("id")
        ids = {row[identity] for row in rows}
        if self._stores_whole(step, columns, rows, constants):
            return ids
        found = self._find_all[step.may_lag].run(step.cursor, ids=self._dialect.listing(sorted(ids)))
        new = ids - {row[0] for row in found}
        rest = [row for row in rows if row[identity] in new]
        if rest and len(rest) < len(rows) and self._stores_whole(step, columns, rest, constants):
            return new
        return set()

    def _stores_whole(self, step: Step, columns: tuple[str, ...], rows: list[Row], constants: dict[str, int]) -> bool:
        """Whether none of the rows clashed; if one did, none is stored."""
        head, values, arranged = self._text(columns, constants)
        try:
            step.cursor.execute(
                head + ",".join([values] * len(rows)), [value for row in rows for value in arranged(row)]
            )
        except self._dialect.clash:
            return False
        return True

    def _text(self, columns: tuple[str, ...], constants: dict[str, int]) -> _Text:
        if columns not in self._bulk_texts:
            statement = self._statement(columns, **constants)
            head, _, values = statement.text.partition(" VALUES ")
            self._bulk_texts[columns] = _Text(f"{head} VALUES ", values, statement.arranged(columns))
        return self._bulk_texts[columns]

    def _stores(self, step: Step, columns: dict[str, Any]) -> bool:
        try:
            self._statement(tuple(columns)).run(step.cursor, **columns)
        except self._dialect.clash:
            return False
        return True

    def _statement(self, columns: tuple[str, ...], **constants: int) -> Statement:
        if columns not in self._shapes:
            values: dict[str, Any] = {name: given(name) for name in columns}
            values |= {name: constant(value) for name, value in constants.items()}
            self._shapes[columns] = self._dialect.compiled(self._schema.job.insert().values(values))
        return self._shapes[columns]
