"""Storing many plain jobs by COPY, which takes the server half as long as an insert of arrays.

COPY passes over nothing: if one of the ids is there, or comes twice, none is stored, and the jobs are inserted
otherwise. Ids that are made here are new, so that is rare; a caller whose own ids clash is not copied for a while.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final

from psycopg.errors import UniqueViolation

from longshore.contract import NewJob, State, StoredJob
from longshore.errors import StoreError
from longshore_sql.inserting import PLAIN_COLUMNS, plain_rows
from longshore_sql.postgres.dialect import PostgresDialect
from longshore_sql.schema import Schema
from longshore_sql.statements import Row, Step

LEAST: Final = 100
"""Of fewer jobs the statements around it would cost more than it spares."""
_WARY: Final = 10
"""How many calls go without it after one in which ids clashed."""
_PENDING: Final = int(State.PENDING)
_SIGNS: Final = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})


class CopiedInserting:
    """Copies plain jobs into one schema."""

    def __init__(self, schema: Schema, dialect: PostgresDialect) -> None:
        columns = ", ".join([*PLAIN_COLUMNS, "state"])
        self._copy = f"COPY {dialect.name(schema.job)} ({columns}) FROM STDIN"
        self._wary = 0

    def fits(self, jobs: Sequence[NewJob | StoredJob]) -> bool:
        """Whether these are to be copied, if they are plain."""
        if len(jobs) < LEAST:
            return False
        self._wary = max(0, self._wary - 1)
        return not self._wary

    def copy(self, step: Step, jobs: Sequence[NewJob | StoredJob]) -> bool:
        """Stores all; False where one has more than every job has, and so is not for here."""
        rows = plain_rows(jobs, step.now)
        if rows is None:
            return False
        # In the order of ids, so that of two who insert the same jobs one waits for the other, and never both.
        cursor: Any = step.cursor
        with cursor.copy(self._copy) as target:
            target.write(copied(sorted(rows)))
        return True

    def has_clashed(self, error: StoreError) -> bool:
        """Whether nothing was stored because an id was there."""
        if isinstance(error.__cause__, UniqueViolation):
            self._wary = _WARY + 1
            return True
        return False


def copied(rows: Iterable[Row]) -> str:
    """Rows of `PLAIN_COLUMNS`, with the state that their jobs begin in, as COPY reads them."""
    known: dict[tuple[str, str, str], tuple[str, str]] = {}
    lines = []
    for identity, queue, task, payload, codec, digest, priority, created, due, lane, attempts, crashes in rows:
        words = queue, task, codec
        if words not in known:
            known[words] = _between(*[word.translate(_SIGNS) for word in words])
        before, between = known[words]
        own = identity if identity.isalnum() else identity.translate(_SIGNS)
        numbers = f"{priority}\t{created}\t{due}\t{lane}\t{attempts}\t{crashes}\t{_PENDING}"
        lines.append(f"{own}{before}{payload.hex()}{between}{digest.hex()}\t{numbers}\n")
    return "".join(lines)


def _between(queue: str, task: str, codec: str) -> tuple[str, str]:
    """What stands before the payload, and before the digest."""
    return f"\t{queue}\t{task}\t\\\\x", f"\t{codec}\t\\\\x"
