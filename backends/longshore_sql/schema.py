"""The tables of a namespace and the indexes by which each statement finds its rows."""

from __future__ import annotations

from collections.abc import Iterable
from enum import IntEnum
from functools import lru_cache
from typing import Any, Final

from sqlalchemy import (
    VARBINARY,
    VARCHAR,
    BigInteger,
    Column,
    ColumnElement,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    Sequence,
    SmallInteger,
    String,
    Table,
    Text,
    false,
    literal_column,
    select,
)
from sqlalchemy.schema import SchemaItem

from longshore.contract import ENDED, HELD, IfParentFails, State, UniqueScope

NAMESPACE: Final = r"[a-z][a-z0-9_]{0,30}"
VERSION: Final = 1
READABLE_FROM: Final = 1
"""The oldest version of this package's schema whose code can work on the present one."""
_MYSQL: Final = ("mysql", "mariadb")
WORD: Final = String().with_variant(Text(collation="C"), "postgresql").with_variant(VARCHAR(200), *_MYSQL)
"""A text that is compared by its bytes."""
# With such a length MySQL makes them LONGTEXT and LONGBLOB; its own types would bring its whole dialect along.
_LONGEST: Final = 2**32 - 1
LONG_TEXT: Final = Text().with_variant(Text(_LONGEST), *_MYSQL)
BYTES: Final = LargeBinary().with_variant(LargeBinary(_LONGEST), *_MYSQL)
FEW_BYTES: Final = LargeBinary().with_variant(VARBINARY(64), *_MYSQL)
_TABLE: Final[dict[str, Any]] = {
    "mysql_engine": "InnoDB", "mysql_charset": "utf8mb4", "mysql_collate": "utf8mb4_0900_bin",
    "mariadb_engine": "InnoDB", "mariadb_charset": "utf8mb4", "mariadb_collate": "utf8mb4_nopad_bin",
}  # fmt: skip
"""Where texts take their order from the table: by bytes, and without padding."""
OVERDUE: Final = frozenset({State.WAITING, State.PENDING})
"""States in which a job can expire."""


class Lane(IntEnum):
    """By which index a job is found by claims: only PENDING jobs stand in one."""

    NONE = 0
    READY = 1  # Due, or found due by a promotion.
    ASIDE = 2  # Due, and passed over by a claim that wanted other tasks: found by its task.
    FUTURE = 3  # Due later.


def constant(value: int) -> ColumnElement[int]:
    """A number written into the statement: a planner matches a partial index by what it can read."""
    return literal_column(str(int(value)), Integer)


def is_any_of(column: ColumnElement[int], values: Iterable[int]) -> ColumnElement[bool]:
    """Whether the column is one of the numbers, all written into the statement."""
    constants = [constant(value) for value in sorted(values)]
    return column.in_(constants) if constants else false()


_WHOLE: Final = {"waiting": "stated", "held": "stated", "ended": "stated"}
"""Where an index that holds every row stands in for several partial ones."""


class Schema:
    """The tables of one namespace.

    ``partial`` says whether the database has partial indexes, ``numbered`` whether it keeps jobs in the order of a
    number: SQLite does, PostgreSQL does not."""

    def __init__(
        self, namespace: str, schema: str | None = None, *, numbered: bool = True, partial: bool = True
    ) -> None:
        self.namespace = namespace
        self.partial = partial
        self.metadata = MetaData(schema=schema)
        # Such words bring the whole dialect along: so each database is told its own alone.
        told = {} if partial else _TABLE
        self._where = "sqlite_where" if numbered else "postgresql_where"
        rowless: dict[str, Any] = {"sqlite_with_rowid": False} if partial and numbered else told
        self.job = Table(f"{namespace}_job", self.metadata, *_job_columns(numbered), **told)
        self.row: ColumnElement[Any] = self.job.c.seq if numbered else self.job.c.id
        """What tells the rows of jobs apart: a number, if they are stored in its order, else the id alone."""
        self.parent = Table(f"{namespace}_parent", self.metadata, *_parent_parts(), **rowless)
        self.attempt = Table(f"{namespace}_attempt", self.metadata, *_attempt_parts(), **told)
        self.record = Table(f"{namespace}_record", self.metadata, *_record_parts(), **told)
        self.meta = Table(f"{namespace}_meta", self.metadata, *_meta_columns(), **told)
        self.versions = Sequence(f"{namespace}_version", metadata=self.metadata, data_type=BigInteger)
        """The versions of records, where many write at once and the database has sequences."""
        if partial:
            self._add_partial_indexes()
        else:
            self._add_whole_indexes()
        self._add_common_indexes()

    def index(self, name: str) -> str:
        """The full name of an index, or of anything else that the database names beside the tables."""
        return f"{self.namespace}_{name if self.partial else _WHOLE.get(name, name)}"

    def index_named(self, name: str) -> Index:
        """An index by its short name."""
        tables = self.metadata.tables.values()
        return next(index for table in tables for index in table.indexes if index.name == self.index(name))

    # A query that is to use a partial index says the index's condition again, in the same words. And they are words
    # that are quickly weighed for each row that is written: a longer list would be built as a table each time.

    def is_held(self) -> ColumnElement[bool]:
        """The condition of the index of jobs that somebody has."""
        in_state = is_any_of(self.job.c.state, HELD)
        return in_state | self.job.c.holder.is_not(None) if self.partial else in_state

    def is_waiting(self, identity: ColumnElement[str]) -> ColumnElement[bool]:
        """Whether the job of that id waits: a question for each id, never a walk through all that wait."""
        job = self.job.alias("waiting")
        return select(job.c.state).where(job.c.id == identity).scalar_subquery() == constant(State.WAITING)

    def is_ended(self) -> ColumnElement[bool]:
        """The condition of the index of ended jobs."""
        if not self.partial:
            return is_any_of(self.job.c.state, ENDED)
        return (self.job.c.state >= constant(min(ENDED))) | self.job.c.ended.is_not(None)

    def _add_partial_indexes(self) -> None:
        job, ready, aside, future = self.job.c, Lane.READY, Lane.ASIDE, Lane.FUTURE
        urgent = job.priority.desc()
        # Task, lane and state stand last for those who count or pass over jobs: they need not look at the rows.
        self._partial("ready", job.lane == constant(ready), job.queue, urgent, job.due, job.id, job.task, job.lane)
        self._partial("aside", job.lane == constant(aside), job.queue, job.task, urgent, job.due, job.id, job.lane)
        self._partial("future", job.lane == constant(future), job.due, job.queue, job.task, job.lane)
        self._partial("waiting", is_any_of(job.state, {State.WAITING}), job.queue, job.task, job.state)
        self._partial("held", self.is_held(), job.holder)
        self._partial("slot", job.unique_slot.is_not(None), job.unique_slot, unique=True)
        self._partial("turn", job.turn.is_not(None), job.key, job.turn, unique=True)
        self._partial("keyed", job.key.is_not(None), job.key, job.state, job.created, job.id)
        self._partial("unique_key", job.unique_key.is_not(None), job.unique_key)
        self._partial("grouped", job.group.is_not(None), job.group, job.state, job.created, job.id)
        overdue = job.expires.is_not(None) & is_any_of(job.state, OVERDUE)
        self._partial("overdue", overdue, job.expires)
        self._partial("releasing", job.releases == constant(True), job.created, job.id)
        self._partial("ended", self.is_ended(), job.state, job.ended, job.queue, job.task)
        self._partial("lapsing", self.record.c.expires.is_not(None), self.record.c.expires)

    def _add_whole_indexes(self) -> None:
        """Where each index holds every row: what a partial one leaves out stands behind what it asks for."""
        job = self.job.c
        urgent = job.priority.desc()
        self._whole("ready", job.lane, job.queue, urgent, job.due, job.id, job.task)
        self._whole("aside", job.lane, job.queue, job.task, urgent, job.due, job.id)
        self._whole("future", job.lane, job.due, job.queue, job.task)
        self._whole("stated", job.state, job.ended, job.queue, job.task)
        self._whole("holder", job.holder)
        self._whole("slot", job.unique_slot, unique=True)
        self._whole("turn", job.key, job.turn, unique=True)
        self._whole("keyed", job.key, job.state, job.created, job.id)
        self._whole("unique_key", job.unique_key)
        self._whole("grouped", job.group, job.state, job.created, job.id)
        self._whole("overdue", job.state, job.expires)
        self._whole("releasing", job.releases, job.created, job.id)
        self._whole("lapsing", self.record.c.expires)

    def _add_common_indexes(self) -> None:
        self._whole("listed", self.job.c.created, self.job.c.id)
        self._whole("child", self.parent.c.child)

    def _whole(self, name: str, *columns: Any, unique: bool = False) -> None:
        Index(self.index(name), *columns, unique=unique)

    def _partial(self, name: str, where: ColumnElement[Any], *columns: Any, unique: bool = False) -> None:
        told: dict[str, Any] = {self._where: where}
        Index(self.index(name), *columns, unique=unique, **told)


@lru_cache(maxsize=16)
def schema_of(namespace: str, schema: str | None = None, *, numbered: bool = True, partial: bool = True) -> Schema:
    """The tables of one namespace, described once in a process: a worker connects to its store twice."""
    return Schema(namespace, schema, numbered=numbered, partial=partial)


def _parent_parts() -> list[SchemaItem]:
    columns = [Column(name, WORD, nullable=False) for name in ("parent", "child")]
    return [*columns, PrimaryKeyConstraint("parent", "child")]


def _attempt_parts() -> list[SchemaItem]:
    return [
        Column("job", WORD, nullable=False),
        Column("number", Integer, nullable=False),
        Column("record", BYTES, nullable=False),
        PrimaryKeyConstraint("job", "number"),
    ]


def _record_parts() -> list[SchemaItem]:
    return [
        Column("kind", WORD, nullable=False),
        Column("key", WORD, nullable=False),
        Column("version", BigInteger, nullable=False),
        Column("expires", BigInteger),
        Column("value", BYTES, nullable=False),
        PrimaryKeyConstraint("kind", "key"),
    ]


def _meta_columns() -> list[Column[Any]]:
    return [Column("name", WORD, primary_key=True), Column("value", BigInteger, nullable=False)]


def _job_columns(numbered: bool) -> list[Column[Any]]:
    # What is long stands last: to read a column, an engine walks over those before it.
    return [*_name_columns(numbered), *_place_columns(), *_run_columns(), *_bond_columns(), *_body_columns()]


def _name_columns(numbered: bool) -> list[Column[Any]]:
    if not numbered:
        return [Column("id", WORD, primary_key=True)]
    return [
        Column("seq", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),
        Column("id", WORD, nullable=False, unique=True),
    ]


def _place_columns() -> list[Column[Any]]:
    return [
        Column("queue", WORD, nullable=False),
        Column("task", WORD, nullable=False),
        Column("state", SmallInteger, nullable=False),
        Column("lane", SmallInteger, nullable=False),
        Column("priority", SmallInteger, nullable=False),
        Column("created", BigInteger, nullable=False),
        Column("due", BigInteger, nullable=False),
    ]


def _run_columns() -> list[Column[Any]]:
    return [
        _counter("generation"),
        _counter("attempt"),
        Column("max_attempts", Integer),
        _counter("crashes"),
        Column("max_crashes", Integer, nullable=False),
        _counter("snoozes"),
        Column("holder", WORD),
        Column("started", BigInteger),
        Column("ended", BigInteger),
        Column("expires", BigInteger),
        Column("settled", Integer),
        Column("settled_by", WORD),
        _counter("cancel_asked"),
        _counter("awaited"),
        _counter("releases"),
        _counter("tries"),
    ]


def _bond_columns() -> list[Column[Any]]:
    return [
        Column("unique_key", WORD),
        Column("unique_slot", WORD),
        _counter("unique_scope", UniqueScope.END),
        Column("unique_until", BigInteger),
        Column("group", WORD),
        Column("key", WORD),
        _counter("turns", 1),
        Column("turn", Integer),
        _counter("lax"),
        _counter("if_parent_fails", IfParentFails.CANCEL),
    ]


def _body_columns() -> list[Column[Any]]:
    return [
        Column("codec", WORD, nullable=False),
        Column("result_codec", WORD),
        Column("digest", FEW_BYTES, nullable=False),
        Column("parents", LONG_TEXT),
        Column("notes", LONG_TEXT),
        Column("payload", BYTES, nullable=False),
        Column("cursor", BYTES),
        Column("result", BYTES),
    ]


def _counter(name: str, default: int = 0) -> Column[int]:
    return Column(name, Integer, nullable=False, server_default=str(int(default)))
