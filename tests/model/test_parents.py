"""Jobs that wait for others: chains, graphs, what becomes of children, and that nothing is lost on the way."""

from __future__ import annotations

import logging
from collections.abc import Callable

import pytest

from longshore import Context, Job, Longshore, Retry, State
from longshore.contract import Change, Claim, IfParentFails, NewJob, Where
from longshore.enqueuing.storing import enqueue_calls
from longshore.following import PARENT_FAILED
from longshore.following.follower import mend
from longshore.following.sweep import sweep
from longshore.guard import Guard
from longshore.holders import rescue
from longshore.testing.clock import ManualClock
from longshore.testing.faults.cut import CutDriver, Moment
from model.lineage import Yard


@pytest.fixture
def yard(app: Longshore) -> Yard:
    return Yard(app)


@pytest.fixture
def slow_yard(timed: Longshore) -> Yard:
    """One whose store's time stands still."""
    return Yard(timed)


class TestOrder:
    def test_a_child_runs_after_its_parents(self, yard: Yard) -> None:
        first, second = yard.note.enqueue("first"), yard.note.enqueue("second")
        child = yard.note.options(after=[first, second.id], priority=9).enqueue("child")
        assert child.info().state is State.WAITING
        assert child.info().parents == (first.id, second.id)
        yard.work()
        assert yard.log == ["first", "second", "child"]

    def test_a_chain_runs_in_order(self, yard: Yard) -> None:
        jobs = yard.app.chain(*[yard.note.options(priority=number).call(str(number)) for number in range(5)])
        assert yard.states(*jobs) == [State.PENDING, *[State.WAITING] * 4]
        yard.work()
        assert yard.log == list("01234")

    def test_a_graph_is_stored_by_one_call_in_any_order(self, yard: Yard) -> None:
        top = yard.note.call("top")
        left, right = (yard.note.options(after=top).call(word) for word in ("left", "right"))
        bottom = yard.note.options(after=[left, right]).call("bottom")
        jobs = yard.app.enqueue_many([bottom, right, left, top])
        assert yard.states(*jobs) == [State.WAITING, State.WAITING, State.WAITING, State.PENDING]
        yard.work()
        assert (yard.log[0], set(yard.log[1:3]), yard.log[3]) == ("top", {"left", "right"}, "bottom")

    def test_a_child_sees_what_its_parents_returned(self, yard: Yard) -> None:
        good, bad = yard.note.enqueue("good"), yard.sink.enqueue("bad")
        child = yard.gather.options(after=[bad, good, "nobody"], lax=True).enqueue()
        yard.work()
        assert child.result() == ["ValueError: bad sank", "good", None]

    def test_a_new_job_in_place_of_a_failed_child_sees_them_too(self, yard: Yard) -> None:
        parent = yard.note.enqueue("parent")

        @yard.app.task(retry=Retry(max_attempts=1))
        def sink_too(context: Context) -> None:
            raise ValueError(context.parents()[0].result)

        child = sink_too.options(after=parent).enqueue()
        yard.work()
        (fate,) = yard.app.admin.enqueue_failed(child.id)
        assert fate.new_id is not None
        assert yard.app.job(fate.new_id).info().state is State.PENDING
        yard.work()
        assert yard.app.job(fate.new_id).info().error == "ValueError: parent"

    def test_parents_that_have_ended_before_hold_up_nobody(self, yard: Yard) -> None:
        parent = yard.note.enqueue("parent")
        yard.work()
        child = yard.note.options(after=parent).enqueue("child")
        assert child.info().state is State.PENDING

    def test_a_parent_that_is_not_stored_counts_as_one_that_succeeded(self, yard: Yard) -> None:
        assert yard.note.options(after="nobody").enqueue("child").info().state is State.PENDING

    def test_a_parent_that_is_removed_is_waited_for_no_more(self, yard: Yard) -> None:
        parent = yard.note.enqueue("parent")
        child = yard.note.options(after=parent).enqueue("child")
        yard.app.admin.remove(parent.id)
        assert child.info().state is State.PENDING

    def test_the_due_time_of_a_child_stays(self, slow_yard: Yard) -> None:
        parent = slow_yard.note.enqueue("parent")
        child = slow_yard.note.options(after=parent, delay=60).enqueue("child")
        slow_yard.work()
        assert (child.info().state, child.info().shown_as) == (State.PENDING, "scheduled")

    def test_waiting_for_parents_is_not_being_stuck(self, timed: Longshore, clock: ManualClock) -> None:
        yard = Yard(timed)
        parent = yard.note.options(delay=30 * 86_400).enqueue("parent")
        child = yard.note.options(after=parent).enqueue("child")
        clock.advance(20 * 86_400)
        sweep(timed.store)
        assert timed.admin.stuck().jobs == ()
        assert child.info().state is State.WAITING


class TestFailingParents:
    def test_children_of_one_that_fails_are_cancelled_with_theirs_and_say_why(self, yard: Yard) -> None:
        parent = yard.sink.enqueue("parent")
        child = yard.note.options(after=parent).enqueue("child")
        grandchild = yard.note.options(after=child).enqueue("grandchild")
        yard.work()
        assert yard.states(parent, child, grandchild) == [State.FAILED, State.CANCELLED, State.CANCELLED]
        assert child.info().notes == {PARENT_FAILED: parent.id}
        assert yard.log == ["parent"]

    def test_one_failure_cancels_while_other_parents_still_run(self, yard: Yard) -> None:
        later = yard.note.options(delay=600).enqueue("later")
        child = yard.note.options(after=[later, yard.sink.enqueue("parent")]).enqueue("child")
        yard.work()
        assert child.info().state is State.CANCELLED

    def test_a_lax_child_runs_however_they_end(self, yard: Yard) -> None:
        cancelled = yard.note.options(delay=600).enqueue("cancelled")
        yard.note.options(after=[yard.sink.enqueue("parent"), cancelled], lax=True).enqueue("child")
        yard.work()
        assert yard.log == ["parent"], "one parent is open"
        yard.app.admin.cancel(cancelled.id)
        yard.work()
        assert yard.log == ["parent", "child"]

    def test_a_child_may_wait_for_somebody_to_retry_its_parent(self, yard: Yard) -> None:
        parent = yard.sink.enqueue("parent")
        child = yard.note.options(after=parent, if_parent_fails="wait").enqueue("child")
        yard.work()
        assert child.info().state is State.WAITING
        yard.app.admin.retry(parent.id)
        fetch = yard.app.fetch()
        (held,) = fetch.take()
        held.finish()
        fetch.close()
        assert child.info().state is State.PENDING

    @pytest.mark.parametrize("force", [False, True])
    def test_a_cancelled_parent_cancels_too(self, yard: Yard, *, force: bool) -> None:
        parent = yard.note.enqueue("parent")
        child = yard.note.options(after=parent).enqueue("child")
        yard.app.admin.cancel(parent.id, force=force)
        assert child.info().state is State.CANCELLED

    def test_a_purge_ends_children_too(self, yard: Yard) -> None:
        parent = yard.note.enqueue("parent")
        child = yard.note.options(after=parent, queue="other").enqueue("child")
        assert yard.app.admin.purge(queues="default") == 1
        assert yard.states(parent, child) == [State.ABANDONED, State.CANCELLED]

    def test_a_parent_that_expires_under_a_claim(self, timed: Longshore, clock: ManualClock) -> None:
        yard = Yard(timed)
        parent = yard.note.options(expires=10).enqueue("parent")
        child, lax = (yard.note.options(after=parent, lax=lax).enqueue("child") for lax in (False, True))
        clock.advance(10)
        yard.work()
        assert yard.states(parent, child, lax) == [State.EXPIRED, State.CANCELLED, State.SUCCEEDED]

    def test_a_parent_that_expires_under_a_fetch_by_hand(self, timed: Longshore, clock: ManualClock) -> None:
        yard = Yard(timed)
        parent = yard.note.options(expires=10).enqueue("parent")
        child = yard.note.options(after=parent).enqueue("child")
        clock.advance(10)
        with timed.fetch(wait=0) as fetch:
            assert fetch.take() == []
        assert child.info().state is State.CANCELLED


class TestEnders:
    """Whoever ends a job releases its children."""

    @pytest.fixture
    def child(self, yard: Yard) -> Job[str]:
        self.parent = yard.note.enqueue("parent")
        return yard.note.options(after=self.parent).enqueue("child")

    def test_who_fetches_by_hand(self, yard: Yard, child: Job[str]) -> None:
        with yard.app.fetch() as fetch:
            fetch.take()[0].finish()
            assert child.info().state is State.PENDING

    def test_who_runs_it_in_the_foreground(self, yard: Yard, child: Job[str]) -> None:
        yard.app.admin.run_here(self.parent.id)
        assert child.info().state is State.PENDING

    def test_a_rescue_that_abandons(self, timed: Longshore, clock: ManualClock) -> None:
        yard = Yard(timed)
        parent = yard.note.enqueue("parent")
        child = yard.note.options(after=parent).enqueue("child")
        for crash in range(4):
            assert timed.store.claim([Claim(("default",))], holder=f"dead {crash}", limit=1).jobs
            assert rescue(timed.store, f"dead {crash}", by="living", lease=1) is not None
            clock.advance(3_600)
        assert yard.states(parent, child) == [State.ABANDONED, State.CANCELLED]


@pytest.mark.every_engine
class TestTransactions:
    def test_a_graph_is_there_when_the_transaction_commits(self, yard: Yard) -> None:
        if not yard.app.store.features & type(yard.app.store.features).TRANSACTIONS:
            pytest.skip("the store has no transactions")
        ended = yard.note.enqueue("ended")
        yard.work()
        with yard.app.transaction() as tx:
            jobs = yard.app.chain(yard.note.call("a"), yard.note.call("b"), tx=tx)
            free = yard.app.enqueue(yard.note.options(after=ended).call("free"), tx=tx)
        assert yard.states(*jobs, free) == [State.PENDING, State.WAITING, State.PENDING]
        yard.work()
        assert yard.log[0] == "ended"
        assert yard.log.index("a") < yard.log.index("b")

    def test_a_parent_that_ends_before_the_commit_is_found_by_the_sweep(self, yard: Yard) -> None:
        if not yard.app.store.features & type(yard.app.store.features).TRANSACTIONS:
            pytest.skip("the store has no transactions")
        with yard.app.transaction() as tx:
            child = yard.app.enqueue(yard.note.options(after="nobody").call("child"), tx=tx)
        assert child.info().state is State.WAITING, "the transaction itself might have stored that parent"
        sweep(yard.app.store)
        assert child.info().state is State.PENDING


def test_the_numbers_that_are_stored_never_change() -> None:
    assert [each.value for each in IfParentFails] == [1, 2, 3, 4]


@pytest.mark.every_engine
class TestCrashes:
    """Each step's crash, and who makes it good; the page with all of them is docs/design/crash-windows.md."""

    def test_an_end_whose_maker_died_is_followed_by_upkeep(self, timed: Longshore, clock: ManualClock) -> None:
        yard = Yard(timed)
        parent = yard.note.enqueue("parent")
        child = yard.note.options(after=parent).enqueue("child")
        assert timed.store.update([Change(parent.id, State.SUCCEEDED)])[0].releases
        mend(timed.store)
        assert child.info().state is State.WAITING, "its maker is about to"
        clock.advance(1)
        mend(timed.store)
        assert child.info().state is State.PENDING
        assert timed.store.select(Where(releases=True)).jobs == []

    @pytest.mark.parametrize("repair", [mend, sweep])
    def test_children_of_one_that_expired_in_a_claim_whose_maker_died_are_not_forgotten(
        self, timed: Longshore, clock: ManualClock, repair: Callable[[Guard], object]
    ) -> None:
        yard = Yard(timed)
        parent = yard.note.options(expires=10).enqueue("parent")
        children = [yard.note.options(after=parent, lax=lax).enqueue("child") for lax in (True, False)]
        clock.advance(10)
        assert timed.store.claim([Claim(queues=("default",))], holder="dies", limit=1).expired == [parent.id]
        clock.advance(1)
        repair(timed.store)
        assert yard.states(*children) == [State.PENDING, State.CANCELLED]

    def test_a_child_whose_producer_died_before_its_look_is_found_by_the_sweep(self, timed: Longshore) -> None:
        yard = Yard(timed)
        parent = yard.note.enqueue("parent")
        yard.work()
        timed.store.insert([NewJob("child", "default", "note", b"{}", parents=(parent.id,), waiting=True)])
        sweep(timed.store)
        assert timed.job("child").info().state is State.PENDING

    def test_a_look_that_the_store_does_not_answer_is_left_to_upkeep(
        self, yard: Yard, caplog: pytest.LogCaptureFixture
    ) -> None:
        parent = yard.note.enqueue("parent")
        yard.work()
        line = CutDriver(yard.app.store.driver)
        line.cut("select", Moment.BEFORE)
        call = yard.note.options(after=parent).call("child")
        with caplog.at_level(logging.WARNING, "longshore"):
            assert enqueue_calls(Guard(line, patience=0), [call], lambda: "child") == ["child"]
        assert "upkeep looks after 1 jobs that wait" in caplog.text
        sweep(yard.app.store)
        assert yard.app.job("child").info().state is State.PENDING

    def test_a_sweep_goes_on_where_the_last_one_stopped(self, timed: Longshore) -> None:
        yard = Yard(timed)
        blocked = yard.note.options(delay=600).enqueue("never")
        many = [
            NewJob(f"{number:04}", "default", "note", b"{}", parents=(blocked.id,), waiting=True)
            for number in range(1_100)
        ]
        timed.store.insert(many)
        timed.store.insert([NewJob("last", "default", "note", b"{}", parents=("nobody",), waiting=True)])
        assert [sweep(timed.store), sweep(timed.store)] == [1_000, 101]
        assert timed.job("last").info().state is State.PENDING
        assert sweep(timed.store) == 1_000, "and begins anew"
