"""Small versioned documents, where many write at once.

Versions come from a sequence, drawn while the record's row is locked, so that of one record each is larger than those
before. What is erased stays as a row that has expired: an insert that began before the erasure would otherwise bring an
older version. An hour later it is swept away.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import BigInteger, ColumnElement, Insert, LargeBinary, Text, bindparam, column, func, null, or_, select
from sqlalchemy.dialects.postgresql import ARRAY, insert

from longshore.contract import Write
from longshore_sql.dialect import Dialect
from longshore_sql.records import KEPT, SWEPT_AFTER, UNSEEN, Records
from longshore_sql.schema import Schema
from longshore_sql.statements import Statement, Step, given, parameter

_COLUMNS: Final = {"kind": Text, "key": Text, "value": LargeBinary, "expires": BigInteger, "version": BigInteger}
_Names = tuple[str, str]


class LockedRecords(Records):
    """Reads and writes the records of one schema."""

    def __init__(self, schema: Schema, dialect: Dialect) -> None:
        super().__init__(schema, dialect)
        self._versions = schema.versions
        self._given = func.unnest(*(_array(name) for name in _COLUMNS)).table_valued(
            *(column(name, kind) for name, kind in _COLUMNS.items()), name="given"
        ).render_derived()  # fmt: skip
        record = self._table.c
        self._is_live = or_(record.expires.is_(None), record.expires > given("now"))
        self._lock = dialect.compiled(self._locking())
        self._puts = {any_version: dialect.compiled(self._putting(any_version)) for any_version in (True, False)}
        self._replace = dialect.compiled(
            self._changing({"value": self._given.c.value, "expires": self._given.c.expires})
        )
        self._erase_all = dialect.compiled(self._changing({"value": given("nothing"), "expires": given("expired")}))
        self._next = dialect.compiled(select(self._versions.next_value()))
        self._sweep_all = dialect.compiled(self._sweeping())
        self._unswept = 0

    def write(self, step: Step, writes: Sequence[Write]) -> list[int | None]:
        """Makes each write whose version is the stored one."""
        ordered = sorted(writes, key=lambda write: (write.kind.encode(), write.key.encode()))
        live: dict[_Names, int] = {}
        if len(writes) > 1 or writes[0].value is None:
            live = {row[:2]: row[2] for row in self._run(step, self._lock, ordered) if row[3]}
        made: dict[_Names, int] = {}
        for statement, some in self._shared_out(ordered, live):
            made |= {row[:2]: row[2] for row in self._run(step, statement, some)}
        for write in ordered:
            if write.value is None and not write.version and (write.kind, write.key) not in live:
                made[write.kind, write.key] = self._next.run(step.cursor).fetchone()[0]
        self._sweep(step, len(writes))
        return [made.get((write.kind, write.key)) for write in writes]

    def _shared_out(self, writes: list[Write], live: dict[_Names, int]) -> list[tuple[Statement, list[Write]]]:
        puts = [write for write in writes if write.value is not None]
        erased = [write for write in writes if write.value is None and (write.kind, write.key) in live]
        shares = [
            (self._puts[True], [write for write in puts if write.version is None]),
            (self._puts[False], [write for write in puts if write.version == 0]),
            (self._replace, [write for write in puts if write.version]),
            (self._erase_all, [write for write in erased if write.version != 0]),
        ]
        return [(statement, some) for statement, some in shares if some]

    def _run(self, step: Step, statement: Statement, writes: list[Write]) -> list[Any]:
        now = step.now
        arrays: dict[str, list[Any]] = {
            "kind": [write.kind for write in writes],
            "key": [write.key for write in writes],
            "value": [write.value for write in writes],
            "expires": [None if write.lifetime is None else now + write.lifetime for write in writes],
            "version": [write.version for write in writes],
        }
        named = {name: self._dialect.listing(values) for name, values in arrays.items()}
        return statement.run(step.cursor, now=now, nothing=b"", expired=now - UNSEEN, **named).fetchall()

    def _sweep(self, step: Step, limit: int) -> None:
        self._unswept += limit
        if self._unswept >= SWEPT_AFTER:
            # Last, when nothing is waited for any more: so the locks of this can stop nobody who stops us.
            self._sweep_all.run(step.cursor, now=step.now - KEPT, limit=2 * self._unswept)
            self._unswept = 0

    def _locking(self) -> Any:
        record = self._table.c
        these = (record.kind == self._given.c.kind) & (record.key == self._given.c.key)
        found = select(record.kind, record.key, record.version, self._is_live).join_from(
            self._given, self._table, these
        )
        return found.order_by(record.kind, record.key).with_for_update(of=self._table)

    def _putting(self, any_version: bool) -> Insert:
        record, version = self._table.c, self._versions.next_value()
        rows = select(*(version if name == "version" else self._given.c[name] for name in _COLUMNS))
        new = insert(self._table).from_select(list(_COLUMNS), rows.order_by(self._given.c.kind, self._given.c.key))
        put = new.on_conflict_do_update(
            index_elements=[record.kind, record.key],
            # Drawn anew: the one of the new row may be older than what it replaces.
            set_={"value": new.excluded.value, "expires": new.excluded.expires, "version": version},
            where=None if any_version else ~self._is_live,
        )
        return put.returning(record.kind, record.key, record.version)

    def _changing(self, values: dict[str, ColumnElement[Any]]) -> Any:
        record, asked = self._table.c, self._given.c
        matches = or_(asked.version.is_(null()), record.version == asked.version)
        these = (record.kind == asked.kind, record.key == asked.key, self._is_live, matches)
        changed = self._table.update().where(*these).values(version=self._versions.next_value(), **values)
        return changed.returning(record.kind, record.key, record.version)

    def _sweeping(self) -> Any:
        record = self._table.c
        lapsed = select(record.kind, record.key).where(record.expires <= given("now")).limit(given("limit"))
        found = self._dialect.passing_over(lapsed).subquery("lapsed")
        return self._table.delete().where(record.kind == found.c.kind, record.key == found.c.key)


def _array(name: str) -> ColumnElement[Any]:
    return bindparam(parameter(name), type_=ARRAY(_COLUMNS[name]))
