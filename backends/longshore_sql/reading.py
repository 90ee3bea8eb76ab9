"""Finding and removing stored jobs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

from msgspec.structs import replace
from sqlalchemy import ColumnElement, Select, and_, null, or_, select, tuple_

from longshore.contract import HELD, Instant, Order, Page, StoredJob, Where
from longshore.reference import matches
from longshore_sql.dialect import Dialect
from longshore_sql.filters import Filters, filter_key, index_by_state, is_by_age, is_impossible
from longshore_sql.rows import COLUMNS, job_of
from longshore_sql.schema import Schema, is_any_of
from longshore_sql.statements import Statement, Step, given

LOOKED_AT: Final = 1_000
"""Rows that one page goes through at most while it looks for notes."""

OLDEST_AMONG: Final = 10_000
"""Jobs that ended first, among which a removal of ended jobs chooses the oldest."""

_BODY: Final = frozenset({"payload", "cursor", "result"})
_PAYLOAD: Final = COLUMNS.index("payload")


class Reading:
    """Reads jobs of one schema."""

    def __init__(self, schema: Schema, dialect: Dialect) -> None:
        self._schema = schema
        self._dialect = dialect
        self._filters = Filters(schema, dialect)
        self._statements: dict[tuple[Any, ...], Statement] = {}
        attempt = schema.attempt.c
        attempts = select(attempt.job, attempt.record).where(dialect.among(attempt.job, "ids"))
        self._attempts = dialect.compiled(attempts.order_by(attempt.job, attempt.number))
        self._deletions = [
            dialect.compiled(table.delete().where(dialect.among(column, "ids")))
            for table, column in (
                (schema.attempt, attempt.job),
                (schema.parent, schema.parent.c.child),
                (schema.job, schema.job.c.id),
            )
        ]

    def select(
        self, step: Step, where: Where, order: Order, limit: int, after: str | None, each: int | None, body: bool
    ) -> Page:
        """A page of jobs by (created, id)."""
        if is_impossible(where):
            return Page([])
        if each is not None and (where.keys is not None or where.groups is not None):
            return self._select_each(step, where, order, limit, after, each, body)
        if where.notes:
            return self._select_noted(step, where, order, limit, after, body)
        jobs = self._read(step, where, order, limit + 1, after, body)
        more = len(jobs) > limit
        jobs = jobs[:limit]
        return Page(self._with_attempts(step, jobs) if body else jobs, _cursor(jobs[-1]) if more and jobs else None)

    def _select_each(
        self, step: Step, where: Where, order: Order, limit: int, after: str | None, each: int, body: bool
    ) -> Page:
        """The first of each key, or of each group: one look at the head of each."""
        name = "keys" if where.keys is not None else "groups"
        jobs = [
            job
            for one in dict.fromkeys(getattr(where, name))
            for job in self._first(step, replace(where, **{name: [one]}), order, each, body)
        ]
        jobs.sort(key=_age, reverse=order is Order.NEWEST)
        if after is not None:
            last = _place(after)
            jobs = [job for job in jobs if (_age(job) < last if order is Order.NEWEST else _age(job) > last)]
        return Page(jobs[:limit], _cursor(jobs[limit - 1]) if limit and len(jobs) > limit else None)

    def _first(self, step: Step, where: Where, order: Order, each: int, body: bool) -> list[StoredJob]:
        found: list[StoredJob] = []
        page = Page([], "")
        while page.after is not None and len(found) < each:
            page = self.select(step, where, order, each - len(found), page.after or None, None, body)
            found += page.jobs
        return found

    def _select_noted(self, step: Step, where: Where, order: Order, limit: int, after: str | None, body: bool) -> Page:
        """Notes are compared here, not by the database: its JSON is not Python's. The page may be short."""
        read = self._read(step, where, order, LOOKED_AT + 1, after, body)
        noted = Where(notes=where.notes)
        found = [job for job in read[:LOOKED_AT] if matches(job, noted, step.now)]
        if len(found) > limit:
            return Page(self._with_attempts(step, found[:limit]) if body else found[:limit], _cursor(found[limit - 1]))
        more = _cursor(read[LOOKED_AT - 1]) if len(read) > LOOKED_AT else None
        return Page(self._with_attempts(step, found) if body else found, more)

    def _read(
        self, step: Step, where: Where, order: Order, limit: int, after: str | None, body: bool
    ) -> list[StoredJob]:
        statement = self._statement("select", where, self._selecting, order, after is not None, body)
        named = self._filters.values(where, step.now)
        if after is not None:
            created, identity = _place(after)
            named |= {"last_created": created, "last_id": identity.decode()}
        rows = statement.run(step.cursor, limit=limit, **named).fetchall()
        if not body:
            rows = [(*row[:_PAYLOAD], b"", *row[_PAYLOAD + 1 :]) for row in rows]
        return [job_of(row) for row in rows]

    def _with_attempts(self, step: Step, jobs: list[StoredJob]) -> list[StoredJob]:
        attempts: dict[str, list[bytes]] = {}
        for identity, record in self._attempts.run(step.cursor, ids=self._dialect.listing([job.id for job in jobs])):
            attempts.setdefault(identity, []).append(record)
        return [replace(job, attempts=tuple(attempts[job.id])) if job.id in attempts else job for job in jobs]

    def delete(self, step: Step, where: Where, limit: int) -> list[str]:
        """Removes the oldest that may be removed, with all that is theirs."""
        if is_impossible(where):
            return []
        ids = self._deletable(step, where, limit)
        if ids and self._dialect.locks_rows:
            ids = self._still_deletable(step, where, ids)
        listed = self._dialect.listing(ids)
        if ids:
            for statement in self._deletions:
                statement.run(step.cursor, ids=listed)
        return ids

    def _still_deletable(self, step: Step, where: Where, ids: list[str]) -> list[str]:
        """Those that nobody has taken meanwhile; nobody can now."""
        again = replace(where, ids=[*ids, ""], notes=None)
        statement = self._statement("lock", again, self._locking)
        named = self._filters.values(again, step.now) | {"now": step.now}
        locked = {identity for (identity,) in statement.run(step.cursor, **named)}
        return [identity for identity in ids if identity in locked]

    def _deletable(self, step: Step, where: Where, limit: int) -> list[str]:
        statement = self._statement("delete", where, self._choosing, bool(where.notes))
        named = self._filters.values(where, step.now) | {"now": step.now, "limit": limit, "among": OLDEST_AMONG}
        rows = statement.run(step.cursor, **named)
        if not where.notes:
            return [identity for (identity,) in rows]
        noted = Where(notes=where.notes)
        found = (job.id for job in map(job_of, rows) if matches(job, noted, step.now))
        return [identity for identity, _ in zip(found, range(limit), strict=False)]

    def _statement(self, verb: str, where: Where, build: Callable[..., Select[Any]], *shape: Any) -> Statement:
        key = (verb, filter_key(where), *shape)
        if key not in self._statements:
            self._statements[key] = self._dialect.compiled(build(where, *shape))
        return self._statements[key]

    def _selecting(self, where: Where, order: Order, after: bool, body: bool) -> Select[Any]:
        job = self._schema.job.c
        columns = [null() if not body and name in _BODY else job[name] for name in COLUMNS]
        statement = select(*columns).where(*self._filters.conditions(where))
        index = index_by_state(where)
        if index is not None:
            statement = self._dialect.through(statement, self._schema.job, self._schema.index(index))
        created = self._created(where)
        age, last = tuple_(created, job.id), tuple_(given("last_created"), given("last_id"))
        if order is Order.NEWEST:
            # A row is compared by its columns; the first alone is what every planner can begin at.
            statement = statement.where(created <= given("last_created"), age < last) if after else statement
            statement = statement.order_by(created.desc(), job.id.desc())
        else:
            statement = statement.where(created >= given("last_created"), age > last) if after else statement
            statement = statement.order_by(created, job.id)
        return statement.limit(given("limit"))

    def _created(self, where: Where) -> ColumnElement[Any]:
        """The age of jobs as what they are ordered by: few that are found otherwise are sorted, not met on a walk."""
        created = self._schema.job.c.created
        return created if is_by_age(where) else self._dialect.unindexed(created)

    def _locking(self, where: Where) -> Select[Any]:
        job = self._schema.job.c
        conditions = [*self._filters.conditions(where), self._is_free()]
        return self._dialect.passing_over(select(job.id).where(*conditions).order_by(job.id))

    def _is_free(self) -> ColumnElement[bool]:
        """Whether a job may be removed."""
        job = self._schema.job.c
        lapsed = or_(job.unique_slot.is_(None), job.unique_until.is_(None), job.unique_until <= given("now"))
        return and_(~is_any_of(job.state, HELD), lapsed)

    def _choosing(self, where: Where, noted: bool) -> Select[Any]:
        job = self._schema.job.c
        columns: Sequence[ColumnElement[Any]] = [job[name] for name in COLUMNS] if noted else [job.id]
        conditions = [*self._filters.conditions(where), self._is_free()]
        if noted:
            return select(*columns).where(*conditions).order_by(self._created(where), job.id)
        if where.ended is None:
            oldest = select(*columns).where(*conditions).order_by(self._created(where), job.id)
            return oldest.limit(given("limit"))
        first = select(job.id, job.created).where(*conditions)
        ended = self._dialect.through(first, self._schema.job, self._schema.index("ended"))
        among = ended.order_by(job.ended).limit(given("among")).subquery("first")
        return select(among.c.id).order_by(among.c.created, among.c.id).limit(given("limit"))


def _age(job: StoredJob) -> tuple[Instant, bytes]:
    return job.created, job.id.encode()


def _cursor(job: StoredJob) -> str:
    return f"{job.created}:{job.id}"


def _place(cursor: str) -> tuple[Instant, bytes]:
    created, _, identity = cursor.partition(":")
    return int(created), identity.encode()
