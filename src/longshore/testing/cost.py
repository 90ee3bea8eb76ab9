"""What a claim may cost: rows or keys examined, not time. Skipped where the store cannot tell."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from longshore.contract import SECOND, Claim, Driver, NewJob, State, StoredJob
from longshore.testing.clock import ManualClock
from longshore.testing.fixtures import StoreFixtures
from longshore.testing.samples import ANNA, BERT, chunks, new_job, put, settle, stored_job

KNOWN = frozenset({"send", "render"})
BATCH = 100
ROWS = 1_000
"""What a claim, or an exchange, of a hundred may examine."""
FACTOR = 3
"""What it may examine, against a store without a backlog, where the store counts in finer steps than rows."""
CANNOT_TELL = "the store cannot tell what it examines"


def backlog(kind: str, size: int, now: int) -> Iterator[NewJob | StoredJob]:
    """Jobs that are in the way of a claim."""
    for number in range(size):
        identity = f"{kind} {number:07}"
        priority = number % 201 - 100
        if kind == "waiting":
            yield new_job(identity, queue="mail" if number % 2 else "web", priority=-200)
        elif kind == "later":
            yield new_job(identity, priority=priority + 300, due=now + 3_600 * SECOND + number)
        elif kind == "unknown":
            yield new_job(identity, task=f"unknown {number % 7}", priority=priority + 300)
        elif kind == "paused":
            yield new_job(identity, queue="paused", priority=priority + 300)
        else:
            yield stored_job(identity, State.SUCCEEDED, now - SECOND, ended=now, priority=priority)


KINDS = ("waiting", "later", "unknown", "paused", "ended")


class Costs(StoreFixtures):
    """Backlogs."""

    @pytest.fixture
    def examined(self, store: Driver) -> Callable[[Callable[[], object]], int]:
        """How much a call examines."""
        if store.examined() is None:
            pytest.skip(CANNOT_TELL)

        def examined(call: Callable[[], object]) -> int:
            before = store.examined() or 0
            call()
            return (store.examined() or 0) - before

        return examined

    def test_a_claim_costs_what_it_takes(
        self,
        request: pytest.FixtureRequest,
        store: Driver,
        clock: ManualClock,
        examined: Callable[[Callable[[], object]], int],
    ) -> None:
        """A claim of 100, an exchange of 100 and a claim that finds nothing examine no more with a large backlog of
        jobs waiting, due later at higher priority, of unknown tasks, in a queue not asked for, and ended, than
        without."""
        size = request.config.getoption("--longshore-backlog", default=20_000)
        small = measure(store, examined)
        for kind in KINDS:
            for chunk in chunks(backlog(kind, size, clock()), store.limits.batch):
                store.insert(chunk)
        # Who meets a backlog for the first time may set it aside, once.
        while len(store.claim([claim_of("mail", "web")], holder=BERT, limit=BATCH).jobs) < BATCH:
            pass
        large = measure(store, examined)
        for name, found in large.items():
            allowed = max(ROWS, FACTOR * small[name])
            assert found <= allowed, f"{name} examined {found} with a backlog, {small[name]} without"


def claim_of(*queues: str) -> Claim:
    """What a worker that knows two tasks asks for."""
    return Claim(queues=queues, tasks=KNOWN)


def measure(store: Driver, examined: Callable[[Callable[[], object]], int]) -> dict[str, int]:
    """What the calls examine: the dearest of three."""
    found = {"a claim": 0, "an exchange": 0, "an empty claim": 0}
    claims = [claim_of("mail", "web")]
    for turn in range(3):
        fresh = [new_job(f"fresh {store.now()} {turn} {n:03}", queue="mail", priority=-150) for n in range(2 * BATCH)]
        put(store, *fresh)
        jobs: list[StoredJob] = []

        def claim() -> None:
            jobs.extend(store.claim(claims, holder=ANNA, limit=BATCH).jobs)  # noqa: B023

        def exchange() -> None:
            jobs.extend(store.exchange([settle(job) for job in jobs], claims, holder=ANNA, limit=BATCH)[1].jobs)  # noqa: B023

        def claim_nothing() -> None:
            assert store.claim([claim_of("empty")], holder=ANNA, limit=BATCH).jobs == []

        for name, call in (("a claim", claim), ("an exchange", exchange), ("an empty claim", claim_nothing)):
            found[name] = max(found[name], examined(call))
        assert len(jobs) == 2 * BATCH
        store.update([settle(job) for job in jobs[BATCH:]])
    return found
