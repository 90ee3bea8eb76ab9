"""What the drivers of all SQL databases have in common."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from functools import cached_property
from typing import Any, TypeVar

from msgspec.structs import replace

from longshore.contract import (
    EVERY,
    Answer,
    By,
    Change,
    Claim,
    Claimed,
    Driver,
    Inserted,
    Insertion,
    Instant,
    NewJob,
    Order,
    Page,
    Record,
    State,
    StoredJob,
    Where,
    Write,
)
from longshore_sql.changing import Changing, Prepared
from longshore_sql.claiming import Claiming
from longshore_sql.counting import Counting
from longshore_sql.dialect import Dialect
from longshore_sql.heads import Heads
from longshore_sql.inserting import Inserting
from longshore_sql.migrations import Versions
from longshore_sql.reading import Reading
from longshore_sql.records import Records
from longshore_sql.schema import Schema
from longshore_sql.statements import Cursor, Step

T = TypeVar("T")


class SQLDriver(Driver):
    """A store on an SQL database: a subclass says how a step on it begins and ends."""

    def __init__(self, schema: Schema, dialect: Dialect) -> None:
        self._schema = schema
        self._dialect = dialect
        self._versions = Versions(schema, dialect)

    # Compiling takes milliseconds: it is done for what a process uses, when it first does, before the store is locked.

    @cached_property
    def _inserting(self) -> Inserting:
        return Inserting(self._schema, self._dialect)

    @cached_property
    def _claiming(self) -> Claiming:
        return Claiming(self._schema, self._dialect, self._heads())

    def _heads(self) -> Heads:
        """What finds the jobs that a claim may take."""
        return Heads(self._schema, self._dialect)

    @cached_property
    def _changing(self) -> Changing:
        return Changing(self._schema, self._dialect, self._inserting)

    @cached_property
    def _reading(self) -> Reading:
        return Reading(self._schema, self._dialect)

    @cached_property
    def _counting(self) -> Counting:
        return Counting(self._schema, self._dialect)

    @cached_property
    def _records(self) -> Records:
        return Records(self._schema, self._dialect)

    @abstractmethod
    def _write(self, tx: Any = None) -> AbstractContextManager[Step]:
        """A step that writes: in a transaction of its own, or in that of ``tx``."""

    def _written(self, work: Callable[[Step], T], tx: Any = None) -> T:
        """What ``work`` answers in a step that writes. It may be called again where nothing of it was done."""
        with self._write(tx) as step:
            return work(step)

    @abstractmethod
    def _read(self) -> AbstractContextManager[Step]:
        """A step that only reads, and sees the store as it is at one moment."""

    def _read_once(self) -> AbstractContextManager[Step]:
        """The same for what one statement reads."""
        return self._read()

    def _glanced(self, look: Callable[[Cursor], T]) -> T:
        """What a look of one statement sees of what is committed, whatever the versions and the time."""
        with self._read() as step:
            return look(step.cursor)

    @abstractmethod
    def _wake_after(self, topics: Sequence[str], tx: Any, identity: str) -> None:
        """Wakes who listens, when the transaction ``tx`` is committed; at once where it is None.

        ``identity`` is that of one of the jobs which the transaction stores."""

    def clear(self) -> None:
        schema = self._schema
        tables = (schema.attempt, schema.parent, schema.job, schema.record)
        texts = self._dialect.script(table.delete() for table in tables)

        def clear(step: Step) -> None:
            for text in texts:
                step.cursor.execute(text)

        self._written(clear)

    def now(self) -> Instant:
        with self._read() as step:
            return step.now

    def insert(self, jobs: Sequence[NewJob | StoredJob], *, tx: Any = None) -> list[Inserted]:
        if not jobs:
            return []
        answers = self._stored(jobs, tx)
        pending = [
            job
            for job, answer in zip(jobs, answers, strict=True)
            if answer.outcome is Insertion.INSERTED and answer.state is State.PENDING
        ]
        if pending:
            self._wake_after(sorted({f"queue:{job.queue}" for job in pending}), tx, pending[0].id)
        return answers

    def _stored(self, jobs: Sequence[NewJob | StoredJob], tx: Any) -> list[Inserted]:
        """Stores jobs, and answers each."""
        inserting = self._inserting
        return self._written(lambda step: inserting.insert(step, jobs), tx)

    def claim(self, claims: Sequence[Claim], *, holder: str, limit: int, max_bytes: int | None = None) -> Claimed:
        claiming = self._claiming
        return self._looked_at_expired(
            self._written(lambda step: claiming.claim(step, claims, holder=holder, limit=limit, max_bytes=max_bytes))
        )

    def update(self, changes: Sequence[Change], *, tx: Any = None) -> list[Answer]:
        if not changes:
            return []
        changing = self._changing
        prepared = changing.prepared(changes)
        answers = self._written(lambda step: changing.update(step, prepared), tx)
        return self._looked_again(prepared, answers) if tx is None else answers

    def exchange(
        self,
        changes: Sequence[Change],
        claims: Sequence[Claim],
        *,
        holder: str,
        limit: int,
        max_bytes: int | None = None,
    ) -> tuple[list[Answer], Claimed]:
        changing, claiming = self._changing, self._claiming
        prepared = changing.prepared(changes)

        def exchange(step: Step) -> tuple[list[Answer], Claimed]:
            answers = changing.update(step, prepared)
            return answers, claiming.claim(step, claims, holder=holder, limit=limit, max_bytes=max_bytes)

        answers, claimed = self._written(exchange)
        return self._looked_again(prepared, answers), self._looked_at_expired(claimed)

    def _looked_again(self, prepared: Prepared, answers: list[Answer]) -> list[Answer]:
        """The answers, with what only shows after the commit: who waits for a job that ended at the same moment."""
        changing = self._changing
        suspects = changing.suspects(prepared, answers) if self._dialect.locks_rows else []
        if suspects:
            ended, freed = suspects, prepared.freed_turns
            suspects = self._glanced(lambda cursor: changing.followed(cursor, ended, freed))
        return self._released(prepared.given, answers, suspects, prepared.freed_turns)

    def _released(
        self, changes: Sequence[Change], answers: list[Answer], suspects: Sequence[str], freed_turns: Iterable[str]
    ) -> list[Answer]:
        """The answers, with what is true of those of the suspects for which somebody waits, once it is stored."""
        if not suspects:
            return answers
        changing = self._changing
        releasing = self._written(lambda step: changing.releasing(step, suspects, freed_turns))
        return [
            replace(answer, releases=True) if change.id in releasing else answer
            for change, answer in zip(changes, answers, strict=True)
        ]

    def _looked_at_expired(self, claimed: Claimed) -> Claimed:
        """The same for what a claim met past its deadline; whoever follows that reads the mark."""
        changing, expired = self._changing, claimed.expired
        if expired and self._dialect.locks_rows:
            self._written(lambda step: changing.releasing(step, expired, expired))
        return claimed

    def select(
        self,
        where: Where = EVERY,
        *,
        order: Order = Order.NEWEST,
        limit: int = 100,
        after: str | None = None,
        each: int | None = None,
        body: bool = True,
    ) -> Page:
        reads_once = each is None and not body
        with self._read_once() if reads_once else self._read() as step:
            return self._reading.select(step, where, order, limit, after, each, body)

    def count(self, by: By, where: Where = EVERY) -> dict[tuple[Any, ...], int]:
        with self._read() as step:
            return self._counting.count(step, by, where)

    def delete(self, where: Where, *, limit: int = 1_000) -> list[str]:
        reading = self._reading
        return self._written(lambda step: reading.delete(step, where, limit))

    def read(
        self,
        kind: str,
        keys: Sequence[str] | None = None,
        *,
        prefix: str = "",
        limit: int = 1_000,
        after: str | None = None,
    ) -> list[Record]:
        with self._read_once() as step:
            return self._records.read(step, kind, keys, prefix, limit, after)

    def write(self, writes: Sequence[Write], *, tx: Any = None) -> list[int | None]:
        if not writes:
            return []
        records = self._records
        return self._written(lambda step: records.write(step, writes), tx)
