"""Small versioned documents, where a write does not answer what it wrote.

The rows of a call are locked in order, weighed here, and then written. A version is larger than the one before and not
below the time of the call; what is erased stays as an expired row for almost an hour, so that who writes it anew finds
the version that it had.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from sqlalchemy import or_, select, tuple_

from longshore.contract import Instant, Write
from longshore.errors import Unavailable
from longshore_sql.dialect import Dialect
from longshore_sql.records import KEPT, SWEPT_AFTER, UNSEEN, Records
from longshore_sql.schema import Schema
from longshore_sql.statements import Step, given

TRIES: Final = 5
"""How often a call begins anew whose new records others wrote meanwhile."""

_COLUMNS: Final = ("kind", "key", "value", "version", "expires")
_Name = tuple[str, str]


class _Stored(NamedTuple):
    """What is there."""

    version: int
    is_live: bool


class WeighedRecords(Records):
    """Reads and writes the records of one schema."""

    def __init__(self, schema: Schema, dialect: Dialect) -> None:
        super().__init__(schema, dialect)
        record = self._table.c
        live = or_(record.expires.is_(None), record.expires > given("now"))
        these = dialect.among(tuple_(record.kind, record.key), "names")
        found = select(record.kind, record.key, record.version, live).where(these).order_by(record.kind, record.key)
        self._lock = dialect.compiled(dialect.locking(found))
        columns = {name: given(name) for name in _COLUMNS}
        self._insert = dialect.compiled(self._table.insert().values(columns))
        lapsed = select(record.kind, record.key).where(record.expires <= given("now")).limit(given("limit"))
        self._old = dialect.compiled(dialect.passing_over(lapsed))
        self._remove = dialect.compiled(self._table.delete().where(these))
        self._unswept = 0

    def write(self, step: Step, writes: Sequence[Write]) -> list[int | None]:
        """Makes each write whose version is the stored one."""
        ordered = sorted(writes, key=lambda write: (write.kind.encode(), write.key.encode()))
        for _ in range(TRIES):
            stored = self._stored(step, ordered)
            made = {_name(write): _version(step.now, stored, write) for write in ordered if _holds(stored, write)}
            rows = [self._row(step.now, write, made[_name(write)]) for write in ordered if _name(write) in made]
            if self._stores(step, stored, rows):
                break
        else:
            raise Unavailable(f"records were written by others {TRIES} times meanwhile; write again", unknown=False)
        self._sweep(step, len(writes))
        return [made.get(_name(write)) for write in writes]

    def _stored(self, step: Step, writes: list[Write]) -> dict[_Name, _Stored]:
        names = [_name(write) for write in writes]
        rows = self._lock.run(step.cursor, names=names, now=step.now)
        return {(kind, key): _Stored(version, bool(live)) for kind, key, version, live in rows}

    def _stores(self, step: Step, stored: dict[_Name, _Stored], rows: list[dict[str, Any]]) -> bool:
        """Whether nobody else wrote a new one meanwhile; else nothing is written."""
        new = [row for row in rows if (row["kind"], row["key"]) not in stored]
        if new and not self._inserts(step, new):
            return False
        if old := [row for row in rows if (row["kind"], row["key"]) in stored]:
            step.cursor.executemany(self._put.text, [self._put.values(row) for row in old])
        return True

    def _inserts(self, step: Step, rows: list[dict[str, Any]]) -> bool:
        step.cursor.execute("SAVEPOINT longshore_write")
        try:
            step.cursor.executemany(self._insert.text, [self._insert.values(row) for row in rows])
        except self._dialect.clash:
            step.cursor.execute("ROLLBACK TO SAVEPOINT longshore_write")
            return False
        finally:
            step.cursor.execute("RELEASE SAVEPOINT longshore_write")
        return True

    def _row(self, now: Instant, write: Write, version: int) -> dict[str, Any]:
        expires = None if write.lifetime is None else now + write.lifetime
        return {
            "kind": write.kind,
            "key": write.key,
            "value": write.value or b"",
            "version": version,
            "expires": now - UNSEEN if write.value is None else expires,
        }

    def _sweep(self, step: Step, limit: int) -> None:
        self._unswept += limit
        if self._unswept < SWEPT_AFTER:
            return
        # Last, when nothing is waited for any more: so the locks of this can stop nobody who stops us.
        names = self._old.run(step.cursor, now=step.now - KEPT, limit=2 * self._unswept).fetchall()
        if names:
            self._remove.run(step.cursor, names=list(names))
        self._unswept = 0


def _name(write: Write) -> _Name:
    return write.kind, write.key


def _holds(stored: dict[_Name, _Stored], write: Write) -> bool:
    """Whether the version is the one that the write asks for."""
    found = stored.get(_name(write))
    return write.version is None or write.version == (found.version if found is not None and found.is_live else 0)


def _version(now: Instant, stored: dict[_Name, _Stored], write: Write) -> int:
    found = stored.get(_name(write))
    return now if found is None else max(found.version + 1, now)
