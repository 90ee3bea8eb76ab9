"""What `insert` promises of whole jobs that are restored: copies of stores."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from longshore.contract import (
    ENDED,
    SECOND,
    Driver,
    IfParentFails,
    Inserted,
    Insertion,
    Outcome,
    State,
    StoredJob,
    UniqueScope,
    Where,
)
from longshore.testing.clock import ManualClock
from longshore.testing.fixtures import StoreFixtures, one_place
from longshore.testing.samples import ANNA, ids, new_job, put, run, settle, stored, stored_job, take

WHOLE = StoredJob(
    id="whole",
    queue="reports",
    task="render",
    state=State.RUNNING,
    priority=7,
    created=1_600_000_000_123_456,
    due=1_600_000_001_234_567,
    codec="pickle",
    payload=b"\x00\xff",
    digest=b"0123456789abcdef",
    generation=12,
    attempt=3,
    max_attempts=9,
    crashes=1,
    max_crashes=4,
    snoozes=2,
    holder=ANNA,
    started=1_600_000_002_345_678,
    expires=2_600_000_000_000_001,
    settled=11,
    settled_by="carl",
    cancel_asked=True,
    awaited=True,
    releases=True,
    unique_key="report of May",
    unique_held=True,
    unique_scope=UniqueScope.PERIOD,
    unique_until=2_500_000_000_000_001,
    group="May",
    key="account 9",
    turns=2,
    turn=1,
    parents=("b", "a"),
    lax=True,
    if_parent_fails=IfParentFails.WAIT,
    notes={"who": "Anna"},
    cursor=b"page 3\x00",
    tries=25,
    attempts=tuple(f"attempt {number}".encode() for number in range(20)),
)


class RestorePromises(StoreFixtures):
    """Restored jobs."""

    def test_a_restored_job_stands_as_it_stood(self, store: Driver) -> None:
        """A whole job is stored as it is, every field of it, with its own times."""
        assert store.insert([WHOLE]) == [Inserted(Insertion.INSERTED, State.RUNNING)]
        assert stored(store, "whole") == WHOLE

    @pytest.mark.parametrize("state", list(State), ids=lambda state: state.name.lower())
    def test_a_job_can_be_restored_in_any_state(self, store: Driver, clock: ManualClock, state: State) -> None:
        """A job is restored in any state, and counted and found there."""
        ended = clock() if state in ENDED else None
        job = stored_job("a", state, clock() - SECOND, ended=ended, result=b"r" if ended else None)
        assert store.insert([job]) == [Inserted(Insertion.INSERTED, state)]
        assert ids(store.select(Where(states=[state])).jobs) == ["a"]
        assert ids(take(store)) == (["a"] if state is State.PENDING else [])

    def test_a_restored_id_that_is_stored_is_answered_repeated(self, store: Driver, clock: ManualClock) -> None:
        """Restoring a job twice is harmless."""
        job = stored_job("a", State.FAILED, clock(), ended=clock())
        assert [answer.outcome for answer in store.insert([job, job])] == [Insertion.INSERTED, Insertion.REPEATED]

    @one_place
    def test_a_restored_job_does_not_take_a_held_key(self, store: Driver, clock: ManualClock) -> None:
        """A restored job that held its unique slot is answered HELD where another job has it; one that had freed it is
        stored."""
        put(store, new_job("owner", unique_key="k"))
        holds = stored_job("holds", State.PENDING, clock(), unique_key="k", unique_held=True)
        freed = stored_job("freed", State.SUCCEEDED, clock(), unique_key="k", ended=clock())
        first, second = store.insert([holds, freed])
        assert (first.outcome, first.held_by) == (Insertion.HELD, "owner")
        assert second.outcome is Insertion.INSERTED

    @one_place
    def test_a_restored_job_does_not_take_a_held_turn(self, store: Driver, clock: ManualClock) -> None:
        """A restored job that had a turn is answered HELD where another job has it; one without is stored."""
        put(store, new_job("owner", key="k"))
        had = stored_job("had", State.PENDING, clock(), key="k", turn=0)
        has_not = stored_job("has not", State.WAITING, clock(), key="k")
        first, second = store.insert([had, has_not])
        assert first.outcome is Insertion.HELD, "the turn was given to two jobs"
        assert second.outcome is Insertion.INSERTED
        assert stored(store, "owner").turn == 0

    def test_a_restored_run_goes_on(self, store: Driver, clock: ManualClock) -> None:
        """The run of a restored job can settle it, and nobody else can."""
        job = stored_job("a", State.RUNNING, clock(), generation=4, attempt=1, holder=ANNA, started=clock())
        put(store, job)
        (answer,) = store.update([settle(replace(job, generation=3))])
        assert answer.outcome is Outcome.REFUSED
        (answer,) = store.update([settle(job)])
        assert answer.outcome is Outcome.MOVED

    @one_place
    def test_a_copied_store_is_the_same_store(self, store: Driver) -> None:
        """What was selected and removed can be inserted again, and is what it was."""
        run(store, "a", notes={"x": [1]}, key="k")
        put(store, new_job("b", key="k"), new_job("c", unique_key="u", delay=SECOND))
        store.update([settle(stored(store, "a"), State.FAILED, fields={"result": b"r", "attempt_record": b"t"})])
        jobs = store.select(Where()).jobs
        store.clear()
        put(store, *jobs)
        assert store.select(Where()).jobs == jobs
