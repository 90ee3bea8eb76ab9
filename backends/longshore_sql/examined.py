"""How many rows and index entries steps examine: for the kit, which tests what a claim costs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from longshore_sql.statements import Cursor


class Examined:
    """Counts from the first time that it is asked; until then it costs nothing."""

    def __init__(self, so_far: Callable[[Cursor], int]) -> None:
        self._so_far = so_far
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
        before = self._so_far(cursor)
        yield
        self._total += self._so_far(cursor) - before


def examined_by_postgres(namespace: str) -> Callable[[Cursor], int]:
    """What a transaction on PostgreSQL has read of a namespace's tables and indexes so far."""
    text = (
        "SELECT coalesce(sum(pg_stat_get_xact_tuples_returned(oid)), 0)::bigint FROM pg_class "
        "WHERE relkind IN ('r', 'i') AND starts_with(relname, %s)"
    )

    def so_far(cursor: Cursor) -> int:
        cursor.execute(text, (f"{namespace}_",))
        return int(cursor.fetchall()[0][0])

    return so_far


def examined_by_mysql(cursor: Cursor) -> int:
    """What a connection to MariaDB or MySQL has read so far; asking for it is not counted there."""
    cursor.execute("SHOW SESSION STATUS LIKE 'Handler_read%'")
    return sum(int(number) for _, number in cursor.fetchall())
