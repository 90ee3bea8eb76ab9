"""Guarded changes of stored jobs.

A change of a common shape is one UPDATE whose conditions are its guards and all that its answer takes for granted: that
nobody awaits the job, that it holds no slot, that no job names it as a parent. Where that moves nothing, the row is
read and the change is made as `longshore.reference` says.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from itertools import groupby
from operator import itemgetter
from typing import Any, Final

from msgspec.structs import replace
from sqlalchemy import ColumnElement, Update, case, exists, null, select

from longshore import reference
from longshore.contract import ATTEMPTS_KEPT, ENDED, HELD, Answer, Change, Outcome, State, StoredJob
from longshore_sql.dialect import Dialect, cell
from longshore_sql.inserting import Inserting
from longshore_sql.rows import COLUMNS, columns_of, job_of, lane_of, stored
from longshore_sql.schema import Lane, Schema, constant, is_any_of
from longshore_sql.statements import Row, Statement, Step, given

_PLAIN: Final = frozenset(
    {
        "attempt", "max_attempts", "crashes", "max_crashes", "snoozes", "codec", "payload", "digest",
        "result_codec", "result", "cursor", "cancel_asked", "awaited", "releases",
    }
)  # fmt: skip
"""Fields that are set without regard to anything else."""

_ATTEMPT: Final = "attempt_record"
_TIMES: Final = frozenset({"delay", "due"})
_BINARY: Final = frozenset({"payload", "digest", "result", "cursor"})
_FLAGS: Final = frozenset({"cancel_asked", "awaited", "releases"})

ROWS: Final = 50
"""Changes that one statement makes where the database can read them from a given table: it takes two thirds of the
time, and in Python other threads go on meanwhile."""

ShapeKey = tuple[Any, ...]
Names = Callable[[str], ColumnElement[Any]]
"""Where in a statement the value of a name comes from."""


def shape_of(change: Change) -> ShapeKey:
    """What changes have in common that are made by one statement."""
    return (
        change.to,
        change.states,
        change.generation is None,
        change.holder is None,
        change.cancel_asked,
        change.settles,
        change.renews,
        *change.fields,
    )


class Shape:
    """One statement for all changes that set the same fields under the same guards, and the answers to them."""

    def __init__(self, schema: Schema, dialect: Dialect, example: Change) -> None:
        self._schema = schema
        self._fields = frozenset(example.fields)
        self.appends = _ATTEMPT in self._fields
        self._converted = [name for name in example.fields if name in _BINARY | _FLAGS]
        self._timed = not self._fields.isdisjoint(_TIMES)
        self._state = example.to if example.to is not None else next(iter(example.states or {State.PENDING}))
        self._renewed = int(example.renews)
        self._example = example
        self._dialect = dialect
        self._single = dialect.compiled(self._update(example, given))

    @staticmethod
    def fits(change: Change) -> bool:
        """Whether the outcome of a change of this shape is known without reading the row."""
        names = change.fields.keys() - {_ATTEMPT}
        if change.generation is None or change.to in {State.RUNNING, State.RESERVED}:
            return False
        if change.to is None:
            sets = bool(change.fields) or change.settles or change.renews
            return sets and change.states is not None and len(change.states) == 1 and names <= _PLAIN
        return names <= (_PLAIN | _TIMES if change.to is State.PENDING else _PLAIN)

    def make(self, step: Step, changes: Sequence[Change]) -> int:
        """Makes each change whose guards hold; how many were made."""
        cursor, now = step
        rows = [self._named(change, now) for change in changes]
        if len(rows) == 1:
            return self._single.run(cursor, **rows[0]).rowcount
        made = 0
        while len(rows) >= ROWS and self._bulk is not None:
            cursor.execute(self._bulk.text, self._bulk.values(rows[:ROWS], now))
            made += cursor.rowcount
            del rows[:ROWS]
        if rows:
            cursor.executemany(self._single.text, map(self._single.values, rows))
            made += cursor.rowcount
        return made

    @cached_property
    def _bulk(self) -> Bulk | None:
        names = sorted({*self._single.names} - {"now"})
        table = self._dialect.table(names, ROWS)
        if table is None:
            return None

        def of(name: str) -> ColumnElement[Any]:
            return table.c[name] if name in table.c else given(name)

        return Bulk(self._dialect.compiled(self._update(self._example, of)), names)

    def _named(self, change: Change, now: int) -> dict[str, Any]:
        named: dict[str, Any] = {
            **change.fields,
            "id": change.id,
            "generation": change.generation,
            "holder": change.holder,
            "now": now,
        }
        for name in self._converted:
            named[name] = stored(named[name])
        if self._timed:
            due = now + named["delay"] if "delay" in named else named["due"]
            named["due"], named["lane"] = due, int(lane_of(State.PENDING, due, now))
        return named

    def answer(self, change: Change) -> Answer:
        """The answer to a change that was made."""
        asked = change.fields.get("cancel_asked", bool(change.cancel_asked))
        awaited = change.fields.get("awaited", False)
        releases = self._state in ENDED and change.fields.get("releases", False)
        return Answer(Outcome.MOVED, self._state, (change.generation or 0) + self._renewed, asked, awaited, releases)

    def _update(self, change: Change, of: Names) -> Update:
        return self._schema.job.update().where(*self._guards(change, of)).values(self._values(change, of))

    def _guards(self, change: Change, of: Names) -> list[ColumnElement[bool]]:
        job = self._schema.job.c
        guards = [job.id == of("id"), job.generation == of("generation")]
        if change.states is not None:
            guards.append(is_any_of(job.state, change.states))
        if change.holder is not None:
            guards.append(job.holder == of("holder"))
        if change.cancel_asked is not None or "cancel_asked" not in change.fields:
            guards.append(job.cancel_asked == constant(bool(change.cancel_asked)))
        if "awaited" not in change.fields:
            guards.append(job.awaited == constant(False))
        if self._state in ENDED and "releases" not in change.fields:
            guards.append(job.releases == constant(False))
        if change.to in ENDED:
            child = select(self._schema.parent.c.child).where(self._schema.parent.c.parent == job.id)
            guards += [job.unique_slot.is_(None), job.turn.is_(None), ~exists(child)]
        return guards

    def _values(self, change: Change, of: Names) -> dict[str, Any]:
        job = self._schema.job.c
        values: dict[str, Any] = {}
        if change.to in ENDED:
            values = {"ended": of("now"), "holder": null()}
        elif change.to is not None:
            cleared = ("ended", "holder", "result", "result_codec")
            values = {name: null() for name in cleared} | {"releases": constant(False)}
        if change.to is not None:
            values["state"] = constant(change.to)
            if change.states is None or not change.states <= HELD or change.to not in ENDED:
                values["lane"] = self._lane(change.to, of)
        values |= {name: of(name) for name in self._fields - _TIMES - {_ATTEMPT}}
        if self.appends:
            values["tries"] = job.tries + constant(1)
        if self._timed:
            values["due"] = of("due")
        if change.settles:
            values |= {"settled": of("generation"), "settled_by": of("holder")}
        if change.renews:
            values["generation"] = job.generation + constant(1)
        return values

    def _lane(self, to: State, of: Names) -> ColumnElement[Any]:
        if to is not State.PENDING:
            return constant(Lane.NONE)
        if self._timed:
            return of("lane")
        due = self._schema.job.c.due
        return case((due <= of("now"), constant(Lane.READY)), else_=constant(Lane.FUTURE))


class Bulk:
    """One statement for `ROWS` changes."""

    def __init__(self, statement: Statement, names: Sequence[str]) -> None:
        self.text = statement.text
        self._pick = itemgetter(*names)
        self._arranged = statement.arranged([*(cell(name, row) for row in range(ROWS) for name in names), "now"])

    def values(self, rows: Sequence[Mapping[str, Any]], now: int) -> Row:
        """The values of the statement: those of each change, and the time."""
        return self._arranged([value for row in rows for value in self._pick(row)] + [now])


class Changing:
    """Changes jobs of one schema."""

    def __init__(self, schema: Schema, dialect: Dialect, inserting: Inserting) -> None:
        self._schema = schema
        self._dialect = dialect
        self._inserting = inserting
        self._shapes: dict[ShapeKey, Shape | None] = {}
        self._writes: dict[tuple[str, ...], Statement] = {}
        job, parent, attempt = schema.job.c, schema.parent.c, schema.attempt.c
        self._find = dialect.compiled(select(*(job[name] for name in COLUMNS)).where(job.id == given("id")))
        self._slot = dialect.compiled(select(job.id).where(job.unique_slot == given("unique_slot")))
        self._turn = dialect.compiled(select(job.id).where(job.key == given("key"), job.turn == given("turn")))
        self._orphan = dialect.compiled(schema.parent.delete().where(parent.child == given("id")))
        waiting = job.state == constant(State.WAITING)
        self._children = dialect.compiled(
            select(job.id)
            .join_from(schema.parent, schema.job, parent.child == job.id)
            .where(parent.parent == given("id"), waiting)
            .limit(constant(1))
        )
        self._queued = dialect.compiled(select(job.id).where(job.key == given("key"), waiting).limit(constant(1)))
        made = select(job.id, job.tries, given("record")).where(job.id == given("id"))
        self._attempt = dialect.compiled(schema.attempt.insert().from_select(["job", "number", "record"], made))
        last = select(job.tries - constant(ATTEMPTS_KEPT)).where(job.id == given("id")).scalar_subquery()
        forgotten = (attempt.job == given("id")) & (attempt.number <= last)
        self._forget = dialect.compiled(schema.attempt.delete().where(forgotten))

    def update(self, step: Step, changes: Sequence[Change]) -> list[Answer]:
        """Makes each change whose guards hold, those that take no slot first, and answers each."""
        if any(map(reference.takes_slot, changes)):
            ordered = sorted(changes, key=reference.takes_slot)
            answered = zip(ordered, self._update_in_order(step, ordered), strict=True)
            answers = {change.id: answer for change, answer in answered}
            return [answers[change.id] for change in changes]
        return self._update_in_order(step, changes)

    def _update_in_order(self, step: Step, changes: Sequence[Change]) -> list[Answer]:
        answers: list[Answer] = []
        for key, run in groupby(changes, shape_of):
            alike = list(run)
            shape = self._shape(key, alike[0])
            if shape is not None and self._moves_all(step, shape, alike):
                answers += map(shape.answer, alike)
            else:
                answers += [self._update_one(step, shape, change) for change in alike]
        return answers

    def _shape(self, key: ShapeKey, example: Change) -> Shape | None:
        if key not in self._shapes:
            fits = Shape.fits(example)
            self._shapes[key] = Shape(self._schema, self._dialect, example) if fits else None
        return self._shapes[key]

    def _moves_all(self, step: Step, shape: Shape, changes: list[Change]) -> bool:
        """Whether every change was made by the statement of its shape; if not, none was."""
        if len(changes) == 1:
            return False
        cursor = step.cursor
        cursor.execute("SAVEPOINT longshore_update")
        moved = shape.make(step, changes) == len(changes)
        if moved and shape.appends:
            self._append(step, changes)
        if not moved:
            cursor.execute("ROLLBACK TO SAVEPOINT longshore_update")
        cursor.execute("RELEASE SAVEPOINT longshore_update")
        return moved

    def _update_one(self, step: Step, shape: Shape | None, change: Change) -> Answer:
        if shape is not None and shape.make(step, [change]) == 1:
            if shape.appends:
                self._append(step, [change])
            return shape.answer(change)
        row = self._find.run(step.cursor, id=change.id).fetchone()
        if row is None:
            return Answer(Outcome.REFUSED)
        job = job_of(row)
        if not reference.guards_hold(job, change):
            made = reference.was_made(job, change)
            return _answer(Outcome.REPEATED if made else Outcome.REFUSED, job)
        after = reference.changed(job, change, step.now)
        if self._is_taken_by_another(step, after, change):
            return _answer(Outcome.HELD, job)
        if after.state in ENDED and job.state not in ENDED and self._has_waiting(step, job):
            after = replace(after, releases=True)
        self._write(step, job, after)
        return _answer(Outcome.MOVED, after)

    def _has_waiting(self, step: Step, job: StoredJob) -> bool:
        """Whether waiting jobs name this one as a parent, or wait for the turn that it has."""
        if job.turn is not None and self._queued.run(step.cursor, key=job.key).fetchone() is not None:
            return True
        return self._children.run(step.cursor, id=job.id).fetchone() is not None

    def _is_taken_by_another(self, step: Step, job: StoredJob, change: Change) -> bool:
        """Whether the slots that the change takes are another job's."""
        names = change.fields.keys()
        if job.unique_held and job.unique_key is not None and not names.isdisjoint({"unique_held", "unique_key"}):
            self._inserting.frees_lapsed(step, job.unique_key)
            holder = self._slot.run(step.cursor, unique_slot=job.unique_key).fetchone()
            if holder is not None and holder[0] != job.id:
                return True
        if "turn" in names and job.key is not None and job.turn is not None:
            holder = self._turn.run(step.cursor, key=job.key, turn=job.turn).fetchone()
            return holder is not None and holder[0] != job.id
        return False

    def _write(self, step: Step, before: StoredJob, after: StoredJob) -> None:
        """Stores what is different."""
        old, new = columns_of(before, step.now), columns_of(after, step.now)
        names = [name for name, value in new.items() if value != old[name]]
        if after.state is State.PENDING:
            names = [*dict.fromkeys([*names, "lane"])]  # Perhaps it stands aside, or was not promoted yet.
        if names:
            self._setting(tuple(names)).run(step.cursor, the_id=after.id, **{name: new[name] for name in names})
        if before.parents != after.parents:
            self._orphan.run(step.cursor, id=after.id)
            self._inserting.add_parents(step, [after])
        if after.attempts:
            self._append(step, [Change(after.id, fields={"attempt_record": after.attempts[-1]})])

    def _append(self, step: Step, changes: Sequence[Change]) -> None:
        """Stores the attempts of changes that were made, and forgets those that are too old."""
        named = [{"id": change.id, "record": bytearray(change.fields["attempt_record"])} for change in changes]
        for statement in (self._attempt, self._forget):
            step.cursor.executemany(statement.text, [statement.values(values) for values in named])

    def _setting(self, names: tuple[str, ...]) -> Statement:
        if names not in self._writes:
            job = self._schema.job
            values = {name: given(name) for name in names}
            this = job.c.id == given("the_id")
            self._writes[names] = self._dialect.compiled(job.update().where(this).values(values))
        return self._writes[names]


def _answer(outcome: Outcome, job: StoredJob) -> Answer:
    releases = job.releases and job.state in ENDED
    return Answer(outcome, job.state, job.generation, job.cancel_asked, job.awaited, releases)
