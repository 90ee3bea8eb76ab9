"""The handle of a job: what it shows, and what waiting for it gives."""

from __future__ import annotations

import threading
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from core.working import work
from longshore import Context, Job, Longshore, Retry, Snooze, State
from longshore.contract import EVERY, Change, Where
from longshore.errors import JobFailed, JobRemoved, NotReady
from longshore.info import shown_as
from longshore.memory_store import MemoryStore
from longshore.testing.clock import ManualClock
from longshore.testing.samples import stored_job


@pytest.fixture
def divide(app: Longshore) -> Any:
    @app.task(retry=Retry(max_attempts=2, delay=60, jitter=0))
    def divide(number: int, by: int) -> float:
        return number / by

    return divide


class TestResult:
    def test_it_is_what_the_task_returned_as_it_is_annotated(self, app: Longshore) -> None:
        @app.task
        def parent(path: Path) -> Path:
            return path.parent

        job = parent.enqueue(Path("a/b"))
        work(app)
        assert job.result() == Path("a")

    def test_a_task_that_returns_nothing_has_none(self, app: Longshore) -> None:
        @app.task
        def quiet() -> None: ...

        job = quiet.enqueue()
        work(app)
        assert job.result() is None

    def test_a_coroutine_s_result_is_its_value(self, app: Longshore) -> None:
        @app.task
        async def double(number: int) -> int:
            return 2 * number

        job = double.enqueue(4)
        work(app)
        assert job.result() == 8

    def test_a_handle_made_of_an_id_gives_the_same_where_the_task_is_known_and_plain_json_elsewhere(
        self, app: Longshore, memory: MemoryStore
    ) -> None:
        @app.task
        def when() -> datetime:
            return datetime(2026, 6, 1, tzinfo=UTC)

        job = when.enqueue()
        work(app)
        assert app.job(job.id).result() == datetime(2026, 6, 1, tzinfo=UTC)
        assert Longshore(memory).job(job.id).result() == "2026-06-01T00:00:00Z"

    def test_a_failed_job_has_none_and_says_the_last_error(
        self, app: Longshore, divide: Any, clock: ManualClock
    ) -> None:
        job = divide.enqueue(1, 0)
        work(app)
        clock.advance(60)
        work(app)
        with pytest.raises(JobFailed, match=f"job {job.id} .divide. is failed: ZeroDivisionError: division by zero"):
            job.result()

    def test_a_cancelled_job_has_none_and_says_so(self, app: Longshore, divide: Any) -> None:
        job = divide.enqueue(1, 1)
        app.store.update([Change(job.id, State.CANCELLED)])
        with pytest.raises(JobFailed, match="is cancelled: no error was recorded"):
            job.result()

    def test_a_job_that_goes_on_is_not_ready(self, divide: Any) -> None:
        job = divide.enqueue(1, 1)
        with pytest.raises(NotReady, match=f"job {job.id} is pending and has not ended within 0"):
            job.result(timeout=0)
        with pytest.raises(TimeoutError):
            job.wait(timeout=0)

    def test_who_waits_has_it_written_down_so_that_the_end_is_announced(self, app: Longshore, divide: Any) -> None:
        job = divide.enqueue(1, 1)
        with pytest.raises(NotReady):
            job.wait(timeout=0)
        (answer,) = work(app)
        assert answer.awaited is True

    def test_a_job_that_is_gone_says_so(self, app: Longshore, divide: Any) -> None:
        job = divide.enqueue(1, 1)
        app.store.delete(Where(ids=[job.id]))
        for ask in (job.info, job.wait, job.result):
            with pytest.raises(JobRemoved, match=f"there is no job {job.id}"):
                ask()

    def test_waiting_ends_when_a_worker_ends_the_job(self, divide: Any) -> None:
        with divide.app.worker(slots=1):
            assert divide.enqueue(9, 3).result(timeout=30) == 3.0

    def test_several_may_wait_for_one_job(self, app: Longshore, divide: Any) -> None:
        job = divide.enqueue(9, 3)
        results: list[float] = []
        threads = [threading.Thread(target=lambda: results.append(job.result(timeout=30))) for _ in range(3)]
        for thread in threads:
            thread.start()
        with app.worker(slots=1):
            for thread in threads:
                thread.join()
        assert results == [3.0] * 3


class TestWait:
    def test_it_shows_the_job_however_it_ended(self, app: Longshore, divide: Any, clock: ManualClock) -> None:
        good, bad = divide.enqueue(1, 1), divide.enqueue(1, 0)
        work(app)
        clock.advance(60)
        work(app)
        assert (good.wait().state, bad.wait().state) == (State.SUCCEEDED, State.FAILED)


class TestInsideATask:
    @pytest.fixture
    def ask(self, app: Longshore) -> Any:
        @app.task(queue="asking", retry=Retry(max_attempts=1))
        def ask(identity: str) -> Any:
            return app.job(identity).result()

        return ask

    def test_waiting_would_block_the_worker_and_is_refused(self, app: Longshore, divide: Any, ask: Any) -> None:
        asking = ask.enqueue(divide.enqueue(1, 1).id)
        work(app, "asking")
        with pytest.raises(JobFailed, match="Blocked: a task cannot wait for job"):
            asking.result()

    def test_a_job_that_has_ended_can_be_asked(self, app: Longshore, divide: Any, ask: Any) -> None:
        job = divide.enqueue(4, 1)
        work(app)
        asking = ask.enqueue(job.id)
        work(app, "asking")
        assert asking.result() == 4.0

    def test_after_the_task_waiting_is_allowed_again(self, app: Longshore, divide: Any, ask: Any) -> None:
        job = divide.enqueue(1, 1)
        ask.enqueue(job.id)
        work(app, "asking")
        with pytest.raises(NotReady):
            job.wait(timeout=0)

    def test_a_task_called_as_a_function_may_wait(self, app: Longshore, divide: Any, ask: Any) -> None:
        job = divide.enqueue(4, 1)
        work(app)
        assert ask(job.id) == 4.0


class TestInfo:
    def test_it_shows_the_job_at_one_moment(self, app: Longshore, divide: Any, clock: ManualClock) -> None:
        begun = datetime.fromtimestamp(clock() / 1e6, UTC)
        job = divide.enqueue(1, 1)
        before = job.info()
        clock.advance(5)
        work(app)
        after = job.info()
        assert (before.state, before.started, before.ended, before.attempt) == (State.PENDING, None, None, 0)
        assert (before.created, before.due, before.task, before.queue) == (begun, begun, "divide", "default")
        assert (after.state, after.attempt, after.tries, after.error) == (State.SUCCEEDED, 1, 0, None)
        assert after.started == after.ended == datetime.fromtimestamp(clock() / 1e6, UTC)

    def test_it_shows_the_runs_that_failed(self, app: Longshore, divide: Any, clock: ManualClock) -> None:
        job = divide.enqueue(1, 0)
        work(app)
        info = job.info()
        assert (info.shown_as, info.tries, info.error) == ("retrying", 1, "ZeroDivisionError: division by zero")
        (attempt,) = info.attempts
        assert (attempt.outcome, attempt.attempt, attempt.generation, attempt.holder) == ("failed", 1, 1, "anna")
        assert "return number / by" in attempt.traceback
        assert attempt.started == clock()

    def test_it_shows_the_last_twenty_and_how_many_there_were(self, app: Longshore, clock: ManualClock) -> None:
        @app.task(retry=Retry(max_attempts=None, delay=1, jitter=0))
        def fail(context: Context) -> None:
            raise ValueError(f"attempt {context.attempt}")

        job = fail.enqueue()
        for _ in range(23):
            work(app)
            clock.advance(1)
        info = job.info()
        assert (info.tries, len(info.attempts), info.error) == (23, 20, "ValueError: attempt 23")
        assert info.attempts[0].attempt == 4

    def test_a_snooze_counts_as_no_attempt(self, app: Longshore, clock: ManualClock) -> None:
        @app.task
        def later() -> None:
            raise Snooze(30)

        job = later.enqueue()
        work(app)
        info = job.info()
        assert (info.shown_as, info.attempt, info.tries) == ("scheduled", 0, 0)
        assert (info.due - info.created).total_seconds() == 30

    def test_nothing_is_read_or_written_until_it_is_asked_for(self, app: Longshore, divide: Any) -> None:
        job = divide.enqueue(1, 1)
        assert repr(job) == f"<Job {job.id}>"
        assert not next(app.store.each(EVERY)).awaited


NOW = 1_900_000_000_000_000


@pytest.mark.parametrize(
    ("fields", "word"),
    [
        ({"state": State.PENDING}, "pending"),
        ({"state": State.PENDING, "due": NOW + 1}, "scheduled"),
        ({"state": State.PENDING, "due": NOW + 1, "attempt": 1}, "retrying"),
        ({"state": State.PENDING, "due": NOW + 1, "crashes": 1}, "retrying"),
        ({"state": State.PENDING, "due": NOW, "attempt": 1}, "pending"),
        ({"state": State.RUNNING}, "running"),
        ({"state": State.RUNNING, "cancel_asked": True}, "cancelling"),
        ({"state": State.RESERVED, "cancel_asked": True}, "cancelling"),
        ({"state": State.CANCELLED, "cancel_asked": True}, "cancelled"),
        ({"state": State.WAITING, "due": NOW + 1}, "waiting"),
    ],
    ids=str,
)
def test_a_state_is_shown_by_the_word_that_people_use(fields: dict[str, Any], word: str) -> None:
    assert shown_as(stored_job("job", now=NOW, **fields), NOW) == word


def test_handles_are_equal_when_they_name_one_job_of_one_application(app: Longshore, memory: MemoryStore) -> None:
    job: Job[Any] = app.job("a")
    assert job == app.job("a")
    assert hash(job) == hash(app.job("a"))
    assert job not in (app.job("b"), Longshore(memory).job("a"), "a")
