"""Taking due jobs, in order.

A claim reads the head of the index of ready jobs and takes what it wants from it. Jobs of other tasks in its way are
put **aside**, into an index by task, where those who want them find them: nobody passes over them twice. While jobs
stand aside, a claim merges the head with the lanes of its own tasks, so that the order stays what it was.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final

from sqlalchemy import null

from longshore.contract import Claim, Claimed, Duration, Instant, State, StoredJob, UniqueScope
from longshore_sql.dialect import Dialect
from longshore_sql.heads import Heads, Look
from longshore_sql.rows import COLUMNS, job_of
from longshore_sql.schema import Lane, Schema, constant
from longshore_sql.statements import Row, Step, given

PROMOTED_PER_CALL: Final = 1_000
EXPIRED_PER_CALL: Final = 1_000
PASSED_PER_CALL: Final = 1_000
"""Jobs of other tasks that one call puts aside before it stops; with empty hands it then asks to be called again."""
DUE_LOOKED_AT: Final = 100

_ID, _TASK, _PAYLOAD, _EXPIRES, _KEY, _SCOPE = (
    COLUMNS.index(name) for name in ("id", "task", "payload", "expires", "unique_key", "unique_scope")
)
_ROW: Final = len(COLUMNS)


class _Taking:
    """What one call has taken so far."""

    def __init__(self, holder: str, limit: int, max_bytes: int | None) -> None:
        self.holder = holder
        self.jobs: list[StoredJob] = []
        self.expired: list[str] = []
        self.room = limit
        self.passed = 0
        self.is_cut = False
        self.passed_over = False
        self.is_aside = False
        self._bytes = max_bytes if max_bytes is not None else float("inf")

    def fits(self, payload: bytes) -> bool:
        return not self.jobs or len(payload) <= self._bytes

    def take(self, job: StoredJob) -> None:
        self.jobs.append(job)
        self.room -= 1
        self._bytes -= len(job.payload)


class _Found:
    """The rows of one look, by what becomes of them."""

    def __init__(self) -> None:
        self.seen = 0
        self.stopped = False
        self.taken: list[Any] = []
        self.freed: list[Any] = []
        self.expired: list[Any] = []
        self.passed: list[Any] = []

    def sort(self, rows: Iterable[Row], claim: Claim, taking: _Taking, now: Instant) -> None:
        """Goes through the rows until there is no room for one."""
        tasks = claim.tasks
        for row in rows:
            self.seen += 1
            expires = row[_EXPIRES]
            if tasks is not None and row[_TASK] not in tasks:
                self.passed.append(row[_ROW])
            elif expires is not None and expires <= now:
                if len(taking.expired) == EXPIRED_PER_CALL:
                    self.stopped = taking.is_cut = True
                    return
                self.expired.append(row[_ROW])
                taking.expired.append(row[_ID])
            elif taking.fits(row[_PAYLOAD]):
                self.taken.append(row[_ROW])
                if row[_KEY] is not None and row[_SCOPE] == UniqueScope.START:
                    self.freed.append(row[_ROW])
                taking.take(job_of(row[:_ROW]))
            else:
                self.stopped = True
                return


class Claiming:
    """Takes jobs of one schema."""

    def __init__(self, schema: Schema, dialect: Dialect, heads: Heads) -> None:
        self._schema = schema
        self._dialect = dialect
        self._heads = heads
        job = schema.job
        rows = dialect.among(schema.row, "rows")
        self._due = dialect.compiled(self._heads.due())
        self._takes = {state: dialect.compiled(self._taking(state)) for state in (State.RUNNING, State.RESERVED)}
        self._free = dialect.compiled(job.update().where(rows).values(unique_slot=null()))
        self._put_aside = dialect.compiled(job.update().where(rows).values(lane=constant(Lane.ASIDE)))

    def claim(self, step: Step, claims: Sequence[Claim], *, holder: str, limit: int, max_bytes: int | None) -> Claimed:
        """Serves each claim in turn."""
        survey = self._heads.survey(step)
        promoted = self._heads.promote(step, PROMOTED_PER_CALL) if survey.promotes else 0
        taking = _Taking(holder, limit, max_bytes)
        taking.is_aside = survey.is_aside
        for claim in claims:
            wanted = taking.room if claim.limit is None else min(claim.limit, taking.room)
            if claim.id is not None and wanted > 0:
                look = Look(claim)
                self._look(step, claim, look, (), 1, taking)
                self._notice(step, claim, look, (), taking)
            elif claim.queues and wanted > 0:
                aside = self._lanes_of(step, claim) if taking.is_aside else ()
                look = Look(claim, aside=bool(aside))
                self._serve(step, claim, look, aside, wanted, taking)
                self._notice(step, claim, look, aside, taking)
        if taking.jobs:
            return Claimed(taking.jobs, taking.expired)
        next_due = 0 if taking.is_cut else self._next_due(step, claims)
        if next_due == 0 and not taking.is_cut and promoted < PROMOTED_PER_CALL:
            # It is due and could not be made findable.
            next_due, taking.passed_over = None, True
        return Claimed([], taking.expired, next_due, taking.passed_over)

    def _notice(self, step: Step, claim: Claim, look: Look, aside: Sequence[str], taking: _Taking) -> None:
        """Where all hands are empty so far: whether that is because others are at what is due."""
        if not (taking.jobs or taking.is_cut or taking.passed_over):
            taking.passed_over = self._heads.leaves_due(step, claim, look, aside)

    def _serve(self, step: Step, claim: Claim, look: Look, aside: Sequence[str], wanted: int, taking: _Taking) -> None:
        while True:
            found = self._look(step, claim, look, aside, wanted, taking)
            is_last = found.seen < wanted and not found.passed
            wanted -= len(found.taken)
            if found.stopped or wanted == 0:
                if found.passed:
                    self._put_aside.post(step.cursor, rows=self._dialect.listing(found.passed))
                    taking.is_aside = True
                return
            if is_last or (found.passed and not self._clears_the_way(step, claim, look, taking)):
                return

    def _look(self, step: Step, claim: Claim, look: Look, aside: Sequence[str], wanted: int, taking: _Taking) -> _Found:
        """Reads as many rows as are wanted, and takes or expires them."""
        cursor, now = step.cursor, step.now
        to = State.RESERVED if claim.reserve else State.RUNNING
        rows = self._heads.read(step, claim, look, aside, to, taking.holder, wanted)
        found = _Found()
        found.sort(rows, claim, taking, now)
        listing = self._dialect.listing
        if found.taken:
            self._takes[to].post(cursor, rows=listing(found.taken), holder=taking.holder, now=now)
        if found.freed and to is State.RUNNING:
            self._free.post(cursor, rows=listing(found.freed))
        if found.expired:
            self._heads.expire(step, found.expired)
        return found

    def _clears_the_way(self, step: Step, claim: Claim, look: Look, taking: _Taking) -> bool:
        """Puts aside what is not wanted at the head; False when this call has done enough of it."""
        if taking.passed >= PASSED_PER_CALL:
            taking.is_cut = True
            return False
        taking.is_aside = True
        taking.passed += self._heads.put_aside(step, claim, look, PASSED_PER_CALL)
        return True

    def _lanes_of(self, step: Step, claim: Claim) -> list[str]:
        """The tasks of which jobs stand aside, as far as they are wanted."""
        found = self._heads.lanes(step, claim.queues)
        return [task for task in found if claim.tasks is None or task in claim.tasks]

    def _next_due(self, step: Step, claims: Sequence[Claim]) -> Duration | None:
        queues = {queue for claim in claims for queue in claim.queues}
        rows: list[tuple[Instant, str]] = self._due.run(step.cursor, limit=DUE_LOOKED_AT).fetchall() if queues else []
        for due, queue in rows:
            if queue in queues:
                return max(0, due - step.now)
        # Behind so many jobs of other queues ours may stand: none of them is due sooner than the last of these.
        return max(0, rows[-1][0] - step.now) if len(rows) == DUE_LOOKED_AT else None

    def _taking(self, to: State) -> Any:
        job = self._schema.job
        values: dict[str, Any] = {
            "state": constant(to),
            "lane": constant(Lane.NONE),
            "holder": given("holder"),
            "started": given("now"),
            "generation": job.c.generation + constant(1),
        }
        if to is State.RUNNING:
            values["attempt"] = job.c.attempt + constant(1)
        return job.update().where(self._dialect.among(self._schema.row, "rows")).values(values)
