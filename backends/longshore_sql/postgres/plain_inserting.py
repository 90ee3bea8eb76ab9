"""Storing plain jobs by one statement, which asks for the version of the tables and for the time itself.

Jobs that have nothing but what every job has depend on nothing that is stored, so nothing has to be asked before.
Outside an application's transaction the statement is its own, and so a job costs one round trip and one commit.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from sqlalchemy import BigInteger, ColumnElement, case, column, func, select, true
from sqlalchemy.dialects.postgresql import insert

from longshore.contract import Clock, NewJob, State, StoredJob
from longshore_sql.inserting import plain_values
from longshore_sql.postgres.dialect import PostgresDialect
from longshore_sql.postgres.moments import moment_of
from longshore_sql.schema import Lane, Schema, constant
from longshore_sql.statements import Cursor, Row, given

_FIELDS: Final = (
    "id", "queue", "task", "payload", "codec", "digest", "priority", "delay", "due", "max_attempts", "max_crashes",
)  # fmt: skip
_AS_GIVEN: Final = tuple(name for name in _FIELDS if name not in {"delay", "due"})

Arrays = dict[str, str]


class PlainInserting:
    """Stores plain jobs of one schema."""

    def __init__(self, schema: Schema, dialect: PostgresDialect) -> None:
        self._schema = schema
        self._dialect = dialect
        self._insert = dialect.compiled(self._inserting())
        self._insert_one = dialect.compiled(self._inserting_one())
        self._arranged = self._insert_one.arranged([*_FIELDS, "now"])

    def row(self, jobs: Sequence[NewJob | StoredJob], clock: Clock | None) -> Row | None:
        """The values of the statement for one job, None if it has more than every job has."""
        found = plain_values(jobs)
        return None if found is None else self._arranged((*found[0], None if clock is None else clock()))

    def insert_one(self, cursor: Cursor, row: Row) -> bool:
        """Stores it, unless it clashes with one that is there, or the tables are of a version that is not ours."""
        cursor.execute(self._insert_one.text, row)
        return cursor.rowcount == 1

    def arrays(self, jobs: Sequence[NewJob | StoredJob]) -> Arrays | None:
        """The jobs as the arrays of the statement, None if any of them has more than every job has, or another's id.

        They go in the order of ids, so that of two who insert the same jobs one waits for the other, and never both."""
        found = plain_values(jobs)
        if found is None or (len(jobs) > 1 and len({job.id for job in jobs}) < len(jobs)):
            return None
        rows = sorted((*values, position) for position, values in enumerate(found))
        columns = zip((*_FIELDS, "position"), zip(*rows, strict=True), strict=True)
        return {name: self._dialect.listing(values) for name, values in columns}

    def insert(self, cursor: Cursor, arrays: Arrays, clock: Clock | None) -> set[str]:
        """Stores them: the ids of those that landed. None do where the tables are of a version that is not ours."""
        now = None if clock is None else clock()
        return {identity for (identity,) in self._insert.run(cursor, now=now, **arrays)}

    def _inserting(self) -> Any:
        job = self._schema.job
        stored = [job.c[name] for name in _FIELDS if name != "delay"]
        asked = self._dialect.arrays([*stored, column("delay", BigInteger), column("position", BigInteger)])
        moment = moment_of(self._schema)
        values = _values({one.key: one for one in asked.c}, moment.c.now, moment.c.now + asked.c.position)
        rows = select(*values.values()).select_from(moment.join(asked, true()))
        return insert(job).from_select(list(values), rows).on_conflict_do_nothing().returning(job.c.id)

    def _inserting_one(self) -> Any:
        job, moment = self._schema.job, moment_of(self._schema)
        kinds = {name: job.c[name].type for name in _FIELDS if name != "delay"} | {"delay": BigInteger()}
        asked = {name: given(name, kind) for name, kind in kinds.items()}
        values = _values(asked, moment.c.now, moment.c.now)
        rows = select(*values.values()).select_from(moment)
        return insert(job).from_select(list(values), rows).on_conflict_do_nothing()


def _values(asked: Mapping[str, ColumnElement[Any]], now: ColumnElement[int], created: Any) -> Mapping[str, Any]:
    """What is put into which column."""
    due = func.coalesce(asked["due"], now + asked["delay"])
    return {
        **{name: asked[name] for name in _AS_GIVEN},
        "state": constant(State.PENDING),
        "created": created,
        "due": due,
        "lane": case((due <= now, constant(Lane.READY)), else_=constant(Lane.FUTURE)),
    }
