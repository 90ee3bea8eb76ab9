"""How many rows and index entries steps examine: for the kit, which tests what a claim costs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from longshore_sql.statements import Cursor

_EXAMINED: Final = """
SELECT coalesce(sum(pg_stat_get_xact_tuples_returned(oid)), 0)::bigint FROM pg_class
WHERE relkind IN ('r', 'i') AND starts_with(relname, %s)
"""


class Examined:
    """Counts from the first time that it is asked; until then it costs nothing."""

    def __init__(self, namespace: str) -> None:
        self._prefix = f"{namespace}_"
        self._total: int | None = None

    @property
    def is_asked(self) -> bool:
        """Whether anybody wants to know."""
        return self._total is not None

    def total(self) -> int:
        """Index entries, and rows of tables that were read from end to end, in all steps so far."""
        self._total = self._total or 0
        return self._total

    @contextmanager
    def counting(self, cursor: Cursor) -> Iterator[None]:
        """Counts what is examined in a transaction, within which the server's own counters only rise."""
        if self._total is None:
            yield
            return
        before = self._now(cursor)
        yield
        self._total += self._now(cursor) - before

    def _now(self, cursor: Cursor) -> int:
        cursor.execute(_EXAMINED, (self._prefix,))
        return int(cursor.fetchall()[0][0])
