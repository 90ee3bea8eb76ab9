"""New jobs and the end of the one that they replace, in one step: no double and no loss, whoever dies when."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from longshore import Context, Features, Fixed, Longshore, Options, Retry, State, Unique
from longshore.completing.replacing import under_lasting_ids
from longshore.contract import Claim, StoredJob, Where
from longshore.errors import IllegalMove, InvalidValue, LeaseLost, Unavailable
from longshore.holders import end_lease, rescue
from longshore.processes.supervisor import Supervisor
from longshore.testing.faults.cut import CutDriver, Moment
from longshore.worker.settings import WorkerSettings
from worker.gate import PATIENCE

Connect = Callable[..., Longshore]
AGAIN = Retry(max_attempts=2, delay=Fixed(0))
ONCE = Retry(max_attempts=1)


def parts(app: Longshore, *words: str, **options: Any) -> list[Any]:
    """Calls of a task that no worker here knows, so that its jobs stay where they are."""
    return [app.call_by_name("part", {"word": word}, options=Options(queue="parts", **options)) for word in words]


def stored_parts(app: Longshore) -> list[StoredJob]:
    """Them as they are stored, in the order in which they are taken."""
    found = app.store.select(Where(queues=("parts",))).jobs
    return sorted(found, key=lambda job: (job.due, job.id))


def words(app: Longshore) -> list[str]:
    return [job.payload.decode().split('"')[3] for job in stored_parts(app)]


def has_transactions(app: Longshore) -> bool:
    return Features.TRANSACTIONS in app.store.features


class TestReplacing:
    def test_the_new_jobs_are_there_and_the_old_one_has_succeeded(self, app: Longshore) -> None:
        @app.task
        def split(context: Context) -> str:
            jobs = context.replace(parts(app, *"abc"), result="split")
            assert [job.info().state for job in jobs] == [State.PENDING] * 3
            return "not looked at"

        job = split.enqueue()
        app.worker().run(until_empty=True)
        assert (job.result(timeout=0), words(app)) == ("split", ["a", "b", "c"])

    def test_with_transactions_it_has_ended_at_once(self, app: Longshore) -> None:
        @app.task
        def split(context: Context) -> None:
            context.replace(parts(app, "a"))
            ended = app.job(context.job_id).info().state is State.SUCCEEDED
            assert ended == has_transactions(app)

        job = split.enqueue()
        app.worker().run(until_empty=True)
        assert job.result(timeout=0) is None

    @pytest.mark.parametrize("error", [OSError("late"), SystemExit(1)])
    def test_what_the_task_raises_afterwards_changes_nothing(self, app: Longshore, error: BaseException) -> None:
        @app.task(retry=AGAIN)
        def split(context: Context) -> str:
            context.replace(parts(app, "a"), result="split")
            raise error

        job = split.enqueue()
        tally = app.worker().run(until_empty=True)
        assert (job.result(timeout=0), words(app), job.info().attempt) == ("split", ["a"], 1)
        assert (tally.succeeded, tally.failed, tally.refused) == (1, 0, 0)

    def test_an_async_task_awaits_it(self, app: Longshore) -> None:
        @app.task
        async def split(context: Context) -> str:
            await context.areplace(parts(app, "a"), result="split")
            return "not looked at"

        job = split.enqueue()
        app.worker().run(until_empty=True)
        assert (job.result(timeout=0), words(app)) == ("split", ["a"])

    def test_a_retry_by_a_person_replaces_it_again(self, app: Longshore) -> None:
        @app.task
        def split(context: Context) -> None:
            context.replace(parts(app, "a"))

        job = split.enqueue()
        for _ in range(3):
            app.worker().run(until_empty=True)
            app.admin.retry(job.id)
        assert words(app) == ["a"] * 3

    def test_ids_that_calls_have_are_kept_and_equal_calls_are_as_many_jobs(self, app: Longshore) -> None:
        @app.task
        def split(context: Context) -> None:
            context.replace([*parts(app, "a", id="own"), *parts(app, "b", "b")])

        split.enqueue()
        app.worker().run(until_empty=True)
        assert sorted(words(app)) == ["a", "b", "b"]
        assert "own" in {job.id for job in stored_parts(app)}

    def test_once_only_and_not_after_completing(self, app: Longshore) -> None:
        @app.task(retry=ONCE)
        def split(context: Context) -> None:
            context.replace(parts(app, "a"))
            with pytest.raises(IllegalMove, match="a run completes once"):
                context.replace(parts(app, "b"))
            with pytest.raises(IllegalMove):
                context.complete()

        job = split.enqueue()
        app.worker().run(until_empty=True)
        assert job.result(timeout=0) is None
        assert words(app) == ["a"]

    def test_it_completes_a_strict_task_and_takes_the_progress_along(self, app: Longshore) -> None:
        @app.task(strict=True)
        def split(context: Context) -> None:
            context.progress(1, 1)
            context.replace([])

        job = split.enqueue()
        app.worker().run(until_empty=True)
        info = job.info()
        assert info.state is State.SUCCEEDED
        assert info.progress is not None


class TestRefused:
    def test_a_result_that_is_none_stores_nothing(self, app: Longshore) -> None:
        @app.task(retry=ONCE)
        def split(context: Context) -> int:
            with pytest.raises(InvalidValue):
                context.replace(parts(app, "a"), result="no number")
            return 7

        job = split.enqueue()
        app.worker().run(until_empty=True)
        assert (job.result(timeout=0), words(app)) == (7, [])

    def test_with_transactions_a_conflict_stores_nothing(self, app: Longshore) -> None:
        if not has_transactions(app):
            pytest.skip("without transactions the others are stored, as by enqueue_many")
        only = Unique(key="one", if_held="raise")
        app.enqueue_many(parts(app, "holder", unique=only))

        @app.task(retry=ONCE)
        def split(context: Context) -> None:
            context.replace([*parts(app, "a"), *parts(app, "b", unique=only)])

        job = split.enqueue()
        app.worker().run(until_empty=True)
        assert job.info().state is State.FAILED
        assert words(app) == ["holder"]

    def test_a_late_run_doubles_nothing(self, app: Longshore) -> None:
        @app.task
        def split(context: Context) -> None:
            context.replace(parts(app, "a"))

        job = split.enqueue()
        (late,) = app.store.claim([Claim(id=job.id)], holder="late", limit=1).jobs
        end_lease(app.store, "late")
        assert rescue(app.store, "late", by="test", lease=10**6) is not None
        if has_transactions(app):
            with pytest.raises(LeaseLost):
                Context(app, late).replace(parts(app, "a"))
            assert words(app) == []
        else:
            Context(app, late).replace(parts(app, "a"))
        app.worker().run(until_empty=True)
        assert words(app) == ["a"]
        assert job.info().state is State.SUCCEEDED


class TestCrashes:
    def test_jobs_that_were_stored_before_the_old_one_ended_are_not_stored_again(self, app: Longshore) -> None:
        """What is left without transactions, on every store: the insert took effect, and nothing else."""

        @app.task
        def split(context: Context) -> None:
            context.replace(parts(app, *"abc"))

        job = split.enqueue()
        (dead,) = app.store.claim([Claim(id=job.id)], holder="dead", limit=1).jobs
        app.enqueue_many(under_lasting_ids(dead, parts(app, *"abc")))
        assert words(app) == ["a", "b", "c"]
        end_lease(app.store, "dead")
        assert rescue(app.store, "dead", by="test", lease=10**6) is not None
        app.worker().run(until_empty=True)
        assert (job.info().state, words(app)) == (State.SUCCEEDED, ["a", "b", "c"])

    def test_other_calls_than_those_of_the_run_that_crashed_are_other_jobs(self, app: Longshore) -> None:
        @app.task
        def split(context: Context) -> None:
            context.replace(parts(app, "a", "changed"))

        job = split.enqueue()
        (dead,) = app.store.claim([Claim(id=job.id)], holder="dead", limit=1).jobs
        app.enqueue_many(under_lasting_ids(dead, parts(app, "a", "b")))
        end_lease(app.store, "dead")
        assert rescue(app.store, "dead", by="test", lease=10**6) is not None
        app.worker().run(until_empty=True)
        assert sorted(words(app)) == ["a", "b", "changed"]

    @pytest.mark.parametrize("moment", Moment)
    def test_where_the_answer_is_lost_the_next_attempt_doubles_nothing(self, connect: Connect, moment: Moment) -> None:
        app = connect(patience=0)
        app.store.now()
        lost = []

        @app.task(retry=AGAIN)
        def split(context: Context) -> None:
            whole = app.store.driver
            app.store.driver = CutDriver(whole)
            if context.attempt == 1:
                app.store.driver.cut("insert", moment)
            try:
                context.replace(parts(app, *"abc"))
            except Unavailable:
                lost.append(moment)
                raise
            finally:
                app.store.driver = whole

        job = split.enqueue()
        app.worker().run(until_empty=True)
        assert (lost, job.info().state, words(app)) == ([moment], State.SUCCEEDED, ["a", "b", "c"])

    @pytest.mark.parametrize("point", ["before", "between", "after"])
    def test_killed_at_each_point_every_job_is_there_once(self, shared_target: str, point: str) -> None:
        with Longshore(shared_target) as app:
            job = app.enqueue(app.call_by_name("split", {"point": point}))
            with Supervisor("model.customs:app", processes=1, url=shared_target, settings=WorkerSettings(slots=1)):
                assert job.result(timeout=PATIENCE) == "split"
            assert sum(app.counts("effects").values()) == 2
            if has_transactions(app):
                assert job.info().crashes == (0 if point == "after" else 1)
