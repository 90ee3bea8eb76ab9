"""Leases: how a process shows that it lives, and how the jobs of one that does not come free."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import pytest

from core.broken_line import HOLDS, LOSES_ANSWER, LOSES_CALL, BrokenLine
from longshore.contract import SECOND, Answer, Change, Claim, Outcome, State, StoredJob, Where
from longshore.errors import LeaseLost, Unavailable
from longshore.guard import Guard
from longshore.holders import KIND, Doing, HolderRecord, Lease, Rescued, end_lease, lapsed_holders, rescue
from longshore.info import info_of
from longshore.memory import MemoryDriver
from longshore.memory_store import MemoryStore
from longshore.states import ASK_CANCEL, FINISH, move
from longshore.testing.clock import ManualClock
from longshore.testing.samples import BERT, QUEUE, names, new_job, state_of, stored

LENGTH = 60.0


@pytest.fixture
def lease(store: Guard, clock: ManualClock) -> Lease:
    """A lease that has begun; the process's own clock is the store's."""
    lease = Lease(LENGTH, queues=(QUEUE,), doing=lambda: Doing(slots=4), monotonic=lambda: clock() / SECOND)
    lease.begin(store)
    return lease


def hold(store: Guard, lease: Lease, *identities: str, reserve: bool = False, **fields: Any) -> list[StoredJob]:
    """Jobs that the lease's holder runs."""
    store.insert([new_job(identity, **fields) for identity in identities])
    claims = [Claim(id=identity, reserve=reserve) for identity in identities]
    return store.claim(claims, holder=lease.holder, limit=len(claims)).jobs


def rescued(store: Guard, lease: Lease, by: str = BERT) -> Rescued | None:
    return rescue(store, lease.holder, by=by, lease=round(LENGTH * SECOND))


class TestLease:
    def test_it_is_a_record_that_tells_operators_who_it_is(self, store: Guard, lease: Lease) -> None:
        (record,) = store.read(KIND, [lease.holder])
        about = msgspec.json.decode(record.value, type=HolderRecord)
        assert (about.queues, about.slots, about.beat, about.rescued_by) == ((QUEUE,), 4, 1, None)
        assert f".{about.pid}." in lease.holder

    def test_while_it_is_renewed_nobody_may_rescue(self, store: Guard, lease: Lease, clock: ManualClock) -> None:
        hold(store, lease, "a")
        for _ in range(20):
            clock.advance(15)
            lease.renew(store)
            assert lease.is_valid()
            assert lapsed_holders(store) == []
            assert rescued(store, lease) is None
        assert state_of(store.driver, "a") is State.RUNNING

    def test_a_renewal_is_one_write_however_many_jobs_are_held(
        self, memory: MemoryStore, clock: ManualClock, lease: Lease
    ) -> None:
        line = BrokenLine.connect(memory, clock=clock)
        line.plan()
        hold(Guard(line), lease, *names(50))
        line.plan()
        lease.renew(Guard(line))
        assert line.calls == [("write", 1)]

    def test_a_holder_stops_by_itself_before_anybody_else_may_think_it_dead(
        self, lease: Lease, clock: ManualClock
    ) -> None:
        clock.advance(0.8 * LENGTH - 0.001)
        assert lease.is_valid()
        clock.advance(0.001)
        assert not lease.is_valid()
        assert not lease.is_lost()

    def test_one_that_lapsed_can_be_renewed_until_somebody_rescues(
        self, store: Guard, lease: Lease, clock: ManualClock
    ) -> None:
        hold(store, lease, "a")
        clock.advance(10 * LENGTH)
        assert lapsed_holders(store) == [lease.holder]
        lease.renew(store)
        assert lease.is_valid()
        assert lapsed_holders(store) == []
        assert rescued(store, lease) is None

    def test_a_late_holder_learns_that_its_jobs_were_rescued(
        self, store: Guard, lease: Lease, clock: ManualClock
    ) -> None:
        (run,) = hold(store, lease, "a")
        clock.advance(LENGTH)
        assert rescued(store, lease) == Rescued(pending=1)
        with pytest.raises(LeaseLost, match=lease.holder):
            lease.renew(store)
        assert lease.is_lost()
        assert not lease.is_valid()
        assert store.update([move(FINISH, run)])[0].outcome is Outcome.REFUSED

    def test_a_holder_later_still_holds_nothing_any_more(self, store: Guard, lease: Lease, clock: ManualClock) -> None:
        (run,) = hold(store, lease, "a")
        clock.advance(LENGTH)
        rescued(store, lease)
        clock.advance(2 * LENGTH)
        lease.renew(store)
        assert list(store.each(Where(holder=lease.holder))) == []
        assert store.update([move(FINISH, run)])[0].outcome is Outcome.REFUSED

    def test_after_a_loss_a_new_one_begins_under_a_new_name(
        self, store: Guard, lease: Lease, clock: ManualClock
    ) -> None:
        before = lease.holder
        clock.advance(LENGTH)
        rescued(store, lease)
        with pytest.raises(LeaseLost):
            lease.renew(store)
        lease.renew(store)  # Lost is lost: nothing is written under the old name.
        assert lease.is_lost()
        lease.begin(store)
        assert lease.holder != before
        assert lease.holder.startswith(lease.worker)
        assert lease.is_valid()

    def test_its_name_is_announced_before_it_holds_anything(self, store: Guard) -> None:
        said: list[tuple[str, int]] = []
        lease = Lease(LENGTH, announce=lambda holder: said.append((holder, len(store.read(KIND)))))
        lease.begin(store)
        assert said == [(lease.holder, 0)]

    @pytest.mark.parametrize("fault", [LOSES_CALL, LOSES_ANSWER])
    def test_a_renewal_that_was_lost_does_not_lose_the_lease(
        self, memory: MemoryStore, clock: ManualClock, lease: Lease, fault: Any
    ) -> None:
        line = BrokenLine.connect(memory, clock=clock)
        line.plan(fault)
        store = Guard(line, patience=0)
        clock.advance(15)
        with pytest.raises(Unavailable):
            lease.renew(store)
        clock.advance(15)
        lease.renew(store)
        assert lease.is_valid()
        clock.advance(LENGTH - 1)
        assert len(store.read(KIND, [lease.holder])) == 1

    def test_a_renewal_counts_from_when_it_was_sent(self, memory: MemoryStore, clock: ManualClock) -> None:
        class SlowStore(MemoryDriver):
            def write(self, *args: Any, **rest: Any) -> list[int | None]:
                answer = super().write(*args, **rest)
                clock.advance(0.8 * LENGTH)
                return answer

        lease = Lease(LENGTH, monotonic=lambda: clock() / SECOND)
        lease.begin(Guard(SlowStore.connect(memory, clock=clock)))
        assert not lease.is_valid()

    def test_when_it_ends_its_record_goes(self, store: Guard, lease: Lease) -> None:
        lease.end(store)
        assert store.read(KIND) == []
        assert lease.is_lost()

    def test_an_end_does_not_erase_the_mark_of_a_rescuer(self, store: Guard, lease: Lease, clock: ManualClock) -> None:
        clock.advance(LENGTH)
        rescued(store, lease)
        lease.end(store)
        assert len(store.read(KIND)) == 1

    def test_two_of_one_process_have_names_of_their_own(self) -> None:
        assert Lease(LENGTH).worker != Lease(LENGTH).worker

    def test_a_dead_child_s_lease_can_be_ended_at_once(self, store: Guard, lease: Lease) -> None:
        hold(store, lease, "a")
        end_lease(store, lease.holder)
        assert lapsed_holders(store) == [lease.holder]
        assert rescued(store, lease) == Rescued(pending=1)


class TestLapsedHolders:
    def test_who_holds_nothing_is_not_one_whatever_its_lease(
        self, store: Guard, lease: Lease, clock: ManualClock
    ) -> None:
        clock.advance(LENGTH)
        assert lapsed_holders(store) == []

    def test_of_more_holders_than_one_call_reads_those_without_a_lease_are_found(self, store: Guard) -> None:
        store.insert([new_job(name) for name in names(1_100)])
        leases = [Lease(LENGTH) for _ in range(1_100)]
        for lease, name in zip(leases, names(1_100), strict=True):
            lease.begin(store)
            store.claim([Claim(id=name)], holder=lease.holder, limit=1)
        end_lease(store, leases[7].holder)
        assert lapsed_holders(store) == [leases[7].holder]


class TestRescueAccounting:
    def rescue_one(self, store: Guard, lease: Lease, clock: ManualClock) -> StoredJob:
        clock.advance(LENGTH)
        assert rescued(store, lease) is not None
        return stored(store.driver, "a")

    @pytest.mark.parametrize(("crashes", "pause"), [(0, 0), (1, 30), (2, 300)])
    def test_a_crash_is_no_attempt_and_the_pause_grows(
        self, store: Guard, lease: Lease, clock: ManualClock, crashes: int, pause: float
    ) -> None:
        hold(store, lease, "a")
        store.update([Change("a", None, {"crashes": crashes, "attempt": 3})])
        job = self.rescue_one(store, lease, clock)
        assert (job.state, job.attempt, job.crashes, job.holder) == (State.PENDING, 2, crashes + 1, None)
        assert job.due == clock() + pause * SECOND

    def test_over_the_most_crashes_it_is_abandoned(self, store: Guard, lease: Lease, clock: ManualClock) -> None:
        hold(store, lease, "a", max_crashes=3)
        store.update([Change("a", None, {"crashes": 3})])
        job = self.rescue_one(store, lease, clock)
        assert (job.state, job.crashes, job.ended) == (State.ABANDONED, 4, clock())

    def test_a_job_that_bears_no_crash_is_abandoned_at_the_first(
        self, store: Guard, lease: Lease, clock: ManualClock
    ) -> None:
        hold(store, lease, "a", max_crashes=0)
        assert self.rescue_one(store, lease, clock).state is State.ABANDONED

    def test_one_that_was_to_be_cancelled_is_cancelled(self, store: Guard, lease: Lease, clock: ManualClock) -> None:
        (run,) = hold(store, lease, "a")
        store.update([move(ASK_CANCEL, run, {"cancel_asked": True})])
        job = self.rescue_one(store, lease, clock)
        assert (job.state, job.crashes) == (State.CANCELLED, 0)

    def test_one_that_was_reserved_comes_back_without_a_crash(
        self, store: Guard, lease: Lease, clock: ManualClock
    ) -> None:
        hold(store, lease, "a", reserve=True)
        job = self.rescue_one(store, lease, clock)
        assert (job.state, job.crashes, job.attempt, job.tries) == (State.PENDING, 0, 0, 0)

    def test_the_crash_is_kept_among_its_attempts(self, store: Guard, lease: Lease, clock: ManualClock) -> None:
        hold(store, lease, "a")
        (attempt,) = info_of(self.rescue_one(store, lease, clock), clock()).attempts
        assert (attempt.outcome, attempt.holder, attempt.error) == ("crashed", lease.holder, "its worker went away")
        assert attempt.ended - attempt.started == LENGTH * SECOND

    def test_one_that_somebody_asked_to_cancel_while_it_was_rescued_is_cancelled(
        self, memory: MemoryStore, lease: Lease, clock: ManualClock
    ) -> None:
        class AskedMeanwhile(MemoryDriver):
            asks = [Change("a", None, {"cancel_asked": True})]  # noqa: RUF012

            def update(self, changes: Sequence[Change], *, tx: Any = None) -> list[Answer]:
                while self.asks:
                    super().update([self.asks.pop()])
                return super().update(changes, tx=tx)

        store = Guard(AskedMeanwhile.connect(memory, clock=clock))
        store.insert([new_job("a"), new_job("b")])
        store.claim([Claim((QUEUE,))], holder=lease.holder, limit=2)
        clock.advance(LENGTH)
        assert rescued(store, lease) == Rescued(pending=1, ended=1)
        assert (state_of(store.driver, "a"), state_of(store.driver, "b")) == (State.CANCELLED, State.PENDING)

    def test_a_run_that_ended_before_it_could_be_rescued_stays_ended(
        self, store: Guard, lease: Lease, clock: ManualClock
    ) -> None:
        runs = hold(store, lease, "a", "b")
        store.update([move(FINISH, runs[0])])
        clock.advance(LENGTH)
        assert rescued(store, lease) == Rescued(pending=1)
        assert state_of(store.driver, "a") is State.SUCCEEDED


class TestRescuers:
    def test_one_of_two_wins(self, store: Guard, lease: Lease, clock: ManualClock) -> None:
        hold(store, lease, "a")
        clock.advance(LENGTH)
        assert rescued(store, lease, by="first") == Rescued(pending=1)
        assert rescued(store, lease, by="second") is None

    def test_where_one_died_half_way_another_goes_on_after_its_lease(
        self, memory: MemoryStore, store: Guard, lease: Lease, clock: ManualClock
    ) -> None:
        hold(store, lease, *names(600))
        clock.advance(LENGTH)
        line = BrokenLine.connect(memory, clock=clock)
        line.plan(HOLDS, HOLDS, LOSES_CALL, LOSES_CALL)  # The mark, the first jobs; then it dies.
        with pytest.raises(Unavailable):
            rescued(Guard(line, patience=0), lease, by="first")
        assert len(list(store.each(Where(holder=lease.holder)))) == 100

        assert lapsed_holders(store) == []
        assert rescued(store, lease, by="second") is None
        with pytest.raises(LeaseLost):
            lease.renew(store)

        clock.advance(LENGTH)
        assert lapsed_holders(store) == [lease.holder]
        assert rescued(store, lease, by="second") == Rescued(pending=100)
        crashes = [job.crashes for job in store.each(Where(queues=[QUEUE]))]
        assert crashes == [1] * 600

    def test_one_whom_an_open_transaction_keeps_from_it_leaves_it_to_the_next_at_once(
        self, memory: MemoryStore, store: Guard, lease: Lease, clock: ManualClock
    ) -> None:
        hold(store, lease, *names(600))
        clock.advance(LENGTH)
        line = BrokenLine.connect(memory, clock=clock)
        line.plan(HOLDS, HOLDS, LOSES_CALL)  # The mark, the first jobs; others are not to be changed now.
        assert rescued(Guard(line, patience=0), lease, by="first") is None
        assert rescued(store, lease, by="second") == Rescued(pending=100)

    def test_a_rescuer_whose_answers_are_lost_goes_on(
        self, memory: MemoryStore, store: Guard, lease: Lease, clock: ManualClock
    ) -> None:
        hold(store, lease, "a")
        clock.advance(LENGTH)
        line = BrokenLine.connect(memory, clock=clock)
        line.plan(LOSES_ANSWER, HOLDS, LOSES_ANSWER)  # The mark and its check; the job.
        assert rescued(Guard(line, sleep=lambda seconds: None), lease) is not None
        job = stored(store.driver, "a")
        assert (job.state, job.crashes) == (State.PENDING, 1)

    def test_only_the_jobs_of_the_lost_holder_are_touched(self, store: Guard, lease: Lease, clock: ManualClock) -> None:
        other = Lease(LENGTH, monotonic=lambda: clock() / SECOND)
        other.begin(store)
        hold(store, lease, "a")
        hold(store, other, "b")
        clock.advance(LENGTH)
        other.renew(store)
        assert lapsed_holders(store) == [lease.holder]
        rescued(store, lease)
        assert (state_of(store.driver, "a"), state_of(store.driver, "b")) == (State.PENDING, State.RUNNING)

    def test_idle_workers_are_woken_and_so_is_who_waits_for_an_end(
        self, store: Guard, lease: Lease, clock: ManualClock
    ) -> None:
        hold(store, lease, "a")
        hold(store, lease, "b", max_crashes=0, queue="post")
        queue, end, other = (store.listen([topic]) for topic in (f"queue:{QUEUE}", "ended:b", "queue:post"))
        clock.advance(LENGTH)
        rescued(store, lease)
        assert (queue.wait(0), end.wait(0), other.wait(0)) == (True, True, False)
