"""Storing a plain job by one statement, which asks for the version of the tables and for the time itself.

A job that has nothing but what every job has depends on nothing that is stored, so nothing has to be asked before. The
statement is committed by itself: a job costs one round trip.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from longshore.contract import Clock, NewJob, State, StoredJob
from longshore_sql.dialect import Dialect
from longshore_sql.inserting import plain_values
from longshore_sql.schema import VERSION, Lane, Schema
from longshore_sql.statements import Cursor, Row

CLOCK: Final = "TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(6))"
_GIVEN: Final = (
    "id", "queue", "task", "payload", "codec", "digest", "priority", "created", "due", "max_attempts", "max_crashes",
)  # fmt: skip


class PlainInserting:
    """Stores plain jobs of one schema, one at a time."""

    def __init__(self, schema: Schema, dialect: Dialect, clock: Clock | None) -> None:
        self._clash = dialect.clash
        self._clock = clock
        meta = dialect.name(schema.meta)
        # Without a version that this code works on it is nothing, which is no state.
        state = (
            f"(SELECT {State.PENDING:d} FROM {meta} AS stored JOIN {meta} AS readable ON stored.name = 'version' "
            f"AND readable.name = 'readable_from' WHERE stored.value >= {VERSION} AND readable.value <= {VERSION})"
        )
        lane = f"IF(due <= created, {Lane.READY:d}, {Lane.FUTURE:d})"
        values = ["%s"] * 7 + [f"COALESCE(%s, {CLOCK})", "COALESCE(%s, created + %s)", "%s", "%s", lane, state]
        self._text = (
            f"INSERT INTO {dialect.name(schema.job)} ({', '.join(_GIVEN)}, lane, state) VALUES ({', '.join(values)})"
        )

    def row(self, jobs: Sequence[NewJob | StoredJob]) -> Row | None:
        """The values of the statement for one job, None if it has more than every job has."""
        found = plain_values(jobs)
        if found is None:
            return None
        *names, delay, due, max_attempts, max_crashes = found[0]
        now = None if self._clock is None else self._clock()
        return (*names, now, due, delay, max_attempts, max_crashes)

    def insert(self, cursor: Cursor, row: Row) -> bool:
        """Stores it, unless it clashes with one that is there, or the tables are of a version that is not ours."""
        try:
            cursor.execute(self._text, row)
        except self._clash:
            return False
        return True
