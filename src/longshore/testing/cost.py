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


BACKLOG = 20_000
"""Jobs of each kind, where no other number is asked for."""
CLAIMS = [Claim(queues=("mail", "web"), tasks=KNOWN)]
IDLE = [Claim(queues=("empty",), tasks=KNOWN)]
Examined = Callable[[Callable[[], object]], int]
KINDS = ("waiting", "later", "unknown", "paused", "ended")


class Costs(StoreFixtures):
    """Backlogs."""

    @pytest.fixture
    def examined(self, store: Driver) -> Examined:
        """How much a call examines."""
        if store.examined() is None:
            pytest.skip(CANNOT_TELL)

        def examined(call: Callable[[], object]) -> int:
            before = store.examined() or 0
            call()
            return (store.examined() or 0) - before

        return examined

    def test_a_claim_costs_what_it_takes(
        self, request: pytest.FixtureRequest, store: Driver, clock: ManualClock, examined: Examined
    ) -> None:
        """A claim of 100, an exchange of 100 and a claim that finds nothing examine no more with a large backlog of
        jobs waiting, due later at higher priority, of unknown tasks, in a queue not asked for, and ended, than
        without."""
        size = request.config.getoption("--longshore-backlog", default=BACKLOG)
        small = dearest(store, examined, "small")
        for kind in KINDS:
            for chunk in chunks(backlog(kind, size, clock()), store.limits.batch):
                store.insert(chunk)
        meet_the_backlog(store, size)
        large = dearest(store, examined, "large")
        for name, found in large.items():
            allowed = max(ROWS, FACTOR * small[name])
            assert found <= allowed, f"{name} examined {found} with a backlog, {small[name]} without"


def meet_the_backlog(store: Driver, size: int) -> None:
    """Claims as long as it takes until two claims are full: who meets a backlog for the first time may set it aside,
    and the next may have to clear away what that left behind."""
    full = 0
    for _ in range(10 + size // ROWS):
        full += len(store.claim(CLAIMS, holder=BERT, limit=BATCH).jobs) == BATCH
        if full == 2:
            return
    raise AssertionError("no claim finds what it asks for behind the backlog")


def dearest(store: Driver, examined: Examined, name: str) -> dict[str, int]:
    """What the calls examine at most in three rounds."""
    rounds = [one_round(store, examined, f"{name} {number}") for number in range(3)]
    return {call: max(found[call] for found in rounds) for call in rounds[0]}


def one_round(store: Driver, examined: Examined, name: str) -> dict[str, int]:
    """What each call examines."""
    for chunk in chunks((new_job(f"{name} {n:03}", priority=-150) for n in range(2 * BATCH)), store.limits.batch):
        put(store, *chunk)
    taken: list[StoredJob] = []

    def claim() -> None:
        taken.extend(store.claim(CLAIMS, holder=ANNA, limit=BATCH).jobs)

    def exchange() -> None:
        changes = [settle(job) for job in taken]
        taken.extend(store.exchange(changes, CLAIMS, holder=ANNA, limit=BATCH)[1].jobs)

    def claim_nothing() -> None:
        assert store.claim(IDLE, holder=ANNA, limit=BATCH).jobs == []

    calls = {"a claim": claim, "an exchange": exchange, "an empty claim": claim_nothing}
    found = {call: examined(act) for call, act in calls.items()}
    assert len(taken) == 2 * BATCH
    store.update([settle(job) for job in taken[BATCH:]])
    return found
