"""Small versioned documents."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import or_, select

from longshore.contract import SECOND, Record, Write
from longshore_sql.dialect import Dialect
from longshore_sql.schema import Schema
from longshore_sql.statements import Statement, Step, given

SWEPT_PER_WRITE: Final = 2
"""Expired records that a write removes: more than it can add."""
KEPT: Final = 3_600 * SECOND
"""How long an expired record stays as a row where many write at once."""
SWEPT_AFTER: Final = 50
"""After how many writes there they are looked for."""
UNSEEN: Final = 60 * SECOND
"""How long ago a record has expired that is erased there: whoever began before, and looks or writes only now, must not
find it live."""

_LAST: Final = 0x10FFFF
_SURROGATES: Final = range(0xD800, 0xE000)


class Records:
    """Reads and writes the records of one schema."""

    def __init__(self, schema: Schema, dialect: Dialect) -> None:
        self._dialect = dialect
        self._table = table = schema.record
        self._queries: dict[tuple[bool, bool, bool], Statement] = {}
        record, meta = table.c, schema.meta
        this = (record.kind == given("kind")) & (record.key == given("key"))
        live = or_(record.expires.is_(None), record.expires > given("now"))
        self._find = dialect.compiled(select(record.version).where(this, live))
        columns = {name: given(name) for name in ("kind", "key", "value", "version", "expires")}
        self._put = dialect.compiled(dialect.replacing(table).values(columns))
        self._erase = dialect.compiled(table.delete().where(this))
        self._read_version = dialect.compiled(select(meta.c.value).where(meta.c.name == "records"))
        advanced = meta.update().where(meta.c.name == "records").values(value=given("version"))
        self._advance = dialect.compiled(advanced)
        lapsed = select(record.kind, record.key).where(record.expires <= given("now")).limit(given("limit"))
        self._lapsed = dialect.compiled(lapsed)

    def read(
        self, step: Step, kind: str, keys: Sequence[str] | None, prefix: str, limit: int, after: str | None
    ) -> list[Record]:
        """Live records by key."""
        end = _end_of(prefix) if keys is None else None
        shape = (keys is not None, end is not None, after is not None)
        if shape not in self._queries:
            self._queries[shape] = self._dialect.compiled(self._reading(*shape))
        named: dict[str, Any] = {"kind": kind, "now": step.now, "limit": limit, "after": after}
        named |= {"prefix": prefix, "end": end}
        if keys is not None:
            named["keys"] = self._dialect.listing(keys)
        return [Record(*row) for row in self._queries[shape].run(step.cursor, **named)]

    def write(self, step: Step, writes: Sequence[Write]) -> list[int | None]:
        """Makes each write whose version is the stored one."""
        self._sweep(step, SWEPT_PER_WRITE * len(writes))
        (last,) = self._read_version.run(step.cursor).fetchone()
        answers: list[int | None] = []
        for write in writes:
            if not self._holds(step, write):
                answers.append(None)
                continue
            last += 1
            self._store(step, write, last)
            answers.append(last)
        self._advance.run(step.cursor, version=last)
        return answers

    def _holds(self, step: Step, write: Write) -> bool:
        if write.version is None:
            return True
        row = self._find.run(step.cursor, kind=write.kind, key=write.key, now=step.now).fetchone()
        return write.version == (row[0] if row else 0)

    def _store(self, step: Step, write: Write, version: int) -> None:
        if write.value is None:
            self._erase.run(step.cursor, kind=write.kind, key=write.key)
            return
        expires = None if write.lifetime is None else step.now + write.lifetime
        value = bytearray(write.value)
        self._put.run(step.cursor, kind=write.kind, key=write.key, value=value, version=version, expires=expires)

    def _sweep(self, step: Step, limit: int) -> None:
        for kind, key in self._lapsed.run(step.cursor, now=step.now, limit=limit).fetchall():
            self._erase.run(step.cursor, kind=kind, key=key)

    def _reading(self, by_keys: bool, prefixed: bool, after: bool) -> Any:
        record = self._table.c
        live = or_(record.expires.is_(None), record.expires > given("now"))
        statement = select(record.kind, record.key, record.value, record.version, record.expires)
        statement = statement.where(record.kind == given("kind"), live)
        if by_keys:
            statement = statement.where(self._dialect.among(record.key, "keys"))
        if prefixed:
            statement = statement.where(record.key >= given("prefix"), record.key < given("end"))
        if after:
            statement = statement.where(record.key > given("after"))
        return statement.order_by(record.key).limit(given("limit"))


def _end_of(prefix: str) -> str | None:
    """The first text, in the order of its bytes, behind all that begin with the prefix; None where there is none."""
    kept = prefix.rstrip(chr(_LAST))
    if not kept:
        return None
    following = ord(kept[-1]) + 1
    return kept[:-1] + chr(_SURROGATES.stop if following in _SURROGATES else following)
