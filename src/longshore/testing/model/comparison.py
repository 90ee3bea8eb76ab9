"""The state machine that makes each call on both drivers."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from typing import Any, TypeVar

from hypothesis import HealthCheck, settings
from hypothesis import seed as seeded
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test
from msgspec.structs import replace

from longshore.contract import (
    By,
    Change,
    Claim,
    Claimed,
    Driver,
    Duration,
    NewJob,
    Order,
    Record,
    State,
    StoredJob,
    Where,
    Write,
)
from longshore.memory import MemoryDriver
from longshore.testing.clock import ManualClock
from longshore.testing.model import drafts
from longshore.testing.model.drafts import ChangeDraft, WriteDraft
from longshore.testing.model.resolve import Run, placed, resolved
from longshore.testing.model.versions import Versions
from longshore.testing.samples import walk

T = TypeVar("T")
STEPS = 30


class Patience:
    """Begins no new sequence after some seconds, but lets a failure be looked at as long as it takes."""

    def __init__(self, seconds: float) -> None:
        self._end = time.monotonic() + seconds
        self.failed = False

    def is_over(self) -> bool:
        """Whether the next sequence may be left out."""
        return not self.failed and time.monotonic() > self._end


def compare(store: Driver, clock: ManualClock, *, examples: int, seconds: float, seed: int | None) -> None:
    """Tries sequences of calls; raises AssertionError where the driver and the memory driver part."""
    patience = Patience(seconds)
    chosen = settings(
        max_examples=examples,
        stateful_step_count=STEPS,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    if seed is None and not chosen.derandomize:
        seed = random.SystemRandom().randrange(2**32)

    class Sequence(Comparison):
        def __init__(self) -> None:
            super().__init__(store, clock, patience)

    try:
        run_state_machine_as_test(Sequence if seed is None else seeded(seed)(Sequence), settings=chosen)
    except Exception as error:
        error.add_note(f"the same sequences again: --longshore-seed={seed}")
        raise


class Comparison(RuleBasedStateMachine):
    """One sequence of calls on an empty store, and on an empty memory store."""

    def __init__(self, store: Driver, clock: ManualClock, patience: Patience) -> None:
        super().__init__()
        self._store = store
        self._clock = clock
        self._patience = patience
        self._idle = patience.is_over()
        self._memory = MemoryDriver.connect("memory://", clock=clock)
        self._runs: dict[str, list[Run]] = {}
        self._versions = Versions()

    def _agree(self, act: Callable[[Driver], T], shown: Callable[[T], Any] = lambda answer: answer) -> tuple[T, T]:
        """Acts on both, and compares what they show."""
        wanted = act(self._memory)
        try:
            found = act(self._store)
            assert shown(found) == shown(wanted), (
                f"answered\n{shown(found)}\nnot, as the memory driver,\n{shown(wanted)}"
            )
        except Exception:
            self._patience.failed = True
            raise
        return found, wanted

    @initialize()
    def clear(self) -> None:
        """Begins with nothing."""
        if not self._idle:
            self._store.clear()

    @rule(jobs=st.lists(drafts.NEW_JOBS, min_size=1, max_size=3))
    def insert(self, jobs: list[NewJob]) -> None:
        """New jobs."""
        if not self._idle:
            given = [placed(job, self._clock()) for job in jobs]
            self._agree(lambda driver: driver.insert(given))

    @rule(jobs=st.lists(drafts.stored_jobs(), min_size=1, max_size=2))
    def restore(self, jobs: list[StoredJob]) -> None:
        """Jobs of another store."""
        if not self._idle:
            given = [placed(job, self._clock()) for job in jobs]
            self._agree(lambda driver: driver.insert(given))

    @rule(
        claims=drafts.CLAIMS,
        holder=drafts.some(*drafts.HOLDERS),
        limit=drafts.some(0, 1, 2, 5),
        max_bytes=drafts.maybe(drafts.some(0, 50, 130)),
    )
    def claim(self, claims: list[Claim], holder: str, limit: int, max_bytes: int | None) -> None:
        """Claims."""
        if not self._idle:
            found, wanted = self._agree(
                lambda driver: driver.claim(claims, holder=holder, limit=limit, max_bytes=max_bytes),
                lambda claimed: claimed.jobs,
            )
            self._claimed(claims, found, wanted)

    def _claimed(self, claims: list[Claim], found: Claimed, wanted: Claimed) -> None:
        for job in wanted.jobs:
            self._runs.setdefault(job.id, []).append((job.generation, job.holder or ""))
        more = set(found.expired) - set(wanted.expired)
        past = self._memory.select(Where(ids=sorted(more), states=[State.PENDING], expired=0)).jobs
        queues = {queue for claim in claims for queue in claim.queues}
        allowed = {job.id for job in past if job.queue in queues}
        assert set(wanted.expired) <= set(found.expired) <= set(wanted.expired) | allowed, (
            f"expired {found.expired}, not, as the memory driver, {wanted.expired}"
        )
        assert len(found.expired) == len(set(found.expired)), "an expired job was answered twice"
        # A driver may meet more of them than stand before what it takes.
        self._memory.update([Change(identity, State.EXPIRED) for identity in more])
        assert is_bound(found.next_due, wanted.next_due), (
            f"said that a job is due in {found.next_due}, not, as the memory driver, in {wanted.next_due}"
        )

    @rule(changes=drafts.CHANGES)
    def update(self, changes: list[ChangeDraft]) -> None:
        """Changes of all kinds."""
        if not self._idle:
            given = self._resolved(changes)
            self._agree(lambda driver: driver.update(given))

    def _resolved(self, changes: list[ChangeDraft]) -> list[Change]:
        jobs = {job.id: job for job in self._memory.select(Where()).jobs}
        now = self._clock()
        return [resolved(draft, jobs.get(draft.id), self._runs.get(draft.id, []), now) for draft in changes]

    @rule(changes=drafts.SETTLING, claims=drafts.CLAIMS, limit=drafts.some(1, 3))
    def exchange(self, changes: list[ChangeDraft], claims: list[Claim], limit: int) -> None:
        """What a worker does: settles, and claims on. None of these changes releases what a claim could take."""
        if not self._idle:
            given = self._resolved(changes)
            found, wanted = self._agree(
                lambda driver: driver.exchange(given, claims, holder="anna", limit=limit),
                lambda answer: (answer[0], answer[1].jobs),
            )
            self._claimed(claims, found[1], wanted[1])

    @rule(where=drafts.WHERES, order=drafts.some(*Order), limit=drafts.some(1, 2, 5), body=st.booleans())
    def select(self, where: Where, order: Order, limit: int, body: bool) -> None:
        """Questions, page by page."""
        if not self._idle:
            self._agree(lambda driver: walk(driver, where, order=order, limit=limit, body=body))

    @rule(where=drafts.EACH_WHERES, order=drafts.some(*Order), each=drafts.some(1, 2))
    def select_each(self, where: Where, order: Order, each: int) -> None:
        """The first of each key, or of each group."""
        if not self._idle:
            self._agree(lambda driver: driver.select(where, order=order, each=each).jobs)

    @rule(asked=drafts.COUNTS)
    def count(self, asked: tuple[By, Where]) -> None:
        """Counts."""
        by, where = asked
        if not self._idle:
            self._agree(lambda driver: driver.count(by, where))

    @rule(where=drafts.WHERES, limit=drafts.some(1, 2, 10))
    def delete(self, where: Where, limit: int) -> None:
        """Removals."""
        if not self._idle:
            self._agree(lambda driver: driver.delete(where, limit=limit), sorted)

    @rule(writes=drafts.WRITES)
    def write(self, writes: list[WriteDraft]) -> None:
        """Writes of records, each driver with its own versions."""
        if self._idle:
            return
        given: dict[Driver, list[Write]] = {
            self._memory: [self._versions.resolved(draft, "memory") for draft in writes],
            self._store: [self._versions.resolved(draft, "store") for draft in writes],
        }
        found, wanted = self._agree(
            lambda driver: driver.write(given[driver]),
            lambda versions: [version is not None for version in versions],
        )
        self._versions.remember(given[self._store], found, wanted)

    @rule(
        kind=drafts.some(*drafts.KINDS),
        keys=drafts.maybe(drafts.few(*drafts.RECORD_KEYS)),
        prefix=drafts.some("", "a", "ab", "c"),
        limit=drafts.some(1, 2, 10),
        after=drafts.maybe(drafts.some(*drafts.RECORD_KEYS)),
    )
    def read(self, kind: str, keys: list[str] | None, prefix: str, limit: int, after: str | None) -> None:
        """Records."""
        if not self._idle:
            self._agree(
                lambda driver: driver.read(kind, keys, prefix=prefix, limit=limit, after=after),
                lambda records: [replace(record, version=0) for record in records],
            )

    @rule(seconds=drafts.some(*drafts.STEPS))
    def wait(self, seconds: float) -> None:
        """Time passes."""
        self._clock.advance(seconds)

    @invariant()
    def stored_the_same(self) -> None:
        """Every job and every record is the same, and the records have the versions that were answered."""
        if self._idle:
            return
        self._agree(walk)
        for kind in drafts.KINDS:
            found, _ = self._agree(
                lambda driver: driver.read(kind),  # noqa: B023
                lambda records: [replace(record, version=0) for record in records],
            )
            self._check_versions(found)

    def _check_versions(self, records: list[Record]) -> None:
        for record in records:
            last = self._versions.last(record.kind, record.key)
            assert record.version == last, f"expected version {last}, which was answered, not {record}"


def is_bound(found: Duration | None, wanted: Duration | None) -> bool:
    """Whether the time until the next due job is what the memory driver says, or sooner, but not at once."""
    if found is None or wanted is None:
        return wanted is None
    return found <= wanted and (found > 0 or wanted == 0)
