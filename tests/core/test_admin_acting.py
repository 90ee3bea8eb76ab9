"""What operators do to jobs, and that nobody's work is overwritten unseen."""

from __future__ import annotations

from datetime import timedelta

import pytest

from core.admin_stores import add, app, claim, fail, state, verdicts
from core.working import work
from longshore import Longshore, State
from longshore.admin import Verdict
from longshore.contract import Change, Insertion, NewJob, Outcome, UniqueScope, Where
from longshore.errors import InvalidValue
from longshore.guard import Guard
from longshore.holders import worker_topic
from longshore.states import FINISH, move
from longshore.testing.clock import ManualClock

__all__ = ["app"]


def succeed(store: Guard, identity: str) -> None:
    job = store.select(Where(ids=(identity,))).jobs[0]
    assert store.update([move(FINISH, job)])[0].outcome is Outcome.MOVED


class TestRetry:
    def test_a_job_of_any_state_is_pending_again(self, app: Longshore) -> None:
        fail(app, "failed")
        work(app)
        for identity in ("pending", "reserved", "running", "succeeded", "cancelled"):
            add(app, identity)
        claim(app, "reserved", reserve=True)
        claim(app, "running")
        claim(app, "succeeded")
        succeed(app.store, "succeeded")
        app.admin.cancel("cancelled")
        ids = ["pending", "reserved", "running", "succeeded", "cancelled", "failed", "nobody"]
        assert verdicts(app.admin.retry(ids)) == [*((each, "done") for each in ids[:-1]), ("nobody", "missing")]
        assert {state(app, identity) for identity in ids[:-1]} == {"pending"}
        assert app.store.select(Where(ids=("succeeded",))).jobs[0].result is None

    def test_it_uses_up_no_attempt_and_leaves_at_least_one(self, app: Longshore, clock: ManualClock) -> None:
        fail(app, "job", task="fail")
        for _ in range(2):
            work(app)
            clock.advance(30)
        assert (state(app, "job"), app.job("job").info().attempt) == ("failed", 2)
        app.admin.retry("job")
        again = app.job("job").info()
        assert (again.attempt, again.max_attempts, again.tries) == (2, 3, 2)
        work(app)
        assert (state(app, "job"), app.job("job").info().attempt) == ("failed", 3)

    def test_it_takes_other_options(self, app: Longshore, clock: ManualClock) -> None:
        add(app, "job")
        work(app)
        app.admin.retry("job", delay=timedelta(minutes=5), priority=7, queue="late", max_attempts=9)
        job = app.job("job").info()
        assert (job.priority, job.queue, job.max_attempts) == (7, "late", 9)
        assert (job.due - job.created).total_seconds() == 300
        app.admin.retry("job", max_attempts=None)
        assert app.job("job").info().max_attempts is None

    def test_the_run_that_is_on_is_void(self, app: Longshore) -> None:
        add(app, "job")
        old = claim(app, "job")
        app.admin.retry("job")
        assert app.store.update([move(FINISH, old)])[0].outcome is Outcome.REFUSED
        assert state(app, "job") == "pending"

    def test_it_takes_the_unique_key_again_or_says_who_has_it(self, app: Longshore) -> None:
        def unique(identity: str) -> NewJob:
            return NewJob(identity, "default", "add", b"{}", unique_key="key", unique_scope=UniqueScope.END)

        app.store.insert([unique("first")])
        app.admin.cancel("first")
        app.admin.retry("first")
        answer = app.store.insert([unique("second")])[0]
        assert (answer.outcome, answer.held_by) == (Insertion.HELD, "first")
        app.admin.cancel("first")
        app.store.insert([unique("third")])
        (fate,) = app.admin.retry("first")
        assert (fate.verdict, fate.state, fate.held_by) == (Verdict.HELD, State.CANCELLED, "third")
        assert state(app, "first") == "cancelled"

    def test_a_deadline_that_has_passed_is_lifted(self, app: Longshore, clock: ManualClock) -> None:
        add(app, "late", expires=10)
        add(app, "timely", expires=100)
        clock.advance(20)
        app.admin.retry(["late", "timely"])
        expires = [app.job(identity).info().expires for identity in ("late", "timely")]
        assert expires[0] is None
        assert expires[1] is not None

    def test_crashes_and_a_wish_to_cancel_are_forgiven(self, app: Longshore) -> None:
        add(app, "job")
        claim(app, "job")
        app.store.update([Change("job", None, {"crashes": 2})])
        app.admin.cancel("job")
        app.admin.retry("job")
        stored = app.store.select(Where(ids=("job",))).jobs[0]
        assert (stored.crashes, stored.cancel_asked) == (0, False)

    @pytest.mark.parametrize("wrong", [{"delay": -1}, {"priority": 40_000}, {"queue": ""}])
    def test_wrong_options_are_refused_before_anything_changes(self, app: Longshore, wrong: dict[str, int]) -> None:
        add(app, "job")
        work(app)
        with pytest.raises(InvalidValue):
            app.admin.retry("job", **wrong)  # type: ignore[arg-type]
        assert state(app, "job") == "succeeded"


class TestCancel:
    def test_at_once_where_nobody_runs_it(self, app: Longshore) -> None:
        app.store.insert([NewJob("waiting", "default", "add", b"{}", waiting=True)])
        for identity in ("pending", "reserved"):
            add(app, identity)
        claim(app, "reserved", reserve=True)
        ids = ["waiting", "pending", "reserved"]
        assert verdicts(app.admin.cancel(ids)) == [(each, "done") for each in ids]
        assert {state(app, each) for each in ids} == {"cancelled"}
        assert verdicts(app.admin.cancel([*ids, "nobody"])) == [
            *((each, "already") for each in ids),
            ("nobody", "missing"),
        ]

    def test_a_running_one_is_asked_and_its_worker_is_told(self, app: Longshore) -> None:
        add(app, "job")
        claim(app, "job", holder="machine.1.abc.2")
        listener = app.store.listen([worker_topic("machine.1.abc.2")])
        (fate,) = app.admin.cancel("job")
        assert (fate.verdict, fate.state) == (Verdict.ASKED, State.RUNNING)
        assert state(app, "job") == "cancelling"
        assert listener.wait(10)
        listener.close()

    def test_by_force_at_once_and_the_run_is_void(self, app: Longshore) -> None:
        add(app, "job")
        run = claim(app, "job")
        assert verdicts(app.admin.cancel("job", force=True)) == [("job", "done")]
        assert state(app, "job") == "cancelled"
        assert app.store.update([move(FINISH, run)])[0].outcome is Outcome.REFUSED

    def test_not_what_has_ended(self, app: Longshore) -> None:
        add(app, "job")
        work(app)
        (fate,) = app.admin.cancel("job", force=True)
        assert (fate.verdict, fate.state) == (Verdict.REFUSED, State.SUCCEEDED)

    def test_who_waits_for_it_learns_of_it(self, app: Longshore) -> None:
        add(app, "job")
        app.store.update([Change("job", None, {"awaited": True})])
        listener = app.store.listen(["ended:job"])
        app.admin.cancel("job")
        assert listener.wait(10)
        listener.close()


class TestMovedMeanwhile:
    def test_a_job_that_a_worker_takes_in_between_is_asked_to_cancel(
        self, app: Longshore, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        add(app, "job")
        update = app.store.update

        def claim_first(changes: list[Change]) -> object:
            monkeypatch.setattr(app.store, "update", update)
            claim(app, "job")
            return update(changes)

        monkeypatch.setattr(app.store, "update", claim_first)
        assert verdicts(app.admin.cancel("job")) == [("job", "asked")]
        assert state(app, "job") == "cancelling"

    def test_a_job_that_is_always_moved_is_refused_in_the_end(
        self, app: Longshore, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        add(app, "job")
        rounds = 0
        update = app.store.update

        def retry_first(changes: list[Change]) -> object:
            nonlocal rounds
            rounds += 1
            stored = app.store.select(Where(ids=("job",))).jobs[0]
            update([Change("job", State.PENDING, {}, generation=stored.generation, renews=True)])
            return update(changes)

        monkeypatch.setattr(app.store, "update", retry_first)
        assert verdicts(app.admin.cancel("job")) == [("job", "refused")]
        assert rounds == 5


class TestRemove:
    def test_what_no_worker_has_is_gone(self, app: Longshore) -> None:
        for identity in ("pending", "ended", "running"):
            add(app, identity)
        claim(app, "running")
        claim(app, "ended")
        succeed(app.store, "ended")
        fates = app.admin.remove(["pending", "running", "ended", "nobody", "pending"])
        assert verdicts(fates) == [
            ("pending", "done"),
            ("running", "refused"),
            ("ended", "done"),
            ("nobody", "missing"),
        ]
        assert fates[1].state is State.RUNNING
        assert [job.id for job in app.admin.jobs().jobs] == ["running"]

    def test_more_than_a_batch(self, app: Longshore) -> None:
        jobs = app.enqueue_many([app.tasks["add"].call(number) for number in range(1_200)])
        fates = app.admin.remove([job.id for job in jobs])
        assert {fate.verdict for fate in fates} == {Verdict.DONE}
        assert app.admin.counts() == {}


class TestPurge:
    def test_all_that_has_not_ended_is_abandoned(self, app: Longshore) -> None:
        for identity in ("pending", "running", "ended"):
            add(app, identity)
        claim(app, "ended")
        succeed(app.store, "ended")
        run = claim(app, "running")
        assert app.admin.purge() == 2
        assert [state(app, each) for each in ("pending", "running", "ended")] == ["abandoned", "abandoned", "succeeded"]
        assert app.store.update([move(FINISH, run)])[0].outcome is Outcome.REFUSED
        assert app.admin.purge() == 0

    def test_an_attempt_says_so(self, app: Longshore, clock: ManualClock) -> None:
        add(app, "pending")
        add(app, "running")
        run = claim(app, "running")
        clock.advance(5)
        app.admin.purge()
        pending, running = (app.job(identity).info() for identity in ("pending", "running"))
        assert [(each.outcome, each.error, each.started) for each in running.attempts] == [
            ("purged", "given up by a person", run.started)
        ]
        assert (running.attempts[0].holder, running.attempts[0].attempt) == ("anna", 1)
        assert [(each.outcome, each.attempt, each.ended) for each in pending.attempts] == [("purged", 0, clock())]
        assert {failure.error for failure in app.admin.failures().failures} == {"given up by a person"}

    def test_of_one_queue_and_more_than_a_batch(self, app: Longshore) -> None:
        add(app, "other", queue="other")
        app.enqueue_many([app.tasks["add"].call(number) for number in range(600)])
        assert app.admin.purge(queues="default") == 600
        assert state(app, "other") == "pending"
        assert app.admin.purge(tasks="nothing") == 0


class TestEdit:
    def test_queue_priority_due_and_deadline(self, app: Longshore) -> None:
        add(app, "job")
        assert verdicts(app.admin.edit("job", queue="late", priority=-3, delay=60, expires=600)) == [("job", "done")]
        job = app.job("job").info()
        assert (job.queue, job.priority, job.shown_as) == ("late", -3, "scheduled")
        assert job.expires is not None
        assert [(moment - job.created).total_seconds() for moment in (job.due, job.expires)] == [60, 600]
        app.admin.edit("job", expires=None)
        assert app.job("job").info().expires is None

    def test_not_what_runs_or_has_ended(self, app: Longshore) -> None:
        for identity in ("running", "ended"):
            add(app, identity)
            claim(app, identity)
        succeed(app.store, "ended")
        fates = app.admin.edit(["running", "ended", "nobody"], priority=1)
        assert verdicts(fates) == [("running", "refused"), ("ended", "refused"), ("nobody", "missing")]

    def test_nothing_to_change_is_an_error(self, app: Longshore) -> None:
        with pytest.raises(InvalidValue, match="something to change"):
            app.admin.edit("job")


class TestNotes:
    def test_are_merged_in_any_state(self, app: Longshore) -> None:
        add(app, "job", notes={"a": 1, "b": [2]})
        work(app)
        assert verdicts(app.admin.note(["job", "nobody"], {"a": None, "c": "d"})) == [
            ("job", "done"),
            ("nobody", "missing"),
        ]
        assert app.job("job").info().notes == {"b": [2], "c": "d"}

    def test_what_is_no_json_is_refused(self, app: Longshore) -> None:
        with pytest.raises(InvalidValue, match="JSON"):
            app.admin.note("job", {"a": {1, 2}})


class TestEnqueueFailed:
    def test_a_new_job_once(self, app: Longshore) -> None:
        fail(app, "job")
        work(app)
        (fate,) = app.admin.enqueue_failed("job")
        assert fate.verdict is Verdict.DONE
        assert fate.new_id is not None
        new = app.job(fate.new_id).info()
        assert (new.task, new.queue, new.attempt, new.shown_as) == ("discard", "default", 0, "pending")
        assert state(app, "job") == "failed"
        (again,) = app.admin.enqueue_failed("job")
        assert (again.verdict, again.new_id) == (Verdict.ALREADY, fate.new_id)
        work(app)
        assert app.job(fate.new_id).info().error == "Discard: no"

    def test_once_also_when_the_note_of_it_was_lost(self, app: Longshore) -> None:
        fail(app, "job")
        work(app)
        (first,) = app.admin.enqueue_failed("job")
        app.admin.note("job", {"longshore.enqueued_again": None})
        (second,) = app.admin.enqueue_failed("job")
        assert (second.verdict, second.new_id) == (Verdict.ALREADY, first.new_id)
        assert app.admin.failures().failures[0].enqueued_again == first.new_id

    def test_again_after_it_has_failed_again(self, app: Longshore) -> None:
        fail(app, "job")
        work(app)
        (first,) = app.admin.enqueue_failed("job")
        app.admin.retry("job")
        work(app)
        (second,) = app.admin.enqueue_failed("job")
        assert second.verdict is Verdict.DONE
        assert second.new_id != first.new_id

    def test_a_long_id_has_a_short_heir(self, app: Longshore) -> None:
        name = "ü" * 100
        fail(app, name)
        work(app)
        (fate,) = app.admin.enqueue_failed(name)
        assert fate.verdict is Verdict.DONE
        assert fate.new_id is not None
        assert len(fate.new_id) <= 60

    def test_not_what_has_not_failed(self, app: Longshore) -> None:
        add(app, "job")
        assert verdicts(app.admin.enqueue_failed(["job", "nobody"])) == [("job", "refused"), ("nobody", "missing")]
