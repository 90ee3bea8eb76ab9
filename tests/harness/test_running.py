"""Jobs run when the test says so: by draining, or as soon as they are enqueued."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest

from longshore import Context, Longshore, State, Unique
from longshore.contract import Features
from longshore.errors import Blocked, InvalidValue, JobFailed, UnknownDriver
from longshore.testing import Harness, ManualClock, Ran
from longshore.testing.together import together


def shown(ran: list[Ran]) -> list[tuple[str, str]]:
    return [(each.job.task, each.job.shown_as) for each in ran]


class TestDrain:
    def test_all_that_is_due_runs_in_order(self, app: Longshore, jobs: Harness, ledger: Any) -> None:
        app.tasks["agreet"].enqueue("Ada")
        app.tasks["greet"].options(priority=5).enqueue("Bob")
        app.tasks["greet"].options(delay=60).enqueue("Cleo")
        assert shown(jobs.drain()) == [("greet", "succeeded"), ("agreet", "succeeded")]
        assert ledger.lines == ["greet Bob", "agreet Ada"]
        assert jobs.drain() == []

    def test_runs_are_real_ones(self, app: Longshore, jobs: Harness) -> None:
        job = app.tasks["greet"].enqueue("Ada", title="Lady ")
        (ran,) = jobs.drain()
        assert ran == Ran(job.info())
        assert ran.job.attempt == 1
        assert ran.job.started is not None
        assert job.result(timeout=0) == "Hello Lady Ada"

    def test_what_tasks_enqueue_runs_too(self, app: Longshore, jobs: Harness, ledger: Any) -> None:
        app.tasks["sign_up"].enqueue("Ada")
        assert shown(jobs.drain()) == [("sign_up", "succeeded"), ("greet", "succeeded")]
        assert ledger.lines == ["sign_up Ada", "signed_up Ada", "greet Ada"]

    def test_of_the_queues_that_are_named(self, app: Longshore, jobs: Harness) -> None:
        app.tasks["agreet"].enqueue("Ada")
        app.tasks["greet"].enqueue("Ada")
        assert shown(jobs.drain("mail", "other")) == [("greet", "succeeded")]
        assert shown(jobs.drain("default")) == [("agreet", "succeeded")]

    def test_what_is_in_a_paused_queue_stays(self, app: Longshore, jobs: Harness) -> None:
        app.admin.pause_queue("mail")
        app.tasks["greet"].enqueue("Ada")
        app.tasks["agreet"].enqueue("Ada")
        assert shown(jobs.drain(with_scheduled=True)) == [("agreet", "succeeded")]
        app.admin.resume_queue("mail")
        assert shown(jobs.drain()) == [("greet", "succeeded")]

    def test_an_error_is_told_and_the_retry_waits_for_its_time(self, app: Longshore, jobs: Harness) -> None:
        job = app.tasks["fail_until"].enqueue(2)
        (ran,) = jobs.drain()
        assert (ran.job.shown_as, repr(ran.error)) == ("retrying", "ValueError('attempt 1')")
        assert jobs.drain() == []
        jobs.advance(60)
        assert shown(jobs.drain()) == [("fail_until", "succeeded")]
        assert job.result(timeout=0) == 2

    def test_with_scheduled_time_passes_until_nothing_is_left(self, app: Longshore, jobs: Harness) -> None:
        began = jobs.clock()
        app.tasks["greet"].options(delay=3600).enqueue("Ada")
        failing = app.tasks["fail_until"].enqueue(9)
        ran = jobs.drain(with_scheduled=True)
        assert shown(ran) == [
            ("fail_until", "retrying"),
            ("fail_until", "retrying"),
            ("fail_until", "failed"),
            ("greet", "succeeded"),
        ]
        assert jobs.clock() - began == 3600 * 1_000_000
        assert len(failing.info().attempts) == 3

    def test_a_snooze_is_no_error(self, app: Longshore, jobs: Harness) -> None:
        app.tasks["snooze_once"].enqueue()
        (ran,) = jobs.drain(raise_errors=True)
        assert (ran.error, ran.job.shown_as, ran.job.attempt) == (None, "scheduled", 0)
        assert shown(jobs.drain(with_scheduled=True)) == [("snooze_once", "succeeded")]

    def test_an_error_is_raised_if_that_is_asked_for(self, app: Longshore, jobs: Harness) -> None:
        job = app.tasks["fail_until"].enqueue(2)
        with pytest.raises(ValueError, match="attempt 1"):
            jobs.drain(raise_errors=True)
        assert job.info().shown_as == "retrying", "it was not settled"
        assert shown(jobs.drain(with_scheduled=True, raise_errors=True)) == [("fail_until", "succeeded")]

    def test_a_task_that_enqueues_itself_for_ever_is_noticed(self, app: Longshore, jobs: Harness) -> None:
        @app.task
        def again() -> None:
            again.enqueue()

        again.enqueue()
        with pytest.raises(Blocked, match=r"after 20 runs; .* \(again\) is due"):
            jobs.drain(most=20)

    def test_so_many_as_are_allowed_may_run(self, app: Longshore, jobs: Harness) -> None:
        for _ in range(3):
            app.tasks["greet"].enqueue("Ada")
        app.enqueue(app.call_by_name("elsewhere"))
        assert len(jobs.drain(most=3)) == 3

    def test_of_unknown_tasks_nothing_runs(self, app: Longshore, jobs: Harness) -> None:
        job = app.enqueue(app.call_by_name("elsewhere", {"a": 1}))
        assert jobs.drain(with_scheduled=True) == []
        assert job.info().state is State.PENDING

    def test_what_is_past_its_deadline_expires(self, app: Longshore, jobs: Harness) -> None:
        job = app.tasks["greet"].options(expires=10).enqueue("Ada")
        jobs.advance(11)
        assert jobs.drain() == []
        assert job.info().state is State.EXPIRED

    def test_what_waits_for_others_runs_after_them(self, app: Longshore, jobs: Harness, ledger: Any) -> None:
        first = app.tasks["greet"].enqueue("Ada")
        app.tasks["agreet"].options(after=[first]).enqueue("Bob")
        late = app.tasks["greet"].options(expires=5).enqueue("Cleo")
        app.tasks["agreet"].options(after=[late], lax=True).enqueue("Dan")
        jobs.advance(6)
        assert len(jobs.drain()) == 3
        assert sorted(ledger.lines) == ["agreet Bob", "agreet Dan", "greet Ada"]

    def test_a_run_that_its_own_task_made_void(self, app: Longshore, jobs: Harness) -> None:
        @app.task
        def give_up(context: Context) -> None:
            app.admin.cancel(context.job_id, force=True)

        give_up.enqueue()
        (ran,) = jobs.drain()
        assert (ran.is_void, ran.job.state) == (True, State.CANCELLED)

    def test_a_job_that_removed_itself(self, app: Longshore, jobs: Harness) -> None:
        @app.task
        def vanish(context: Context) -> None:
            app.admin.cancel(context.job_id, force=True)
            app.admin.remove(context.job_id)

        vanish.enqueue()
        assert [(ran.is_void, ran.job.task) for ran in jobs.drain()] == [(True, "vanish")]

    def test_what_is_to_end_the_test_ends_it(self, app: Longshore, jobs: Harness) -> None:
        @app.task
        def stop() -> None:
            pytest.skip("as a task may")

        @app.task
        def leave() -> None:
            raise SystemExit(1)

        stop.enqueue()
        with pytest.raises(pytest.skip.Exception):
            jobs.drain()
        leave.enqueue()
        assert [type(ran.error) for ran in jobs.drain()] == [SystemExit]

    def test_nothing_is_left_of_it(self, app: Longshore, jobs: Harness) -> None:
        app.tasks["greet"].enqueue("Ada")
        jobs.drain()
        assert app.admin.workers() == ()


class TestOnAnEventLoop:
    def test_async_tasks_run_beside_it(self, app: Longshore, jobs: Harness, ledger: Any) -> None:
        async def test() -> list[Ran]:
            await app.tasks["agreet"].aenqueue("Ada")
            return jobs.drain()

        assert shown(asyncio.run(test())) == [("agreet", "succeeded")]

    def test_drained_from_it_as_anything_that_blocks(self, app: Longshore, jobs: Harness) -> None:
        async def test() -> str:
            job = await app.tasks["agreet"].aenqueue("Ada")
            await asyncio.to_thread(jobs.drain)
            return str(await job.aresult(timeout=30))

        assert asyncio.run(test()) == "Hello Ada"

    def test_enqueued_and_run_at_once(self, app: Longshore, jobs: Harness, ledger: Any) -> None:
        async def test() -> None:
            with jobs.inline():
                await app.tasks["agreet"].aenqueue("Ada")
                app.tasks["agreet"].enqueue("Bob")

        asyncio.run(test())
        assert ledger.lines == ["agreet Ada", "agreet Bob"]


class TestInline:
    def test_enqueuing_runs_the_job_in_the_same_thread(self, app: Longshore, jobs: Harness) -> None:
        threads: list[int] = []

        @app.task
        def note(numbers: tuple[int, ...]) -> int:
            threads.append(threading.get_ident())
            assert type(numbers) is tuple, "the arguments did not go through the codec"
            return sum(numbers)

        with jobs.inline():
            assert note.enqueue((1, 2)).result(timeout=0) == 3
        assert threads == [threading.get_ident()]
        waiting = note.enqueue((1, 2))
        assert waiting.info().state is State.PENDING, "the block is over"

    def test_arguments_that_have_no_form_are_refused_as_ever(self, app: Longshore, jobs: Harness) -> None:
        with jobs.inline(), pytest.raises(InvalidValue):
            app.tasks["greet"].enqueue(object())

    def test_a_failure_shows_with_its_retry(self, app: Longshore, jobs: Harness) -> None:
        with jobs.inline():
            job = app.tasks["fail_until"].enqueue(2)
            assert (job.info().shown_as, job.info().error) == ("retrying", "ValueError: attempt 1")
            jobs.advance(60)
            jobs.drain()
            assert job.result(timeout=0) == 2

    def test_enqueuing_raises_if_that_is_asked_for(self, app: Longshore, jobs: Harness) -> None:
        with jobs.inline(raise_errors=True), pytest.raises(ValueError, match="attempt 1"):
            app.tasks["fail_until"].enqueue(2)

    def test_what_a_task_enqueues_runs_after_it(self, app: Longshore, jobs: Harness, ledger: Any) -> None:
        with jobs.inline():
            app.tasks["sign_up"].enqueue("Ada")
        assert ledger.lines == ["sign_up Ada", "signed_up Ada", "greet Ada"]

    def test_what_is_due_later_waits(self, app: Longshore, jobs: Harness) -> None:
        with jobs.inline():
            job = app.tasks["greet"].options(delay=5).enqueue("Ada")
        assert job.info().shown_as == "scheduled"

    def test_a_call_that_is_another_s_repeat_gives_its_handle(self, app: Longshore, jobs: Harness) -> None:
        lasting = app.tasks["greet"].options(unique=Unique(until=60))
        with jobs.inline():
            assert lasting.enqueue("Ada") == lasting.enqueue("Ada")

    def test_many_threads_at_once(self, app: Longshore, jobs: Harness, ledger: Any) -> None:
        with jobs.inline():
            together(*[lambda: app.tasks["greet"].enqueue("Ada") for _ in range(8)])
        assert ledger.lines == ["greet Ada"] * 8

    def test_what_a_transaction_stores_waits_for_a_drain(self, app: Longshore, jobs: Harness) -> None:
        if Features.TRANSACTIONS not in app.store.features:
            pytest.skip("TRANSACTIONS is not promised")
        with jobs.inline():
            with app.transaction() as tx:
                job = app.enqueue(app.tasks["greet"].call("Ada"), tx=tx)
            assert job.info().state is State.PENDING
        assert shown(jobs.drain()) == [("greet", "succeeded")]


class TestPlace:
    def test_the_application_is_back_where_it_was(self, app: Longshore, target: Any) -> None:
        with Harness(app, target):
            app.tasks["greet"].enqueue("Ada")
        with pytest.raises(UnknownDriver, match="nowhere"):
            app.tasks["greet"].enqueue("Ada")

    def test_a_fresh_store_in_memory_for_each(self, app: Longshore) -> None:
        again = Harness(app)
        for harness in (Harness(app), again, again):
            with harness as jobs:
                app.tasks["greet"].enqueue("Ada")
                assert len(jobs.drain()) == 1
                assert app.admin.stats().succeeded == 1

    def test_time_is_now_and_stands_still_or_as_it_is_given(self, app: Longshore) -> None:
        with Harness(app) as jobs:
            assert app.store.now() == app.store.now() == jobs.clock()
            assert abs(app.tasks["greet"].enqueue("Ada").info().created.timestamp() - jobs.clock() / 1e6) < 1
        with Harness(app, clock=ManualClock(5_000_000)):
            assert app.store.now() == 5_000_000

    def test_who_waits_for_a_job_that_nobody_runs_is_not_kept(self, app: Longshore, jobs: Harness) -> None:
        failing = app.tasks["fail_until"].options(max_attempts=1).enqueue(9)
        jobs.drain()
        with pytest.raises(JobFailed, match="attempt 1"):
            failing.result(timeout=0)
