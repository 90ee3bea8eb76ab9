"""Storing new jobs."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import Any, Final, NamedTuple

from msgspec.structs import astuple, replace
from sqlalchemy import Select, Update, null, select

from longshore.contract import Inserted, Insertion, Instant, NewJob, State, StoredJob
from longshore.errors import Unavailable
from longshore.reference import born
from longshore_sql.dialect import Dialect
from longshore_sql.rows import columns_of
from longshore_sql.schema import Lane, Schema, constant
from longshore_sql.statements import Row, Statement, Step, given

TRIES: Final = 3
"""How often a job whose slot was freed meanwhile is tried again."""

_FIELDS: Final = NewJob.__struct_fields__
_DEFAULTS: Final = astuple(NewJob("", "", "", b""))
_RARE: Final = slice(_FIELDS.index("expires_in"), _FIELDS.index("max_attempts"))
_LIMITS: Final = slice(_FIELDS.index("max_attempts"), _FIELDS.index("unique_key"))
_REST: Final = slice(_FIELDS.index("unique_key"), None)
PLAIN_COLUMNS: Final = (
    "id", "queue", "task", "payload", "codec", "digest", "priority", "created", "due", "lane",
    "max_attempts", "max_crashes",
)  # fmt: skip

_TURN_TAKEN: Final = Inserted(Insertion.HELD)
INSERTED: Final = {state: Inserted(Insertion.INSERTED, state) for state in State}


class Prepared(NamedTuple):
    """A job that is to be stored, and what is put into which columns."""

    job: StoredJob
    needs_turn: bool
    columns: dict[str, Any]

    @property
    def shape(self) -> tuple[str, ...] | None:
        """The columns, None where their values depend on what is stored already."""
        return None if self.needs_turn else tuple(self.columns)


class Inserting:
    """Stores jobs of one schema."""

    def __init__(self, schema: Schema, dialect: Dialect) -> None:
        self._schema = schema
        self._dialect = dialect
        self._shapes: dict[tuple[str, ...], Statement] = {}
        self._plain = self._statement(PLAIN_COLUMNS, state=State.PENDING)
        self._arranged = self._plain.arranged(PLAIN_COLUMNS)
        self._find = self._looks(self._finding())
        self._slot = self._looks(self._finding_slot())
        self._free = dialect.compiled(self._freeing())
        self._turn = self._looks(self._finding_turn())
        self._turns = self._looks(self._finding_turns())
        self._queued = dialect.compiled(self._finding_queued())
        self._parent = self._adding("parent", "parent", "child")
        self._attempt = self._adding("attempt", "job", "number", "record")

    def insert(self, step: Step, jobs: Sequence[NewJob | StoredJob]) -> list[Inserted]:
        """Stores each, in order, and answers each."""
        rows = plain_rows(jobs, step.now)
        if rows is not None and self._stores_all(step, self._plain, [self._arranged(row) for row in rows]):
            return [INSERTED[State.PENDING]] * len(jobs)
        answers: list[Inserted] = []
        ready = (prepared(job, step.now, position) for position, job in enumerate(jobs))
        for shape, run in groupby(ready, lambda one: one.shape):
            answers += self._insert_run(step, shape, list(run))
        return answers

    def _insert_run(self, step: Step, shape: tuple[str, ...] | None, run: list[Prepared]) -> list[Inserted]:
        if shape is not None:
            statement = self._statement(shape)
            if self._stores_all(step, statement, [statement.values(one.columns) for one in run]):
                self._add_belongings(step, [one.job for one in run])
                return [INSERTED[one.job.state] for one in run]
        return [self._insert_one(step, one) for one in run]

    def _stores_all(self, step: Step, statement: Statement, rows: list[Row]) -> bool:
        """Whether none of the rows clashed; if one did, none is stored."""
        cursor = step.cursor
        if len(rows) == 1:
            cursor.execute(statement.text, rows[0])
            return cursor.rowcount == 1
        cursor.execute("SAVEPOINT longshore_insert")
        cursor.executemany(statement.text, rows)
        if cursor.rowcount == len(rows):
            cursor.execute("RELEASE SAVEPOINT longshore_insert")
            return True
        cursor.execute("ROLLBACK TO SAVEPOINT longshore_insert")
        cursor.execute("RELEASE SAVEPOINT longshore_insert")
        return False

    def _insert_one(self, step: Step, asked: Prepared) -> Inserted:
        job, columns = asked.job, asked.columns
        for number in range(TRIES):
            if asked.needs_turn:
                job = self._with_turn(step, job, again=number > 0)
                columns = columns_of(job, step.now)
            if self._stores(step, columns):
                self._add_belongings(step, [job])
                return INSERTED[job.state]
            clash = self._clash(step, job)
            # A turn that is another's by now was not asked for: the next is taken, or none.
            if clash is not None and not (asked.needs_turn and clash is _TURN_TAKEN):
                return clash
        raise Unavailable(f"the slots of job {job.id!r} were taken and freed {TRIES} times meanwhile; insert it again")

    def _stores(self, step: Step, columns: dict[str, Any]) -> bool:
        """Whether the row did not clash with one that is there."""
        return self._statement(tuple(columns)).run(step.cursor, **columns).rowcount == 1

    def _clash(self, step: Step, job: StoredJob) -> Inserted | None:
        """With what the job clashed, None where that has gone."""
        if stored := self._find[step.may_lag].run(step.cursor, id=job.id).fetchone():
            state, task, digest = stored
            return Inserted(Insertion.REPEATED, State(state), task=task, digest=digest)
        if job.unique_held and job.unique_key is not None:
            holder = self.slot_holder(step, job.unique_key)
            if holder is not None:
                return Inserted(Insertion.HELD, held_by=holder)
        if job.turn is not None and self._turn_is_taken(step, job):
            return _TURN_TAKEN
        return None

    def slot_holder(self, step: Step, unique_key: str) -> str | None:
        """The job that holds a unique slot; one whose unique period has passed loses it."""
        holder = self._slot[step.may_lag].run(step.cursor, unique_slot=unique_key).fetchone()
        if holder is None:
            return None
        identity, until = holder
        if until is None or until > step.now:
            return str(identity)
        # Only where it must be: who frees a slot needs it for himself, and others may be looking at it.
        self._free.run(step.cursor, unique_slot=unique_key, now=step.now)
        return None

    def _with_turn(self, step: Step, job: StoredJob, *, again: bool) -> StoredJob:
        if self._queued.run(step.cursor, key=job.key).fetchone() is None:
            taken = {turn for (turn,) in self._turns[again and step.may_lag].run(step.cursor, key=job.key)}
            for turn in range(job.turns):
                if turn not in taken:
                    return replace(job, state=State.PENDING, turn=turn)
        return replace(job, state=State.WAITING, turn=None)

    def _add_belongings(self, step: Step, jobs: list[StoredJob]) -> None:
        self.add_parents(step, jobs)
        attempts = [
            {"job": job.id, "number": number, "record": record}
            for job in jobs
            if job.attempts
            for number, record in enumerate(job.attempts, job.tries - len(job.attempts) + 1)
        ]
        if attempts:
            step.cursor.executemany(self._attempt.text, map(self._attempt.values, attempts))

    def add_parents(self, step: Step, jobs: list[StoredJob]) -> None:
        """Stores whose children the jobs are."""
        parents = [{"parent": parent, "child": job.id} for job in jobs for parent in job.parents]
        if parents:
            step.cursor.executemany(self._parent.text, map(self._parent.values, parents))

    def _turn_is_taken(self, step: Step, job: StoredJob) -> bool:
        found = self._turn[step.may_lag].run(step.cursor, key=job.key, turn=job.turn)
        return found.fetchone() is not None

    def _looks(self, statement: Select[Any]) -> tuple[Statement, Statement]:
        """A look as the transaction sees it, and one that sees what is committed by now."""
        return self._dialect.compiled(statement), self._dialect.compiled(self._dialect.current(statement))

    def _statement(self, columns: tuple[str, ...], **constants: int) -> Statement:
        if columns not in self._shapes:
            values: dict[str, Any] = {name: given(name) for name in columns}
            values |= {name: constant(value) for name, value in constants.items()}
            self._shapes[columns] = self._dialect.compiled(self._dialect.inserting(self._schema.job).values(values))
        return self._shapes[columns]

    def _adding(self, table: str, *columns: str) -> Statement:
        values = {name: given(name) for name in columns}
        return self._dialect.compiled(self._dialect.inserting(getattr(self._schema, table)).values(values))

    def _finding(self) -> Select[Any]:
        job = self._schema.job.c
        return select(job.state, job.task, job.digest).where(job.id == given("id"))

    def _finding_slot(self) -> Select[Any]:
        job = self._schema.job.c
        return select(job.id, job.unique_until).where(job.unique_slot == given("unique_slot"))

    def _freeing(self) -> Update:
        table = self._schema.job
        lapsed = (table.c.unique_slot == given("unique_slot")) & (table.c.unique_until <= given("now"))
        return table.update().where(lapsed).values(unique_slot=null())

    def _finding_turn(self) -> Select[Any]:
        job = self._schema.job.c
        return select(job.id).where(job.key == given("key"), job.turn == given("turn"))

    def _finding_turns(self) -> Select[Any]:
        job = self._schema.job.c
        return select(job.turn).where(job.key == given("key"), job.turn.is_not(None))

    def _finding_queued(self) -> Select[Any]:
        job = self._schema.job.c
        return (
            select(job.id).where(job.key == given("key"), job.state == self._dialect.unforeseen(State.WAITING)).limit(1)
        )


def plain_values(jobs: Sequence[NewJob | StoredJob]) -> list[Row] | None:
    """The fields of jobs that have nothing but what every job has; None if any of them has more.

    They are those up to ``due``, and then ``max_attempts`` and ``max_crashes``."""
    found = []
    rare, rest = _DEFAULTS[_RARE], _DEFAULTS[_REST]
    for job in jobs:
        values = astuple(job)
        if type(job) is not NewJob or values[_RARE] != rare or values[_REST] != rest:
            return None
        if job.max_attempts is None:
            return None
        found.append(values[: _RARE.start] + values[_LIMITS])
    return found


def plain_rows(jobs: Sequence[NewJob | StoredJob], now: Instant) -> list[Row] | None:
    """The rows of jobs that have nothing but what every job has; None if any of them has more."""
    found = plain_values(jobs)
    if found is None:
        return None
    rows = []
    ready, future = int(Lane.READY), int(Lane.FUTURE)
    for position, values in enumerate(found):
        identity, queue, task, payload, codec, digest, priority, delay, due, *limits = values
        due = now + delay if due is None else due
        lane = ready if due <= now else future
        # The driver of SQLite looks long for an adapter of bytes, and takes a bytearray at once.
        payload, digest = bytearray(payload), bytearray(digest)
        created = now + position
        rows.append((identity, queue, task, payload, codec, digest, priority, created, due, lane, *limits))
    return rows


def prepared(asked: NewJob | StoredJob, now: Instant, position: int) -> Prepared:
    """The job that is to be stored for what was asked, as element number ``position``."""
    job = born(asked, now, position) if isinstance(asked, NewJob) else asked
    needs_turn = isinstance(asked, NewJob) and job.key is not None and job.state is State.PENDING
    return Prepared(job, needs_turn, {} if needs_turn else columns_of(job, now))
