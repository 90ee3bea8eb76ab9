"""The statements that find what a claim may take, where no statement changes rows and passes over others' at once.

What is found is locked first, and then changed by its number. Each queue, and each lane aside, is a walk of its own
along an index that stops early. Several of them stand in one statement, which brings the first of all in order; only
those are then read whole.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Select, func, select, union_all

from longshore.contract import Claim, State, UniqueScope
from longshore_sql.heads import Heads, Look
from longshore_sql.mysql.rows import RARE, packed, unpacked
from longshore_sql.schema import Lane, constant
from longshore_sql.statements import Row, Statement, Step, given


class _Place(NamedTuple):
    """A lane, and the numbers of its queue and of its task among those that are asked for."""

    lane: Lane
    queue: int
    task: int = 0


class NumberedHeads(Heads):
    """Reads the heads of queues and lanes, and locks what it read."""

    def _prepare(self) -> None:
        compiled, job, row = self._dialect.compiled, self._schema.job, self._schema.row
        self._survey = compiled(self._surveying())
        due = select(row).where(job.c.lane == constant(Lane.FUTURE), job.c.due <= given("now"))
        due = self._through(due, "future").order_by(job.c.due).limit(given("limit"))
        self._due_now = compiled(self._dialect.passing_over(due))
        these = self._dialect.among(row, "rows")
        self._ready = compiled(job.update().where(these).values(lane=constant(Lane.READY)))
        self._aside = compiled(job.update().where(these).values(lane=constant(Lane.ASIDE)))
        self._awaited = compiled(select(row).where(these, self._is_awaited()))
        self._expire = compiled(self._expiring(constant(False)))
        self._mark = compiled(job.update().where(these).values(releases=constant(True)))
        self._whole = compiled(select(*packed(self._as_taken())).where(these))
        self._rare = compiled(select(row, *(job.c[name] for name in RARE)).where(these))
        self._first_lanes: dict[int, Statement] = {}
        self._next_lane = compiled(self._first_task(given("queue"), given("task")))

    def promote(self, step: Step, limit: int) -> int:
        due = [row for (row,) in self._due_now.run(step.cursor, now=step.now, limit=limit)]
        if due:
            self._ready.run(step.cursor, rows=self._dialect.listing(due))
        return len(due)

    def lanes(self, step: Step, queues: Sequence[str]) -> list[str]:
        asked = tuple(dict.fromkeys(queues))
        if len(asked) not in self._first_lanes:
            firsts = [self._first_task(given(f"queue_{number}")).scalar_subquery() for number in range(len(asked))]
            self._first_lanes[len(asked)] = self._dialect.compiled(select(*firsts))
        heads = self._first_lanes[len(asked)].run(step.cursor, **_numbered("queue", asked)).fetchone()
        found: dict[str, None] = {}
        for queue, first in zip(asked, heads, strict=True):
            task = first
            while task is not None:
                found[task] = None
                (task,) = self._next_lane.run(step.cursor, queue=queue, task=task).fetchone()
        return list(found)

    def read(
        self, step: Step, claim: Claim, look: Look, aside: Sequence[str], to: State, holder: str, limit: int
    ) -> Iterable[Row]:
        running = to is State.RUNNING
        named = {
            **look.named(claim), **_numbered("task", aside), "limit": limit, "now": step.now,
            "holder": holder, "state": int(to), "counted": int(running),
            "freed": UniqueScope.START.value if running else 0,
        }  # fmt: skip
        found = self._statement(look, len(aside)).run(step.cursor, **named).fetchall()
        if look.by_id or (len(look.queues) == 1 and not aside):
            return unpacked(found, partial(self._rest, step))
        rows = [row for row, *_ in found]
        if not rows:
            return ()
        those = self._whole.run(step.cursor, **named, rows=self._dialect.listing(rows)).fetchall()
        whole = {row[-1]: row for row in unpacked(those, partial(self._rest, step))}
        return [whole[row] for row in rows]

    def _rest(self, step: Step, rows: list[int]) -> dict[int, Row]:
        """What few jobs have, of those that have any of it."""
        found = self._rare.run(step.cursor, rows=self._dialect.listing(rows)).fetchall()
        return {row: rest for row, *rest in found}

    def put_aside(self, step: Step, claim: Claim, look: Look, limit: int) -> int:
        if look.key not in self._moves:
            self._moves[look.key] = self._dialect.compiled(self._first_of(look, _places(look, 0), locks=True))
        tasks = claim.tasks or ()
        found = self._moves[look.key].run(step.cursor, limit=limit, **look.named(claim))
        unwanted = [row for row, *_, task in found if task not in tasks]
        if unwanted:
            self._aside.run(step.cursor, rows=self._dialect.listing(unwanted))
        return len(unwanted)

    def leaves_due(self, step: Step, claim: Claim, look: Look, aside: Sequence[str]) -> bool:
        named = {**look.named(claim), **_numbered("task", aside), "limit": 1, "now": step.now}
        return self._statement(look, len(aside), takes=False).run(step.cursor, **named).fetchone() is not None

    def expire(self, step: Step, rows: Sequence[Any]) -> None:
        # A statement that changes the table cannot look into it: so who is awaited is asked before.
        listed = self._dialect.listing(rows)
        awaited = [row for (row,) in self._awaited.run(step.cursor, rows=listed)]
        self._expire.run(step.cursor, rows=listed, now=step.now)
        if awaited:
            self._mark.run(step.cursor, rows=self._dialect.listing(awaited))

    def _statement(self, look: Look, tasks: int, *, takes: bool = True) -> Statement:
        """What finds jobs for a claim: to take them, or only to tell whether there are any."""
        key = (*look.key, tasks, takes)
        if key not in self._reads:
            self._reads[key] = self._dialect.compiled(self._finding(look, tasks, takes))
        return self._reads[key]

    def _finding(self, look: Look, tasks: int, takes: bool) -> Any:
        columns = packed(self._as_taken()) if takes else [self._schema.row]
        if look.by_id:
            found = self._by_id(columns)
            return self._dialect.passing_over(found) if takes else found
        places = _places(look, tasks)
        if len(places) == 1:
            return self._lane(look, places[0], columns, locks=takes)
        return self._first_of(look, places, locks=takes)

    def _first_of(self, look: Look, places: list[_Place], *, locks: bool) -> Any:
        """The numbers and the places of the first rows of several lanes, in order; the task stands last."""
        job = self._schema.job.c
        columns = [self._schema.row, job.priority, job.due, job.id, job.task]
        lanes = [self._lane(look, place, columns, locks=locks) for place in places]
        if len(lanes) == 1:
            return lanes[0]
        either = union_all(*lanes)
        _, priority, due, identity, _ = either.selected_columns
        return either.order_by(priority.desc(), due, identity).limit(given("limit"))

    def _lane(self, look: Look, place: _Place, columns: Sequence[ColumnElement[Any]], *, locks: bool) -> Select[Any]:
        job = self._schema.job.c
        within = [job.lane == constant(place.lane), job.queue == given(f"queue_{place.queue}")]
        if place.lane is Lane.ASIDE:
            within.append(job.task == given(f"task_{place.task}"))
        if look.by_priority:
            within.append(job.priority >= given("min_priority"))
        found = self._through(select(*columns).where(*within), "ready" if place.lane is Lane.READY else "aside")
        found = found.order_by(job.priority.desc(), job.due, job.id).limit(given("limit"))
        return self._dialect.passing_over(found) if locks else found

    def _first_task(self, queue: ColumnElement[Any], after: ColumnElement[Any] | None = None) -> Select[Any]:
        """The first task, behind another, of which jobs of a queue stand aside: one step along an index."""
        job = self._schema.job.c
        within = [job.lane == constant(Lane.ASIDE), job.queue == queue]
        if after is not None:
            within.append(job.task > after)
        return self._through(select(func.min(job.task)).where(*within), "aside")


def _places(look: Look, tasks: int) -> list[_Place]:
    queues = range(len(look.queues))
    aside = [_Place(Lane.ASIDE, queue, task) for queue in queues for task in range(tasks)]
    return [*(_Place(Lane.READY, queue) for queue in queues), *aside]


def _numbered(name: str, values: Sequence[str]) -> dict[str, Any]:
    return {f"{name}_{number}": value for number, value in enumerate(values)}
