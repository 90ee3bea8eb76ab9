"""Workers that die or stall on purpose: what is left is what a dead process leaves, and the rule of rescue applies."""

from __future__ import annotations

from typing import Any

import pytest

from longshore import Context, Longshore, State
from longshore.errors import IllegalMove, InvalidValue, JobRemoved
from longshore.testing import Harness


class TestCrashAfter:
    def test_the_claim_nothing_was_done(self, app: Longshore, jobs: Harness, ledger: Any) -> None:
        job = app.tasks["greet"].enqueue("Ada")
        left = jobs.crash_after("claim")
        assert (left.job.id, left.job.state, ledger.lines) == (job.id, State.RUNNING, [])
        (worker,) = app.admin.workers()
        assert [held.id for held in worker.holds] == [job.id]
        (ran,) = jobs.drain()
        assert (ran.job.state, ran.job.attempt, ran.job.crashes) == (State.SUCCEEDED, 1, 1)
        assert ledger.lines == ["greet Ada"]
        assert [each.outcome for each in ran.job.attempts] == ["crashed"]

    def test_the_run_all_was_done_and_is_done_again(self, app: Longshore, jobs: Harness, ledger: Any) -> None:
        job = app.tasks["greet"].enqueue("Ada")
        left = jobs.crash_after("run", job)
        assert (left.job.state, left.error, ledger.lines) == (State.RUNNING, None, ["greet Ada"])
        jobs.drain()
        assert (job.info().state, ledger.lines) == (State.SUCCEEDED, ["greet Ada"] * 2)

    def test_the_outcome_is_stored_and_stays(self, app: Longshore, jobs: Harness, ledger: Any) -> None:
        job = app.tasks["greet"].enqueue("Ada")
        assert jobs.crash_after("settle", job).job.state is State.SUCCEEDED
        assert jobs.drain() == []
        assert (job.result(timeout=0), ledger.lines) == ("Hello Ada", ["greet Ada"])
        assert app.admin.workers() == (), "the dead worker's lease has not lapsed"

    def test_what_waits_for_a_job_whose_worker_died_goes_on(self, app: Longshore, jobs: Harness, ledger: Any) -> None:
        first = app.tasks["greet"].enqueue("Ada")
        second = app.tasks["greet"].options(after=[first]).enqueue("Bob")
        jobs.crash_after("settle", first)
        assert second.info().state is State.WAITING, "it did not follow: its worker was dead"
        jobs.drain()
        assert (second.info().state, ledger.lines) == (State.SUCCEEDED, ["greet Ada", "greet Bob"])

    def test_an_attempt_that_failed_is_stored_too(self, app: Longshore, jobs: Harness) -> None:
        app.tasks["fail_until"].enqueue(2)
        left = jobs.crash_after("settle")
        assert (left.job.shown_as, str(left.error)) == ("retrying", "attempt 1")
        (ran,) = jobs.drain()  # The lease of the dead, that the test waits for, is as long as the pause.
        assert (ran.job.state, ran.job.attempt, ran.job.crashes) == (State.SUCCEEDED, 2, 0)

    def test_an_async_task(self, app: Longshore, jobs: Harness, ledger: Any) -> None:
        app.tasks["agreet"].enqueue("Ada")
        jobs.crash_after("run")
        jobs.drain()
        assert ledger.lines == ["agreet Ada"] * 2

    def test_the_rule_of_rescue_applies(self, app: Longshore, jobs: Harness) -> None:
        job = app.tasks["greet"].enqueue("Ada")
        jobs.crash_after("claim")
        jobs.drain("none")
        assert job.info().shown_as == "pending", "after the first crash it runs at once"
        jobs.crash_after("claim", job)
        jobs.drain("none")
        assert job.info().shown_as == "retrying", "after the second it waits"
        jobs.advance(30)
        for _ in range(2):
            jobs.crash_after("claim", job)
            assert jobs.drain("none") == []
            jobs.advance(300)
        assert job.info().state is State.ABANDONED

    def test_a_rescue_lets_the_time_of_a_lease_pass(self, app: Longshore, jobs: Harness) -> None:
        app.tasks["greet"].enqueue("Ada")
        began = jobs.clock()
        jobs.crash_after("claim")
        jobs.drain()
        assert jobs.clock() - began == 60 * 1_000_000

    def test_ended_jobs_stay_however_old(self, app: Longshore, jobs: Harness) -> None:
        old = app.tasks["greet"].enqueue("Ada")
        jobs.drain()
        jobs.advance(90 * 86_400)
        app.tasks["greet"].enqueue("Bob")
        jobs.crash_after("claim")
        jobs.drain()
        assert old.info().state is State.SUCCEEDED

    def test_a_point_that_is_none(self, app: Longshore, jobs: Harness) -> None:
        with pytest.raises(InvalidValue, match="after claim, run, settle; got 'lunch'"):
            jobs.crash_after("lunch")  # type: ignore[arg-type]

    def test_a_job_that_is_not_due(self, app: Longshore, jobs: Harness) -> None:
        with pytest.raises(IllegalMove, match="none is"):
            jobs.crash_after("claim")
        job = app.tasks["greet"].options(delay=5).enqueue("Ada")
        with pytest.raises(IllegalMove, match=f"{job.id} to be due.*it is scheduled"):
            jobs.crash_after("claim", job.id)
        with pytest.raises(JobRemoved):
            jobs.crash_after("claim", "nobody")
        assert app.admin.workers() == (), "a worker is left that has nothing"


class TestDeliverTwice:
    def test_the_task_runs_twice_and_the_second_run_is_void(self, app: Longshore, jobs: Harness, ledger: Any) -> None:
        numbers: list[int] = []

        @app.task
        def count(context: Context) -> int:
            numbers.append(context.crashes)
            return len(numbers)

        job = count.enqueue()
        delivery = jobs.deliver_twice(job)
        assert numbers == [1, 0], "first who took it over, then who stalled"
        assert (delivery.first.is_void, delivery.second.is_void) == (False, True)
        assert job.result(timeout=0) == 1, "the result of a run that was void"
        assert jobs.drain() == []

    def test_so_a_task_can_be_shown_to_be_idempotent(self, app: Longshore, jobs: Harness) -> None:
        charged: dict[str, int] = {}

        @app.task
        def charge(context: Context, amount: int) -> None:
            charged.setdefault(context.job_id, amount)

        jobs.deliver_twice(charge.enqueue(5))
        assert list(charged.values()) == [5]

    def test_errors_of_both_runs_are_told(self, app: Longshore, jobs: Harness) -> None:
        delivery = jobs.deliver_twice(app.tasks["fail_until"].enqueue(9).id)
        assert [str(ran.error) for ran in (delivery.first, delivery.second)] == ["attempt 1"] * 2
        assert [each.outcome for each in delivery.second.job.attempts] == ["crashed", "failed"]
        assert delivery.second.job.shown_as == "retrying"

    def test_a_job_that_has_crashed_before(self, app: Longshore, jobs: Harness) -> None:
        job = app.tasks["greet"].enqueue("Ada")
        jobs.crash_after("claim")
        jobs.drain("none")
        assert not jobs.deliver_twice(job).first.is_void

    def test_a_job_that_is_not_due(self, app: Longshore, jobs: Harness) -> None:
        with pytest.raises(JobRemoved):
            jobs.deliver_twice("nobody")
