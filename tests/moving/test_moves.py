"""Everything arrives, once, as it was; what runs is waited for, and late producers are told."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from longshore import Longshore
from longshore.contract import (
    HELD,
    SECOND,
    UNREADABLE,
    Change,
    Insertion,
    Outcome,
    State,
    Where,
)
from longshore.errors import ConfigurationError, CopyDiffers, Corrupt, IdConflict, StoreMoved
from longshore.following import ended, follow
from longshore.guard import Guard
from longshore.memory import MemoryDriver
from longshore.motion import away_of, in_motion
from longshore.moving import Progress
from longshore.siding import MOVING
from longshore.testing.clock import ManualClock
from longshore.testing.samples import ANNA, ids, new_job, put, settle, start, stored, stored_job, take
from moving.cargo import DAY, all_of, as_they_were, many, one_of_each
from moving.conftest import Move


class TestEverything:
    @pytest.mark.parametrize("verify", [False, True])
    def test_jobs_of_every_state_arrive_as_they_were(
        self, source: Guard, destination: Guard, clock: ManualClock, move: Move, verify: bool
    ) -> None:
        jobs = one_of_each(clock())
        assert {job.state for job in jobs} == set(State) - HELD
        put(source.driver, *jobs)
        carried = move(source, destination, verify=verify).run()
        assert all_of(destination) == as_they_were(jobs)
        assert all_of(source) == []
        assert sum(carried.jobs.values()) == len(jobs)
        assert carried.jobs[State.PENDING] == 5
        assert (carried.without_slot, carried.held) == ((), 0)

    def test_slots_are_held_there_and_what_waits_goes_on_there(
        self, source: Guard, destination: Guard, clock: ManualClock, move: Move
    ) -> None:
        put(source.driver, *one_of_each(clock()))
        move(source, destination).run()
        for key, holder in (("report", "unique"), ("day", "daily")):
            assert destination.insert([new_job("late", unique_key=key)])[0].held_by == holder
        assert destination.insert([new_job("third", key="account")])[0].state is State.WAITING
        assert ids(take(destination.driver))[:2] == ["urgent", "plain"]

    def test_many_in_batches_and_it_is_told_how_far_it_is(
        self, source: Guard, destination: Guard, clock: ManualClock, move: Move
    ) -> None:
        jobs = many(1_300, clock())
        source.insert(jobs)
        told: list[Progress] = []
        move(source, destination, tell=told.append).run()
        assert all_of(destination) == jobs
        assert all_of(source) == []
        assert [each.jobs for each in told] == sorted(each.jobs for each in told)
        assert (told[-1].jobs, told[-1].total) == (1_300, 1_300)
        assert len(told) > 3

    def test_large_jobs_are_never_in_memory_together(
        self, source: Guard, destination: Guard, clock: ManualClock, move: Move, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        jobs = [replace(job, payload=b"x" * 1_000_000) for job in many(60, clock())]
        source.insert(jobs)
        most = 0
        insert = destination.driver.insert

        def weigh(batch: Any, **more: Any) -> Any:
            nonlocal most
            most = max(most, sum(len(job.payload) for job in batch))
            return insert(batch, **more)

        monkeypatch.setattr(destination.driver, "insert", weigh)
        move(source, destination).run()
        assert len(all_of(destination)) == 60
        assert 1_000_000 <= most <= 50_000_000

    def test_an_empty_store(self, source: Guard, destination: Guard, move: Move) -> None:
        assert move(source, destination).run().jobs == {}
        assert away_of(source) is not None
        assert not in_motion(destination)


class TestHeld:
    def test_what_runs_is_waited_for_and_goes_with_its_end(
        self, source: Guard, destination: Guard, clock: ManualClock, move: Move
    ) -> None:
        put(source.driver, new_job("runs"), new_job("fails"), new_job("waits"))
        runs, fails = start(source.driver, "runs"), start(source.driver, "fails", reserve=True)
        mover = move(source, destination)
        assert mover.run(wait=0).held == 2
        assert ids(all_of(destination)) == ["waits"]
        assert away_of(source) is not None
        assert in_motion(destination)
        source.update([settle(runs, fields={"result": b"42"}), Change("fails", State.PENDING, holder=ANNA)])
        assert fails.state is State.RESERVED
        assert move(source, destination).run().held == 0
        assert stored(destination.driver, "runs").result == b"42"
        assert stored(destination.driver, "fails").state is State.PENDING
        assert not in_motion(destination)

    def test_it_waits_until_the_last_has_ended(
        self, source: Guard, destination: Guard, clock: ManualClock, move: Move
    ) -> None:
        put(source.driver, new_job("runs"))
        run = start(source.driver, "runs")
        told: list[Progress] = []

        def tell(progress: Progress) -> None:
            told.append(progress)
            if len(told) == 3:
                source.update([settle(run)])

        assert move(source, destination, tell=tell).run().jobs == {State.SUCCEEDED: 1}
        assert told[0].held == 1

    def test_when_it_waits_no_longer_the_source_takes_jobs_again_until_the_move_is_repeated(
        self, source: Guard, destination: Guard, clock: ManualClock, move: Move
    ) -> None:
        """What stays behind stands in its queue, and who looks for what has gone still knows of the other store."""
        put(source.driver, new_job("runs", key="k"), new_job("behind", key="k"), new_job("goes"))
        run = start(source.driver, "runs")
        assert move(source, destination).run(wait=0).held == 2
        with Longshore(source.driver.target, clock=clock) as producer:
            late = producer.task(_nothing).enqueue()
            assert in_motion(source)
            (answer,) = source.update([settle(run)])
            follow(source, [ended(run, answer)])
            assert ids(take(source.driver, queues=("mail",), limit=1)) == ["behind"]
            source.update([settle(stored(source.driver, "behind"))])
            move(source, destination).run()
            assert {*ids(all_of(destination))} == {"runs", "behind", "goes", late.id}
            with Longshore(source.driver.target, clock=clock) as later, pytest.raises(StoreMoved):
                later.enqueue(later.call_by_name("_nothing"))

    def test_jobs_of_a_key_stay_behind_the_one_that_runs(
        self, source: Guard, destination: Guard, clock: ManualClock, move: Move
    ) -> None:
        put(source.driver, new_job("first", key="k"), new_job("second", key="k"), new_job("third", key="k"))
        run = start(source.driver, "first")
        assert move(source, destination).run(wait=0).held == 3
        assert all_of(destination) == []
        source.update([settle(run)])
        move(source, destination).run()
        assert stored(destination.driver, "second").turn == 0
        assert stored(destination.driver, "second").state is State.PENDING
        assert stored(destination.driver, "third").state is State.WAITING

    def test_the_jobs_of_a_dead_holder_are_rescued(
        self, source: Guard, destination: Guard, clock: ManualClock, move: Move
    ) -> None:
        put(source.driver, new_job("orphan"))
        start(source.driver, "orphan")
        began = clock()
        mover = move(source, destination, monotonic=lambda: (clock() - began) / SECOND)
        assert mover.run().jobs == {State.PENDING: 1}
        job = stored(destination.driver, "orphan")
        assert (job.state, job.crashes, job.holder, job.tries) == (State.PENDING, 1, None, 1)
        assert clock() - began >= 30 * SECOND


class TestTwoAtOnce:
    """What happens to a job, at either end, while it is on its way."""

    def test_the_further_of_two_stays(self, source: Guard, destination: Guard, clock: ManualClock, move: Move) -> None:
        now = clock()
        same = [stored_job(name, State.PENDING, now - DAY) for name in ("begun", "done", "as it was")]
        put(source.driver, *same)
        cancelled = stored_job("cancelled", State.CANCELLED, now - DAY, ended=now)
        retried = stored_job("retried", State.PENDING, now - DAY, generation=2)
        put(source.driver, cancelled, retried)
        put(
            destination.driver, *(stored_job(name, State.PENDING, now - DAY) for name in ("begun", "done", "as it was"))
        )
        put(destination.driver, stored_job("cancelled", State.PENDING, now - DAY))
        put(destination.driver, stored_job("retried", State.FAILED, now - DAY, generation=1, ended=now))
        begun, done = start(destination.driver, "begun"), start(destination.driver, "done")
        destination.update([settle(done)])
        move(source, destination).run()
        assert all_of(source) == []
        assert stored(destination.driver, "begun").holder == begun.holder
        assert stored(destination.driver, "done").state is State.SUCCEEDED
        assert stored(destination.driver, "as it was").state is State.PENDING
        assert stored(destination.driver, "cancelled") == cancelled
        assert stored(destination.driver, "retried") == retried

    def test_a_job_that_is_cancelled_on_its_way_arrives_cancelled(
        self, source: Guard, destination: Guard, clock: ManualClock, move: Move
    ) -> None:
        put(source.driver, new_job("a"), new_job("b"))
        told: list[Progress] = []

        class Meddler(type(destination)):  # type: ignore[misc]
            def insert(self, jobs: Any, *, tx: Any = None) -> Any:
                answers = super().insert(jobs, tx=tx)
                if not told:
                    told.append(Progress(0, 0))
                    (answer,) = source.update([Change("a", State.CANCELLED, {}, frozenset({State.PENDING}))])
                    assert answer.outcome is Outcome.MOVED
                return answers

        move(source, Meddler(destination.driver)).run()
        assert all_of(source) == []
        assert {job.id: job.state for job in all_of(destination)} == {"a": State.CANCELLED, "b": State.PENDING}

    def test_another_call_of_the_same_id_is_no_job_to_be_lost(
        self, source: Guard, destination: Guard, clock: ManualClock, move: Move
    ) -> None:
        put(source.driver, new_job("a", digest=b"one"), new_job("b"))
        put(destination.driver, new_job("a", digest=b"other"))
        with pytest.raises(IdConflict, match=r"1 are of other calls at the destination.*: a\. Remove"):
            move(source, destination).run()
        assert ids(all_of(destination)) == ["a", "b"]
        assert stored(source.driver, "a").queue == MOVING.name
        destination.delete(Where(ids=("a",)))
        move(source, destination).run()
        assert stored(destination.driver, "a").digest == b"one"
        assert stored(destination.driver, "a").queue == "mail"

    def test_a_slot_that_another_has_by_now_is_not_taken_from_it(
        self, source: Guard, destination: Guard, clock: ManualClock, move: Move
    ) -> None:
        put(source.driver, new_job("old", unique_key="u"), new_job("head", key="k"), new_job("next", key="k"))
        put(source.driver, new_job("both", key="l", unique_key="v"))
        put(destination.driver, new_job("new", unique_key="u"), new_job("newer", key="k"), new_job("other", key="l"))
        carried = move(source, destination, verify=True).run()
        assert sorted(carried.without_slot) == ["both", "head", "old"]
        assert not stored(destination.driver, "old").unique_held
        assert stored(destination.driver, "both").unique_held
        assert {job.id: job.turn for job in destination.each(Where(keys=("k", "l")))} == {
            "newer": 0,
            "head": None,
            "next": None,
            "other": 0,
            "both": None,
        }

    def test_a_job_that_cannot_be_read_stays_and_is_named(
        self, source: Guard, destination: Guard, clock: ManualClock, move: Move
    ) -> None:
        put(source.driver, new_job("ill", notes={UNREADABLE: "its payload"}), new_job("well"))
        with pytest.raises(Corrupt, match="1 jobs cannot be read and stay: ill"):
            move(source, destination).run()
        assert ids(all_of(destination)) == ["well"]
        source.delete(Where(ids=("ill",)))
        move(source, destination).run()


class TestVerify:
    @pytest.mark.parametrize(
        ("spoil", "said"),
        [
            (lambda job: replace(job, notes={"who": "Bert"}), "notes of job retried is {'who': 'Bert'}, not {}"),
            (lambda job: replace(job, payload=b"[]"), "payload of job retried is 2 other bytes, not 2 other bytes"),
            (lambda job: replace(job, state=State.SUCCEEDED, task="call"), "task of job retried is 'call', not 'send'"),
            (lambda job: None, "job retried is not there"),
        ],
    )
    def test_a_difference_is_found_and_the_job_stays_at_the_source(
        self, source: Guard, destination: Guard, clock: ManualClock, move: Move, spoil: Any, said: str
    ) -> None:
        class Careless(Guard):
            def insert(self, jobs: Any, *, tx: Any = None) -> Any:
                spoilt = {job.id: spoil(job) if job.id == "retried" else job for job in jobs}
                super().insert([job for job in spoilt.values() if job is not None], tx=tx)
                return [type(answer)(Insertion.INSERTED) for answer in [*self.driver.insert(jobs[:1])] * len(jobs)]

        put(source.driver, *one_of_each(clock()))
        with pytest.raises(CopyDiffers, match="It is still at the source") as raised:
            move(source, Careless(destination.driver), verify=True).run()
        assert said in str(raised.value)
        assert "retried" in ids(all_of(source))

    def test_a_job_that_has_begun_there_is_no_difference(
        self, source: Guard, destination: Guard, clock: ManualClock, move: Move
    ) -> None:
        class Eager(Guard):
            def insert(self, jobs: Any, *, tx: Any = None) -> Any:
                answers = super().insert(jobs, tx=tx)
                take(self.driver)
                return answers

        put(source.driver, new_job("a"), new_job("b", delay=SECOND))
        move(source, Eager(destination.driver), verify=True).run()
        assert stored(destination.driver, "a").state is State.RUNNING


class TestSeal:
    def test_late_producers_are_told_and_their_jobs_are_not_lost(
        self, pair: tuple[Any, Any], clock: ManualClock, source: Guard, destination: Guard, move: Move
    ) -> None:
        with Longshore(source.driver.target, clock=clock) as app:
            late = app.task(_nothing)
            job = late.enqueue()
            move(source, destination).run()
            with Longshore(source.driver.target, clock=clock) as later:
                with pytest.raises(StoreMoved, match=r"have moved to .*: point the application there"):
                    later.enqueue(later.call_by_name("_nothing"))
                with pytest.raises(StoreMoved):
                    later.enqueue_many([later.call_by_name("_nothing")] * 2)
            assert ids(all_of(destination)) == [job.id]
            # Who looked at the seal just before has not seen it; a repeat takes its job along.
            put(source.driver, new_job("stray"))
            move(source, destination).run()
            assert ids(all_of(destination)) == [job.id, "stray"]

    def test_a_store_that_has_moved_moves_to_no_other(
        self, source: Guard, destination: Guard, move: Move, clock: ManualClock
    ) -> None:
        move(source, destination).run()
        third = Guard(MemoryDriver.connect("memory://", clock=clock))
        with pytest.raises(ConfigurationError, match="expected a store that is not moving; it moves, or has moved, to"):
            move(source, third).run()

    def test_and_back_again(self, source: Guard, destination: Guard, move: Move, clock: ManualClock) -> None:
        jobs = one_of_each(clock())
        put(source.driver, *jobs)
        move(source, destination).run()
        move(destination, source).run()
        assert all_of(source) == as_they_were(jobs)
        assert away_of(source) is None
        assert away_of(destination) is not None

    def test_two_moves_do_not_cross(self, source: Guard, destination: Guard, move: Move, clock: ManualClock) -> None:
        put(source.driver, new_job("runs"))
        start(source.driver, "runs")
        move(source, destination).run(wait=0)
        with pytest.raises(ConfigurationError, match=r"it moves to .*: finish or abort that first"):
            move(destination, source).run()


def _nothing() -> None:
    pass
