"""Guarded changes of stored jobs.

A change of a common shape is one UPDATE whose conditions are its guards and all that its answer takes for granted: that
nobody awaits the job, that it holds no slot, that no job names it as a parent. Where that moves nothing, the row is
read and the change is made as `longshore.reference` says.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from itertools import groupby
from typing import Any, NamedTuple

from msgspec.structs import replace
from sqlalchemy import exists, select

from longshore import reference
from longshore.contract import ATTEMPTS_KEPT, ENDED, Answer, Change, Outcome, State, StoredJob
from longshore_sql.dialect import Dialect
from longshore_sql.inserting import Inserting
from longshore_sql.rows import COLUMNS, changed_columns, job_of
from longshore_sql.schema import Schema, constant, is_any_of
from longshore_sql.shapes import ROWS, ArrayBulk, Bulk, Shape, ShapeKey, shape_of
from longshore_sql.statements import Asked, Cursor, Row, Statement, Step, given, post


class Run(NamedTuple):
    """Changes of one shape that follow each other; without one they are made singly."""

    shape: Shape | None
    bulk: Bulk | ArrayBulk | None
    changes: list[Change]


class Prepared(NamedTuple):
    """Changes as they were given, in the order in which they are made, and in runs."""

    given: Sequence[Change]
    ordered: Sequence[Change]
    runs: list[Run]
    freed_turns: set[str]
    """The jobs whose turns were freed, once they are."""

    @property
    def locks_itself(self) -> bool:
        """Whether one statement does it all, and takes its rows in the order in which everybody does."""
        if len(self.given) == 1:
            return True
        return len(self.runs) == 1 and isinstance(self.runs[0].bulk, ArrayBulk)


class _Known(NamedTuple):
    """What is stored of the jobs that changes concern."""

    rows: dict[str, Row]
    parents: set[str]
    """Those that are named as a parent."""


class Changing:
    """Changes jobs of one schema."""

    def __init__(self, schema: Schema, dialect: Dialect, inserting: Inserting) -> None:
        self._schema = schema
        self._dialect = dialect
        self._inserting = inserting
        self._shapes: dict[ShapeKey, Shape | None] = {}
        self._writes: dict[tuple[str, ...], Statement] = {}
        job, parent, attempt = schema.job.c, schema.parent.c, schema.attempt.c
        self._lock = dialect.compiled(
            dialect.holding(select(job.id).where(dialect.among(job.id, "ids")).order_by(job.id))
        )
        found = select(*(job[name] for name in COLUMNS)).where(job.id == given("id"))
        self._find = dialect.compiled(dialect.locking(found))
        whole = select(*(job[name] for name in COLUMNS)).where(dialect.among(job.id, "ids"))
        self._find_all = dialect.compiled(whole)
        named = select(parent.parent).where(dialect.among(parent.parent, "ids")).distinct()
        self._parents = dialect.compiled(named)
        self._turn = dialect.compiled(select(job.id).where(job.key == given("key"), job.turn == given("turn")))
        self._orphan = dialect.compiled(schema.parent.delete().where(parent.child == given("id")))
        waiting = job.state == dialect.unforeseen(State.WAITING)
        child = select(parent.child).where(parent.parent == given("id"), schema.is_waiting(parent.child))
        self._children = dialect.compiled(child.limit(constant(1)))
        named = select(parent.parent).where(dialect.among(parent.parent, "ids"), schema.is_waiting(parent.child))
        self._followed = dialect.compiled(named.distinct())
        self._release = dialect.compiled(self._releasing())
        marked = schema.job.update().where(dialect.among(job.id, "ids")).values(releases=constant(True))
        self._mark = dialect.compiled(marked)
        self._queued = dialect.compiled(select(job.id).where(job.key == given("key"), waiting).limit(constant(1)))
        made = select(job.id, job.tries, given("record")).where(job.id == given("id"))
        self._attempt = dialect.compiled(schema.attempt.insert().from_select(["job", "number", "record"], made))
        last = select(job.tries - constant(ATTEMPTS_KEPT)).where(job.id == given("id")).scalar_subquery()
        forgotten = (attempt.job == given("id")) & (attempt.number <= last)
        self._forget = dialect.compiled(schema.attempt.delete().where(forgotten))

    def prepared(self, changes: Sequence[Change]) -> Prepared:
        """Puts changes in the order in which they are made, those that take no slot first, and compiles what they need.

        It takes milliseconds when a shape is met for the first time: so it is done before the store is locked."""
        runs = self._runs(changes)
        # A change of a common shape takes no slot.
        if all(run.shape is not None for run in runs) or not any(map(reference.takes_slot, changes)):
            return Prepared(changes, changes, runs, set())
        ordered = sorted(changes, key=reference.takes_slot)
        return Prepared(changes, ordered, self._runs(ordered), set())

    def update(self, step: Step, prepared: Prepared) -> list[Answer]:
        """Makes each change whose guards hold, and answers each."""
        if self._dialect.locks_rows and not prepared.locks_itself:
            self._lock.run(step.cursor, ids=self._dialect.listing(sorted(change.id for change in prepared.given)))
        prepared.freed_turns.clear()
        answers: list[Answer] = []
        for run in prepared.runs:
            answers += self._update_run(step, run, prepared)
        if prepared.ordered is prepared.given:
            return answers
        by_id = {change.id: answer for change, answer in zip(prepared.ordered, answers, strict=True)}
        return [by_id[change.id] for change in prepared.given]

    def suspects(self, prepared: Prepared, answers: Sequence[Answer]) -> list[str]:
        """The jobs that were ended, as far as one could tell for nobody; who made that end before may not have looked
        whether anybody waits."""
        found = []
        for change, answer in zip(prepared.given, answers, strict=True):
            was_made = answer.outcome in (Outcome.MOVED, Outcome.REPEATED)
            if was_made and change.to in ENDED and not answer.releases:
                found.append(change.id)
                if answer.outcome is Outcome.REPEATED:
                    prepared.freed_turns.add(change.id)
        return found

    def followed(self, cursor: Cursor, suspects: Sequence[str], freed_turns: Iterable[str]) -> list[str]:
        """Those of the suspects for which somebody may wait, after all."""
        asked = self.asked_for_followers(suspects)
        cursor.execute(asked.text, asked.values)
        found = {identity for (identity,) in cursor.fetchall()}
        found.update(freed_turns)
        return [identity for identity in suspects if identity in found]

    def asked_for_followers(self, ids: Iterable[str]) -> Asked:
        """What asks which of the jobs are parents of a job that waits."""
        return self._followed.asked(ids=self._dialect.listing(ids))

    def releasing(self, step: Step, ids: Sequence[str], freed_turns: Iterable[str]) -> set[str]:
        """Those of the ended jobs for which somebody waits, after all: marked so now."""
        listing = self._dialect.listing
        self._lock.run(step.cursor, ids=listing(sorted(ids)))
        rows = self._release.run(step.cursor, ids=listing(ids), freed=listing(freed_turns))
        found = {identity for (identity,) in rows}
        if found:
            self._mark.run(step.cursor, ids=listing(sorted(found)))
        return found

    def _runs(self, changes: Sequence[Change]) -> list[Run]:
        return [self._run(key, list(run)) for key, run in groupby(changes, shape_of)]

    def _run(self, key: ShapeKey, changes: list[Change]) -> Run:
        shape = self._shape(key, changes[0])
        least = 2 if self._dialect.has_arrays or self._dialect.repeats_rows else ROWS
        bulk = shape.bulk if shape is not None and len(changes) >= least else None
        if isinstance(bulk, ArrayBulk) and len({change.id for change in changes}) < len(changes):
            bulk = None  # Of two changes of one job it would make one, and nobody knows which.
        return Run(shape, bulk, changes)

    def _shape(self, key: ShapeKey, example: Change) -> Shape | None:
        if key not in self._shapes:
            fits = Shape.fits(example)
            self._shapes[key] = Shape(self._schema, self._dialect, example) if fits else None
        return self._shapes[key]

    def _update_run(self, step: Step, run: Run, prepared: Prepared) -> list[Answer]:
        shape, changes = run.shape, run.changes
        if shape is None:
            known = self._known(step, run)
            return [self._update_one(step, None, change, prepared, known) for change in changes]
        if isinstance(run.bulk, ArrayBulk):
            made: Collection[int] = self._made(step, shape, run.bulk, changes)
        else:
            made = range(len(changes)) if self._moves_all(step, shape, run) else ()
        if len(made) == len(changes):
            return shape.answers(changes)
        return [
            shape.answer(change) if position in made else self._update_one(step, shape, change, prepared, None)
            for position, change in enumerate(changes)
        ]

    def _made(self, step: Step, shape: Shape, bulk: ArrayBulk, changes: Sequence[Change]) -> set[int]:
        """The places of the changes that the statement of their shape made."""
        made = shape.make_by_arrays(step, changes, bulk)
        if made and shape.appends:
            self._append(step, [changes[position] for position in sorted(made)])
        return made

    def _moves_all(self, step: Step, shape: Shape, run: Run) -> bool:
        """Whether every change was made by the statement of its shape; if not, none was."""
        changes = run.changes
        if len(changes) == 1:
            return False
        cursor = step.cursor
        post(cursor, "SAVEPOINT longshore_update")
        bulk = run.bulk if isinstance(run.bulk, Bulk) else None
        moved = shape.make(step, changes, bulk) == len(changes)
        if moved and shape.appends:
            self._append(step, changes)
        if not moved:
            post(cursor, "ROLLBACK TO SAVEPOINT longshore_update")
        post(cursor, "RELEASE SAVEPOINT longshore_update")
        return moved

    def _known(self, step: Step, run: Run) -> _Known | None:
        """What the changes of a run concern, read at once; None where one of them may change what is read for another.

        All rows are locked: nobody else changes them."""
        changes = run.changes
        if not self._dialect.locks_rows or run.shape is not None or len(changes) == 1:
            return None
        if any(reference.takes_slot(change) or "parents" in change.fields for change in changes):
            return None
        ids = self._dialect.listing(change.id for change in changes)
        rows = {row[0]: row for row in self._find_all.run(step.cursor, ids=ids)}
        ends = any(change.to in ENDED for change in changes)
        return _Known(rows, {parent for (parent,) in self._parents.run(step.cursor, ids=ids)} if ends else set())

    def _update_one(
        self, step: Step, shape: Shape | None, change: Change, prepared: Prepared, known: _Known | None
    ) -> Answer:
        if shape is not None and shape.make(step, [change]) == 1:
            if shape.appends:
                self._append(step, [change])
            return shape.answer(change)
        row = known.rows.get(change.id) if known else self._find.run(step.cursor, id=change.id).fetchone()
        if row is None:
            return Answer(Outcome.REFUSED)
        job = job_of(row)
        if not reference.guards_hold(job, change):
            made = reference.was_made(job, change)
            return _answer(Outcome.REPEATED if made else Outcome.REFUSED, job)
        after = reference.changed(job, change, step.now)
        if self._is_taken_by_another(step, after, change):
            return _answer(Outcome.HELD, job)
        if after.state in ENDED and job.state not in ENDED:
            if job.turn is not None:
                prepared.freed_turns.add(job.id)
            if self._has_waiting(step, job, known):
                after = replace(after, releases=True)
        if not self._stores(step, job, after, change):
            return _answer(Outcome.HELD, job)
        return _answer(Outcome.MOVED, after)

    def _has_waiting(self, step: Step, job: StoredJob, known: _Known | None) -> bool:
        """Whether waiting jobs name this one as a parent, or wait for the turn that it has."""
        if job.turn is not None and self._queued.run(step.cursor, key=job.key).fetchone() is not None:
            return True
        if known and job.id not in known.parents:
            return False
        return self._children.run(step.cursor, id=job.id).fetchone() is not None

    def _is_taken_by_another(self, step: Step, job: StoredJob, change: Change) -> bool:
        """Whether the slots that the change takes are another job's."""
        names = change.fields.keys()
        takes_slot = job.unique_held and not names.isdisjoint({"unique_held", "unique_key"})
        if takes_slot and job.unique_key is not None:
            holder = self._inserting.slot_holder(step, job.unique_key)
            if holder not in {None, job.id}:
                return True
        if "turn" in names and job.key is not None and job.turn is not None:
            row = self._turn.run(step.cursor, key=job.key, turn=job.turn).fetchone()
            return row is not None and row[0] != job.id
        return False

    def _stores(self, step: Step, before: StoredJob, after: StoredJob, change: Change) -> bool:
        """Whether it could be stored; not where another has just taken the slot that it takes."""
        if not (self._dialect.locks_rows and reference.takes_slot(change)):
            self._write(step, before, after)
            return True
        step.cursor.execute("SAVEPOINT longshore_take")
        try:
            self._write(step, before, after)
        except self._dialect.clash:
            step.cursor.execute("ROLLBACK TO SAVEPOINT longshore_take")
            return False
        step.cursor.execute("RELEASE SAVEPOINT longshore_take")
        return True

    def _write(self, step: Step, before: StoredJob, after: StoredJob) -> None:
        """Stores what is different."""
        values = changed_columns(before, after, step.now)
        if values:
            self._setting(tuple(values)).run(step.cursor, the_id=after.id, **values)
        if before.parents != after.parents:
            self._orphan.run(step.cursor, id=after.id)
            self._inserting.add_parents(step, [after])
        if after.attempts:
            self._append(step, [Change(after.id, fields={"attempt_record": after.attempts[-1]})])

    def _releasing(self) -> Any:
        job, waiting = self._schema.job, self._schema.job.alias("waiting")
        parent = self._schema.parent.c
        is_waiting = waiting.c.state == self._dialect.unforeseen(State.WAITING)
        child = exists().where(parent.parent == job.c.id, self._schema.is_waiting(parent.child))
        follower = exists().where(waiting.c.key == job.c.key, is_waiting)
        somebody = child | (self._dialect.among(job.c.id, "freed") & follower)
        ended = is_any_of(job.c.state, ENDED) & (job.c.releases == constant(False))
        return select(job.c.id).where(self._dialect.among(job.c.id, "ids"), ended, somebody)

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
