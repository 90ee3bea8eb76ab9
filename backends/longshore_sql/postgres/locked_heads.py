"""The statements that find what a claim may take, where writers lock rows.

Each queue, and each lane aside, is read by itself, as far as a call could want: so each is one walk along an index that
stops early. The locks are taken within, so that what others are taking is passed over and does not count.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, FromClause, Select, Update, select, true, union_all

from longshore.contract import Claim
from longshore_sql.dialect import Dialect
from longshore_sql.heads import Heads, Look
from longshore_sql.schema import Lane, Schema, constant
from longshore_sql.statements import Statement, Step, given


class LockedHeads(Heads):
    """Reads the heads of queues and lanes, and locks what it read."""

    def __init__(self, schema: Schema, dialect: Dialect) -> None:
        super().__init__(schema, dialect)
        self._rests: dict[tuple[Any, ...], Statement] = {}

    def leaves_due(self, step: Step, claim: Claim, look: Look, aside: Sequence[str]) -> bool:
        if look.key not in self._rests:
            self._rests[look.key] = self._dialect.compiled(self._resting(look))
        named = {**self._named(look, claim), "tasks": self._dialect.listing(aside), "now": step.now, "limit": 1}
        return self._rests[look.key].run(step.cursor, **named).fetchone() is not None

    def _named(self, look: Look, claim: Claim) -> dict[str, Any]:
        return {**look.named(claim), "queues": self._dialect.listing(look.queues)}

    def _reading(self, look: Look) -> Select[Any]:
        columns = self._as_taken()
        if look.by_id:
            return self._dialect.passing_over(self._by_id(columns))
        job = self._schema.job.c
        # By other names, since a row may show the same columns as they will be.
        order = [job.priority.label("_priority"), job.due.label("_due"), job.id.label("_id")]
        labelled = [column.label(f"c{number}") for number, column in enumerate(columns)]
        parts = [self._lane(look, Lane.READY, [*labelled, *order])]
        if look.aside:
            parts.append(self._lane(look, Lane.ASIDE, [*labelled, *order]))
        either = parts[0].subquery("head") if len(parts) == 1 else union_all(*parts).subquery("head")
        wanted = [either.c[f"c{number}"] for number in range(len(columns))]
        ordered = select(*wanted).order_by(either.c["_priority"].desc(), either.c["_due"], either.c["_id"])
        return ordered.limit(given("limit"))

    def _moving(self, look: Look) -> Update:
        job = self._schema.job
        head = self._lane(look, Lane.READY, [self._schema.row.label("row"), job.c.task.label("task")]).subquery("head")
        unwanted = select(head.c.row).where(head.c.task.not_in(self._dialect.listed("tasks")))
        return job.update().where(self._schema.row.in_(unwanted)).values(lane=constant(Lane.ASIDE))

    def _resting(self, look: Look) -> Select[Any]:
        """The same as a claim reads, locked or not; of other tasks it has left none at the head but what is locked."""
        if look.by_id:
            return self._by_id([self._schema.row])
        lanes = (Lane.READY, Lane.ASIDE) if look.aside else (Lane.READY,)
        parts = [self._lane(look, lane, [self._schema.row.label("row")], locks=False) for lane in lanes]
        rest = parts[0].subquery("rest") if len(parts) == 1 else union_all(*parts).subquery("rest")
        return select(rest.c.row).limit(given("limit"))

    def _lane(self, look: Look, lane: Lane, columns: list[ColumnElement[Any]], *, locks: bool = True) -> Select[Any]:
        """The first rows of each queue, or of each lane aside."""
        job = self._schema.job.c
        queues = self._dialect.listed("queues").subquery("queues")
        within = [job.lane == constant(lane), job.queue == queues.c.value]
        outer: FromClause = queues
        if lane is Lane.ASIDE:
            tasks = self._dialect.listed("tasks").subquery("tasks")
            within.append(job.task == tasks.c.value)
            outer = queues.join(tasks, true())
        if look.by_priority:
            within.append(job.priority >= given("min_priority"))
        first = select(*columns).where(*within).order_by(job.priority.desc(), job.due, job.id)
        first = first.limit(given("limit"))
        branch = (self._dialect.passing_over(first) if locks else first).lateral("first")
        return select(*branch.c).select_from(outer.join(branch, true()))
