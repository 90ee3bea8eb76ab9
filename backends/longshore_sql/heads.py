"""The statements that find what a claim may take."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Select, Subquery, Update, case, exists, func, null, select, union_all

from longshore.contract import Claim, State, UniqueScope
from longshore_sql.dialect import Dialect
from longshore_sql.rows import COLUMNS
from longshore_sql.schema import Lane, Schema, constant
from longshore_sql.statements import Row, Statement, Step, given


class Look:
    """The shape of a claim: which statement reads what it may take."""

    __slots__ = ("aside", "by_id", "by_priority", "key", "queues")

    def __init__(self, claim: Claim, *, aside: bool = False) -> None:
        self.by_id = claim.id is not None
        self.queues = tuple(dict.fromkeys(claim.queues))
        self.by_priority = claim.min_priority is not None
        self.aside = aside
        self.key = (self.by_id, len(self.queues), self.by_priority, aside)

    def named(self, claim: Claim) -> dict[str, Any]:
        """The values that the statement needs of the claim."""
        named = {f"queue_{number}": queue for number, queue in enumerate(self.queues)}
        return {**named, "id": claim.id, "min_priority": claim.min_priority}


class Survey(NamedTuple):
    """What a claim has to see to besides the jobs that are ready, as far as it is known."""

    promotes: bool
    """Whether jobs have become due that are not findable yet."""
    is_aside: bool
    """Whether jobs stand aside, of whatever queue."""


class Heads:
    """Reads the heads of queues and lanes."""

    def __init__(self, schema: Schema, dialect: Dialect) -> None:
        self._schema = schema
        self._dialect = dialect
        self._reads: dict[tuple[Any, ...], Statement] = {}
        self._moves: dict[tuple[Any, ...], Statement] = {}
        self._prepare()

    def _prepare(self) -> None:
        self._survey = self._dialect.compiled(self._surveying())
        self._promote = self._dialect.compiled(self._promoting())
        self._lanes = self._dialect.compiled(self._finding_lanes())
        self._expire = self._dialect.compiled(self._expiring(self._releases()))

    def survey(self, step: Step) -> Survey:
        """Looks what there is to be done, as mostly nothing is."""
        due, is_aside = self._survey.run(step.cursor).fetchall()[0]
        return Survey(due is not None and due <= step.now, bool(is_aside))

    def promote(self, step: Step, limit: int) -> int:
        """Makes jobs findable that have become due, earliest first: so many."""
        return self._promote.run(step.cursor, now=step.now, limit=limit).rowcount

    def lanes(self, step: Step, queues: Sequence[str]) -> list[str]:
        """The tasks of which jobs of the queues stand aside."""
        found = self._lanes.run(step.cursor, queues=self._dialect.listing(queues))
        return [task for (task,) in found]

    def read(
        self, step: Step, claim: Claim, look: Look, aside: Sequence[str], to: State, holder: str, limit: int
    ) -> Iterable[Row]:
        """The first rows that the claim may take, in order: `COLUMNS` as they are once taken, and `Schema.row`."""
        if look.key not in self._reads:
            self._reads[look.key] = self._dialect.compiled(self._reading(look))
        named = self._named(look, claim)
        if look.aside:
            named["tasks"] = self._dialect.listing(aside)
        running = to is State.RUNNING
        return self._reads[look.key].run(
            step.cursor, limit=limit, now=step.now, holder=holder, state=int(to), counted=int(running),
            freed=UniqueScope.START.value if running else 0, **named,
        )  # fmt: skip

    def put_aside(self, step: Step, claim: Claim, look: Look, limit: int) -> int:
        """Puts those of the first ``limit`` ready jobs aside that are of tasks the claim does not want: so many."""
        if look.key not in self._moves:
            self._moves[look.key] = self._dialect.compiled(self._moving(look))
        tasks = self._dialect.listing(claim.tasks or ())
        return self._moves[look.key].run(step.cursor, tasks=tasks, limit=limit, **self._named(look, claim)).rowcount

    def expire(self, step: Step, rows: Sequence[Any]) -> None:
        """Ends jobs whose deadline has passed."""
        self._expire.run(step.cursor, rows=self._dialect.listing(rows), now=step.now)

    def _named(self, look: Look, claim: Claim) -> dict[str, Any]:
        """The values that tell a statement what the claim asks for."""
        return look.named(claim)

    def leaves_due(self, step: Step, claim: Claim, look: Look, aside: Sequence[str]) -> bool:
        """Whether others are at jobs that the claim, which came with empty hands, would have taken."""
        return False

    def _expiring(self, releases: ColumnElement[Any]) -> Update:
        job = self._schema.job
        values = {
            "state": constant(State.EXPIRED),
            "lane": constant(Lane.NONE),
            "ended": given("now"),
            "holder": null(),
            "turn": null(),
            "unique_slot": self._kept_slot(),
            "releases": releases,
        }
        return job.update().where(self._dialect.among(self._schema.row, "rows")).values(values)

    def _kept_slot(self) -> ColumnElement[Any]:
        """The unique slot of a job that ends: kept while its period runs."""
        job = self._schema.job.c
        return case((job.unique_until > given("now"), job.unique_slot), else_=null())

    def _releases(self) -> ColumnElement[Any]:
        """Whether waiting jobs name a job that ends as a parent, or wait for the turn that it has."""
        return case((self._is_awaited(), constant(True)), else_=constant(False))

    def _is_awaited(self) -> ColumnElement[bool]:
        job, parent, waiting = self._schema.job.c, self._schema.parent.c, self._schema.job.alias("waiting")
        is_waiting = waiting.c.state == self._dialect.unforeseen(State.WAITING)
        child = exists().where(parent.parent == job.id, self._schema.is_waiting(parent.child))
        follower = exists().where(waiting.c.key == job.key, is_waiting)
        return (job.turn.is_not(None) & follower) | child

    def _promoting(self) -> Update:
        job = self._schema.job
        due = select(self._schema.row).where(job.c.lane == constant(Lane.FUTURE), job.c.due <= given("now"))
        first = self._through(due, "future").order_by(job.c.due).limit(given("limit"))
        first = self._dialect.passing_over(first)
        return job.update().where(self._schema.row.in_(first)).values(lane=constant(Lane.READY))

    def _surveying(self) -> Select[Any]:
        job = self._schema.job.c
        future = self._through(select(job.due).where(job.lane == constant(Lane.FUTURE)), "future")
        aside = self._through(select(job.lane).where(job.lane == constant(Lane.ASIDE)), "aside")
        return select(future.order_by(job.due).limit(constant(1)).scalar_subquery(), exists(aside))

    def due(self) -> Select[Any]:
        """When the next jobs become due, and in which queues."""
        job = self._schema.job.c
        future = select(job.due, job.queue).where(job.lane == constant(Lane.FUTURE))
        return self._through(future, "future").order_by(job.due).limit(given("limit"))

    def _finding_lanes(self) -> Select[Any]:
        """From one task to the next, however many jobs each has."""
        job = self._schema.job.c
        queues = self._dialect.listed("queues").subquery("asked")
        first = select(func.min(job.task)).where(job.lane == constant(Lane.ASIDE), job.queue == queues.c.value)
        lane = select(queues.c.value.label("queue"), self._through(first, "aside").scalar_subquery().label("task"))
        found = lane.cte("lane", recursive=True)
        following = select(func.min(job.task)).where(
            job.lane == constant(Lane.ASIDE), job.queue == found.c.queue, job.task > found.c.task
        )
        step = select(found.c.queue, self._through(following, "aside").scalar_subquery())
        found = found.union_all(step.where(found.c.task.is_not(None)))
        return select(found.c.task).where(found.c.task.is_not(None)).distinct()

    def _reading(self, look: Look) -> Select[Any]:
        job = self._schema.job
        columns = self._as_taken()
        if look.by_id:
            return self._by_id(columns)
        head = self._head(look)
        # The head comes in order, and each of its rows is then looked up: pinned by a test of the plan.
        return select(*columns).select_from(head.join(job, self._schema.row == head.c.row))

    def _by_id(self, columns: list[ColumnElement[Any]]) -> Select[Any]:
        job = self._schema.job.c
        pending = (job.state == constant(State.PENDING)) & (job.due <= given("now"))
        return select(*columns).where(job.id == given("id"), pending).limit(given("limit"))

    def _as_taken(self) -> list[ColumnElement[Any]]:
        """The columns of a row as they are once it is taken."""
        job = self._schema.job
        changed: dict[str, ColumnElement[Any]] = {
            "state": given("state", job.c.state.type),
            "generation": job.c.generation + constant(1),
            "attempt": job.c.attempt + given("counted"),
            "holder": given("holder", job.c.holder.type),
            "started": given("now", job.c.started.type),
            "unique_slot": case((job.c.unique_scope == given("freed"), null()), else_=job.c.unique_slot),
        }
        return [*(changed.get(name, job.c[name]) for name in COLUMNS), self._schema.row]

    def _head(self, look: Look) -> Subquery:
        ready = self._first(look, Lane.READY)
        if not look.aside:
            return ready.subquery("head")
        both = union_all(
            *(select(part) for part in (ready.subquery("ready"), self._first(look, Lane.ASIDE).subquery("aside")))
        ).subquery("either")
        ordered = select(both.c.row).order_by(both.c.priority.desc(), both.c.due, both.c.id)
        return ordered.limit(given("limit")).subquery("head")

    def _first(self, look: Look, lane: Lane) -> Select[Any]:
        job = self._schema.job.c
        row = self._schema.row.label("row")
        columns = [row, job.priority, job.due, job.id] if look.aside else [row]
        found = select(*columns).where(job.lane == constant(lane), *self._within(look))
        if lane is Lane.ASIDE:
            found = found.where(self._dialect.among(job.task, "tasks"))
        index = "ready" if lane is Lane.READY else "aside"
        return self._through(found, index).order_by(job.priority.desc(), job.due, job.id).limit(given("limit"))

    def _within(self, look: Look) -> list[ColumnElement[bool]]:
        job = self._schema.job.c
        queues = [given(f"queue_{number}") for number in range(len(look.queues))]
        within: list[ColumnElement[bool]] = [job.queue == queues[0] if len(queues) == 1 else job.queue.in_(queues)]
        if look.by_priority:
            within.append(job.priority >= given("min_priority"))
        return within

    def _moving(self, look: Look) -> Update:
        job = self._schema.job
        ready = select(self._schema.row.label("row"), job.c.task).where(
            job.c.lane == constant(Lane.READY), *self._within(look)
        )
        ready = self._through(ready, "ready").order_by(job.c.priority.desc(), job.c.due, job.c.id)
        head = ready.limit(given("limit")).subquery("head")
        unwanted = select(head.c.row).where(head.c.task.not_in(self._dialect.listed("tasks")))
        return job.update().where(self._schema.row.in_(unwanted)).values(lane=constant(Lane.ASIDE))

    def _through(self, statement: Select[Any], index: str) -> Select[Any]:
        return self._dialect.through(statement, self._schema.job, self._schema.index(index))
