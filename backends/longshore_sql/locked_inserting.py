"""Storing new jobs where many write at once.

A call's jobs go in together, as one array for each column, and the answer says which are stored. They go in an order
that is the same for everybody, so that of two who insert the same jobs one waits for the other, and never both.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import Any

from sqlalchemy import ARRAY, ColumnElement, bindparam, column, func, select

from longshore.contract import Inserted, Insertion, NewJob, State, StoredJob
from longshore_sql.dialect import Dialect
from longshore_sql.inserting import INSERTED, PLAIN_COLUMNS, Inserting, Prepared, plain_rows, prepared
from longshore_sql.schema import Schema, constant
from longshore_sql.statements import Row, Statement, Step, parameter


class LockedInserting(Inserting):
    """Stores jobs of one schema."""

    def __init__(self, schema: Schema, dialect: Dialect) -> None:
        super().__init__(schema, dialect)
        self._bulks: dict[tuple[str, ...], Statement] = {}
        job = schema.job.c
        found = select(job.id, job.state, job.task, job.digest).where(dialect.among(job.id, "ids"))
        self._find_all = self._looks(found)

    def insert(self, step: Step, jobs: Sequence[NewJob | StoredJob]) -> list[Inserted]:
        """Stores each, and answers each."""
        rows = plain_rows(jobs, step.now)
        if rows is not None and len({job.id for job in jobs}) == len(jobs):
            return self._insert_plain(step, jobs, sorted(rows))
        answers: dict[int, Inserted] = {}
        order = _order(jobs)
        ready = ((position, prepared(jobs[position], step.now, position)) for position in order)
        for shape, grouped in groupby(ready, lambda one: one[1].shape):
            run = list(grouped)
            found = self._insert_all(step, shape, [one for _, one in run])
            answers.update(zip((position for position, _ in run), found, strict=True))
        return [answers[position] for position in range(len(jobs))]

    def _insert_plain(self, step: Step, jobs: Sequence[NewJob | StoredJob], rows: list[Row]) -> list[Inserted]:
        landed = self._landed(step, PLAIN_COLUMNS, rows, state=State.PENDING)
        if len(landed) == len(jobs):
            return [INSERTED[State.PENDING]] * len(jobs)
        rest = {job.id: prepared(job, step.now, position) for position, job in enumerate(jobs) if job.id not in landed}
        repeated = self._repeated(step, list(rest.values()))
        return [
            INSERTED[State.PENDING]
            if job.id in landed
            else repeated.get(job.id) or self._insert_one(step, rest[job.id])
            for job in jobs
        ]

    def _insert_all(self, step: Step, shape: tuple[str, ...] | None, run: list[Prepared]) -> list[Inserted]:
        if shape is None or len(run) == 1:
            return [self._insert_one(step, one) for one in run]
        landed = self._landed(step, shape, [tuple(one.columns[name] for name in shape) for one in run])
        mine = []
        for one in run:
            if one.job.id in landed:
                landed.remove(one.job.id)  # The second of two with one id has not landed.
                mine.append(one)
        self._add_belongings(step, [one.job for one in mine])
        if len(mine) == len(run):
            return [INSERTED[one.job.state] for one in run]
        stored = {id(one) for one in mine}
        repeated = self._repeated(step, [one for one in run if id(one) not in stored])
        return [
            INSERTED[one.job.state] if id(one) in stored else repeated.get(one.job.id) or self._insert_one(step, one)
            for one in run
        ]

    def _landed(self, step: Step, columns: tuple[str, ...], rows: list[Row], **constants: int) -> set[str]:
        """Stores the rows that do not clash: their ids."""
        listing = self._dialect.listing
        arrays = {name: listing(values) for name, values in zip(columns, zip(*rows, strict=True), strict=True)}
        return {identity for (identity,) in self._bulk(columns, **constants).run(step.cursor, **arrays)}

    def _repeated(self, step: Step, rest: list[Prepared]) -> dict[str, Inserted]:
        """The answers to those whose id is stored already."""
        rows = self._find_all[step.may_lag].run(step.cursor, ids=self._dialect.listing([one.job.id for one in rest]))
        return {
            identity: Inserted(Insertion.REPEATED, State(state), task=task, digest=digest)
            for identity, state, task, digest in rows
        }

    def _bulk(self, shape: tuple[str, ...], **constants: int) -> Statement:
        if shape not in self._bulks:
            table = self._schema.job
            arrays: list[ColumnElement[Any]] = [
                bindparam(parameter(name), type_=ARRAY(table.c[name].type)) for name in shape
            ]
            rows = func.unnest(*arrays).table_valued(
                *(column(name, table.c[name].type) for name in shape), with_ordinality="position", name="rows"
            ).render_derived()  # fmt: skip
            values = [*(rows.c[name] for name in shape), *map(constant, constants.values())]
            asked = select(*values).order_by(rows.c.position)
            new = self._dialect.inserting(table).from_select([*shape, *constants], asked)
            self._bulks[shape] = self._dialect.compiled(new.returning(table.c.id))
        return self._bulks[shape]


def _order(jobs: Sequence[NewJob | StoredJob]) -> Sequence[int]:
    """The positions in an order in which everybody locks; as given where one depends on another's place."""
    positions = range(len(jobs))
    if len(jobs) == 1 or len({job.id for job in jobs}) < len(jobs):
        return positions
    if any(job.key is not None and job.unique_key is not None for job in jobs):
        return positions
    # Those of one key, or of one unique key, stay in the order given.
    return sorted(positions, key=lambda position: _lock(jobs[position]))


def _lock(job: NewJob | StoredJob) -> str:
    return job.key or job.unique_key or job.id
