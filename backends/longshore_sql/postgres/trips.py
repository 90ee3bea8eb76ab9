"""What a busy worker asks for, in one round trip: the ends of what ran, and the next jobs.

A worker's thread that waits for the store has to get the interpreter's lock back each time, from threads that run jobs;
so what an exchange costs is how often it waits. These statements ask for the time and the version of the tables
themselves, and each does either all that is usual or nothing. What is left is then done as ever.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final, NamedTuple

from sqlalchemy import (
    CTE,
    BigInteger,
    ColumnElement,
    Integer,
    Select,
    Text,
    Update,
    and_,
    case,
    exists,
    func,
    literal_column,
    null,
    select,
    true,
)
from sqlalchemy.dialects.postgresql import ARRAY

from longshore.contract import ENDED, Claim, Claimed, Clock, State, StoredJob, UniqueScope
from longshore_sql.changing import Prepared
from longshore_sql.claiming import PROMOTED_PER_CALL
from longshore_sql.dialect import Dialect
from longshore_sql.postgres.moments import moment_of, now_of
from longshore_sql.rows import COLUMNS, job_of
from longshore_sql.schema import Lane, Schema, constant
from longshore_sql.shapes import Arranged, ArrayBulk, Shape
from longshore_sql.statements import Asked, Row, given

_PLACE: Final = "place"


class Ends(NamedTuple):
    """Changes of one shape, and the statement that makes those whose guards hold."""

    asked: Asked
    arranged: Arranged
    shape: Shape
    ended: list[str]
    """The jobs that end by it, if any."""


class Upcoming:
    """When the next job becomes due, by what the last empty answer said: a hint, since others store and take jobs."""

    def __init__(self, clock: Clock | None) -> None:
        self.time: Callable[[], int] = _microseconds if clock is None else clock
        self._at: float = math.inf

    def note(self, claimed: Claimed, asked: int) -> None:
        """Notes what was answered to a claim that was made at this time."""
        if not claimed.jobs:
            self._at = math.inf if claimed.next_due is None else asked + claimed.next_due

    def has_come(self) -> bool:
        """Whether it is time, once for each answer."""
        if self.time() < self._at:
            return False
        self._at = math.inf
        return True


def _microseconds() -> int:
    return time.monotonic_ns() // 1_000


class Trips:
    """Statements of one schema that stand alone."""

    def __init__(self, schema: Schema, dialect: Dialect, clock: Clock | None) -> None:
        self._schema = schema
        self._dialect = dialect
        self._clock = clock
        self._bulks: dict[Shape, ArrayBulk | None] = {}
        self._claim = dialect.compiled(self._claiming())
        self._promote = dialect.compiled(self._promoting())
        self.upcoming = Upcoming(clock)

    def ends(self, prepared: Prepared) -> Ends | None:
        """How the changes are made, if they are all of one shape, and of as many jobs."""
        if len(prepared.runs) != 1 or prepared.ordered is not prepared.given:
            return None
        shape, _, changes = prepared.runs[0]
        if shape is None or len({change.id for change in changes}) < len(changes):
            return None
        if shape not in self._bulks:
            self._bulks[shape] = shape.alone(now_of(moment_of(self._schema)))
        bulk = self._bulks[shape]
        if bulk is None:
            return None
        arranged = shape.arranged(changes, bulk, self._now())
        ended = [change.id for change in changes] if changes[0].to in ENDED else []
        return Ends(Asked(bulk.text, arranged.values), arranged, shape, ended)

    def claim(self, claims: Sequence[Claim], holder: str, limit: int, max_bytes: int | None) -> Asked | None:
        """How jobs are taken, if it is one claim of queues."""
        if len(claims) != 1:
            return None
        claim = claims[0]
        wanted = limit if claim.limit is None else min(claim.limit, limit)
        if claim.id is not None or claim.min_priority is not None or claim.reserve or not claim.queues or wanted < 1:
            return None
        listing, tasks = self._dialect.listing, claim.tasks
        return self._claim.asked(
            queues=listing(dict.fromkeys(claim.queues)), tasks=None if tasks is None else listing(tasks),
            limit=wanted, max_bytes=max_bytes, holder=holder, now=self._now(),
        )  # fmt: skip

    def before(self) -> list[Asked]:
        """What goes before a claim: where a job has become due since the last one, it is made findable."""
        return [self._promote.asked(now=self._now())] if self.upcoming.has_come() else []

    def jobs(self, rows: Iterable[Row]) -> list[StoredJob]:
        """The jobs that were taken, in order."""
        return sorted(map(job_of, rows), key=lambda job: (-job.priority, job.due, job.id))

    def _now(self) -> int | None:
        return None if self._clock is None else self._clock()

    def _claiming(self) -> Update:
        """Takes the head of the queues, if all of it is wanted, and nothing else is to be seen to before."""
        job, moment = self._schema.job, moment_of(self._schema)
        now = now_of(moment)
        head = self._head(now)
        is_wanted = and_(
            func.coalesce(head.c.task == func.any(given("tasks", ARRAY(Text))), true()),
            func.coalesce(head.c.expires > now, true()),
        )
        fits = func.coalesce(func.sum(head.c.size) <= given("max_bytes", BigInteger()), true())
        is_clear = select(and_(func.bool_and(is_wanted), fits)).scalar_subquery()
        values: dict[str, Any] = {
            "state": constant(State.RUNNING),
            "lane": constant(Lane.NONE),
            "holder": given("holder"),
            "started": now,
            "generation": job.c.generation + constant(1),
            "attempt": job.c.attempt + constant(1),
            "unique_slot": case((job.c.unique_scope == constant(UniqueScope.START), null()), else_=job.c.unique_slot),
        }
        update = job.update().where(self._place() == head.c[_PLACE], is_clear).values(values)
        return update.returning(*(job.c[name] for name in COLUMNS))

    def _promoting(self) -> Update:
        job, moment = self._schema.job, moment_of(self._schema)
        is_due = and_(job.c.lane == constant(Lane.FUTURE), job.c.due <= now_of(moment))
        first = select(job.c.id).where(is_due).order_by(job.c.due).limit(constant(PROMOTED_PER_CALL))
        update = job.update().where(job.c.id.in_(self._dialect.passing_over(first)))
        return update.values(lane=constant(Lane.READY)).returning(constant(1))

    def _head(self, now: ColumnElement[int]) -> CTE:
        """The first jobs of the queues, locked: none where some are to be made findable, or stand aside."""
        job = self._schema.job.c
        queues = select(func.unnest(given("queues", ARRAY(Text))).column_valued("value")).subquery("queues")
        columns = [
            self._place().label(_PLACE), job.task, job.expires, func.octet_length(job.payload).label("size"),
            job.priority, job.due, job.id,
        ]  # fmt: skip
        first = select(*columns).where(job.lane == constant(Lane.READY), job.queue == queues.c.value)
        first = self._dialect.passing_over(first.order_by(job.priority.desc(), job.due, job.id).limit(given("limit")))
        branch = first.lateral("first")
        found = select(*branch.c).select_from(queues.join(branch, true())).where(*self._nothing_before(now))
        ordered = found.order_by(branch.c.priority.desc(), branch.c.due, branch.c.id)
        return ordered.limit(given("limit")).cte("head").prefix_with("MATERIALIZED")

    def _nothing_before(self, now: ColumnElement[int]) -> list[ColumnElement[bool]]:
        """Whether a claim has to see to nothing but what is ready."""
        other = self._schema.job.alias("other").c
        later = select(other.due).where(other.lane == constant(Lane.FUTURE)).order_by(other.due).limit(constant(1))
        aside: Select[Any] = select(other.lane).where(other.lane == constant(Lane.ASIDE))
        return [now.is_not(None), ~exists(aside), func.coalesce(later.scalar_subquery() > now, true())]

    def _place(self) -> ColumnElement[Any]:
        """Where a row stands: within a transaction that has locked it nothing finds it sooner."""
        return literal_column(f"{self._dialect.name(self._schema.job)}.ctid", Integer)
