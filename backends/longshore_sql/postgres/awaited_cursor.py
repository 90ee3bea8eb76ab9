"""PostgreSQL through an asynchronous connection of SQLAlchemy's, in the words of psycopg."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from itertools import count
from typing import Any, Final

import psycopg
from psycopg import errors
from sqlalchemy.engine import Dialect

from longshore_sql.postgres.arrays import array_text

_PARAMETER: Final = re.compile(r"%s(::[a-z ]+\[\])?", re.IGNORECASE)


class AwaitedCursor:
    """SQLAlchemy's cursor of asyncpg or of asynchronous psycopg, used as psycopg's own: the same statements, the same
    errors. Only where SQLAlchemy can await it."""

    def __init__(self, dialect: Dialect, cursor: Any) -> None:
        self._cursor = cursor
        self._is_numbered = dialect.paramstyle == "numeric_dollar"
        self._failure = dialect.loaded_dbapi.Error
        self.rowcount = -1

    def execute(self, text: str, values: Sequence[Any] = (), /) -> None:
        """Executes a statement whose parameters are written as psycopg writes them."""
        if self._is_numbered:
            text, values = numbered(text), [array_text(value) if isinstance(value, list) else value for value in values]
        with self._translated():
            self._cursor.execute(text, values)
        self.rowcount = self._cursor.rowcount

    def executemany(self, text: str, values: Iterable[Sequence[Any]], /) -> None:
        """Executes a statement with each of the values; one by one, since asyncpg counts no rows of many."""
        made = 0
        for row in values:
            self.execute(text, row)
            made += self.rowcount
        self.rowcount = made

    def fetchone(self) -> Any:
        """The next row; None: there is none."""
        return self._cursor.fetchone()

    def fetchall(self) -> list[Any]:
        """All rows that are left."""
        return list(self._cursor.fetchall())

    def __iter__(self) -> Iterator[Any]:
        return iter(self.fetchall())

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except self._failure as error:
            if isinstance(error, psycopg.Error):
                raise
            raise _translation(error) from error


@lru_cache(maxsize=1_024)
def numbered(text: str) -> str:
    """A statement of psycopg's with its parameters numbered, arrays to be given as text."""
    numbers = count(1)

    def named(found: re.Match[str]) -> str:
        return f"${next(numbers)}::TEXT{found[1]}" if found[1] else f"${next(numbers)}"

    return _PARAMETER.sub(named, text).replace("%%", "%")


def _translation(error: Any) -> psycopg.Error:
    """The error of psycopg for what PostgreSQL said; without its code, the connection is what failed."""
    code = getattr(error, "sqlstate", None) or getattr(error, "pgcode", None)
    if code is None:
        return psycopg.OperationalError(str(error))
    try:
        return errors.lookup(code)(str(error))
    except KeyError:
        return psycopg.DatabaseError(str(error))
