"""What becomes of a job by what its task does."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import timedelta

import pytest

from longshore import Context, Discard, Fixed, Job, Longshore, Retry, RetryIn, Snooze, State
from longshore.contract import Limits
from longshore.errors import Blocked, JobFailed, NotReady
from longshore.testing.clock import ManualClock

AT_ONCE = Retry(delay=Fixed(0))


class Awkward:
    """A result whose own method for its form in JSON fails."""

    def model_dump(self, mode: str) -> object:
        raise RuntimeError("no form")


def work(app: Longshore, **settings: object) -> None:
    """Runs whatever is due, here and now."""
    app.worker(**settings).run(until_empty=True)  # type: ignore[arg-type]


def due_in(job: Job[object], clock: ManualClock) -> timedelta:
    return job.info().due - job.info().created - timedelta(microseconds=clock() - START)


START = ManualClock()()


def test_results_come_back_as_annotated(app: Longshore) -> None:
    @dataclass(frozen=True)
    class Sum:
        total: int

    def add(first: int, second: int = 2):
        return Sum(first + second)

    add.__annotations__["return"] = Sum
    task = app.task(add)

    @app.task
    async def wait_and_add(first: int, second: int) -> int:
        await asyncio.sleep(0)
        return first + second

    @app.task
    def nothing() -> None:
        pass

    jobs = [task.enqueue(1), wait_and_add.enqueue(3, second=4), nothing.enqueue()]
    tally = app.worker().run(until_empty=True)
    assert [job.result(timeout=5) for job in jobs] == [Sum(3), 7, None]
    assert (tally.succeeded, tally.failed, tally.again) == (3, 0, 0)
    assert [job.info().attempt for job in jobs] == [1, 1, 1]


def test_a_task_knows_its_run(app: Longshore) -> None:
    @app.task(retry=AT_ONCE)
    def describe(context: Context, word: str) -> list[str | int | None]:
        if context.attempt == 1:
            raise ValueError("once more")
        return [context.job_id, context.task, context.queue, context.attempt, context.max_attempts, word]

    job = describe.options(id="mine").enqueue("w")
    work(app)
    assert job.result(timeout=5) == ["mine", "describe", "default", 2, 5, "w"]


def test_a_thousand_jobs_run_once_each(app: Longshore) -> None:
    ran: list[int] = []

    @app.task
    def note(number: int) -> int:
        ran.append(number)
        return number

    jobs = app.enqueue_many([note.call(number) for number in range(1_000)])
    work(app)
    assert sorted(ran) == list(range(1_000))
    assert [job.result(timeout=5) for job in jobs[::100]] == list(range(0, 1_000, 100))


@pytest.mark.parametrize("most", [1, 4])
def test_an_always_failing_task_runs_exactly_max_attempts_times(app: Longshore, most: int) -> None:
    runs: list[int] = []

    @app.task(retry=Retry(max_attempts=most, delay=Fixed(0)))
    def fail(context: Context) -> None:
        runs.append(context.attempt)
        raise ValueError(f"attempt {context.attempt}")

    job = fail.enqueue()
    work(app)
    info = job.info()
    assert runs == list(range(1, most + 1))
    assert (info.state, info.attempt, info.tries) == (State.FAILED, most, most)
    assert [attempt.error for attempt in info.attempts] == [f"ValueError: attempt {number}" for number in runs]
    assert "raise ValueError" in info.attempts[0].traceback
    assert "performing.py" not in info.attempts[0].traceback, "how the task was called helps nobody"
    with pytest.raises(JobFailed, match=f"failed: ValueError: attempt {most}"):
        job.result()


def test_without_a_limit_it_is_tried_until_it_succeeds(app: Longshore) -> None:
    @app.task(retry=Retry(max_attempts=None, delay=Fixed(0)))
    def fail_often(context: Context) -> int:
        if context.attempt <= 30:
            raise ValueError(str(context.attempt))
        return context.attempt

    job = fail_often.enqueue()
    work(app)
    info = job.info()
    assert job.result() == 31
    assert (info.tries, len(info.attempts), info.attempts[0].attempt) == (30, 20, 11)


def test_a_policy_says_when_it_is_tried_again(timed: Longshore, clock: ManualClock) -> None:
    @timed.task(retry=Retry(delay=Fixed(10), jitter=0))
    def fail_once(context: Context) -> int:
        if context.attempt == 1:
            raise ValueError("once")
        return context.attempt

    job = fail_once.enqueue()
    work(timed)
    work(timed)
    info = job.info()
    assert (info.state, info.shown_as, info.attempt) == (State.PENDING, "retrying", 1)
    assert due_in(job, clock) == timedelta(seconds=10)
    clock.advance(9.999)
    work(timed)
    assert job.info().attempt == 1
    clock.advance(0.001)
    work(timed)
    assert job.result(timeout=5) == 2


def test_a_run_decides_for_itself(timed: Longshore, clock: ManualClock) -> None:
    @timed.task(retry=Retry(delay=Fixed(1000)))
    def retry_in() -> None:
        raise RetryIn(7, "not yet")

    @timed.task
    def snooze() -> None:
        raise Snooze(timedelta(seconds=8))

    @timed.task
    def discard() -> None:
        raise Discard("of no use")

    retried, snoozed, discarded = retry_in.enqueue(), snooze.enqueue(), discard.enqueue()
    work(timed)
    assert (due_in(retried, clock), retried.info().attempt) == (timedelta(seconds=7), 1)
    assert (due_in(snoozed, clock), snoozed.info().attempt) == (timedelta(seconds=8), 0)
    assert snoozed.info().attempts == ()
    assert (discarded.info().state, discarded.info().error) == (State.FAILED, "Discard: of no use")


def test_a_snoozed_job_can_run_any_number_of_times(timed: Longshore, clock: ManualClock) -> None:
    runs: list[int] = []

    @timed.task(retry=Retry(max_attempts=1))
    def snooze_often(context: Context) -> int:
        runs.append(context.attempt)
        if len(runs) < 4:
            raise Snooze(60)
        return len(runs)

    job = snooze_often.enqueue()
    for _ in range(4):
        work(timed)
        clock.advance(60)
    assert job.result(timeout=5) == 4
    assert runs == [1] * 4


def test_retry_in_does_not_exceed_the_attempts(app: Longshore) -> None:
    @app.task(retry=Retry(max_attempts=2))
    def insist() -> None:
        raise RetryIn(0)

    job = insist.enqueue()
    work(app)
    assert (job.info().state, job.info().attempt) == (State.FAILED, 2)


def test_a_result_without_a_form_in_json_fails_the_job_at_once(app: Longshore) -> None:
    @app.task
    def give_object():
        return object()

    @app.task
    def give_awkward():
        return Awkward()

    jobs = [give_object.enqueue(), give_awkward.enqueue()]
    work(app)
    for job, error in zip(jobs, ["object has no form in JSON", "no form"], strict=True):
        assert (job.info().state, job.info().attempt) == (State.FAILED, 1)
        assert error in (job.info().error or "")


def test_a_result_that_is_too_large_fails_the_job_at_once(app: Longshore) -> None:
    @app.task
    def give_much(size: int) -> str:
        return "x" * size

    most = app.store.max_payload
    assert most <= Limits().payload
    fits, too_large = give_much.enqueue(most - 2), give_much.enqueue(most - 1)
    work(app)
    assert len(fits.result(timeout=5)) == most - 2
    assert too_large.info().state is State.FAILED
    assert f"takes {most + 1:,} bytes, more than the {most:,} allowed" in (too_large.info().error or "")


def test_an_unknown_task_stays_pending_until_somebody_knows_it(app: Longshore) -> None:
    job = app.enqueue(app.call_by_name("later", {"number": 5}))
    work(app)
    assert (job.info().state, job.info().attempt) == (State.PENDING, 0)

    @app.task
    def later(number: int) -> int:
        return number + 1

    work(app)
    assert job.result(timeout=5) == 6


def test_a_worker_takes_the_jobs_of_its_queues_alone(app: Longshore) -> None:
    @app.task(queue="mail")
    def send() -> None:
        pass

    @app.task
    def count() -> None:
        pass

    jobs = [send.enqueue(), count.enqueue(), send.options(queue="post").enqueue()]
    work(app, queues=["mail"])
    assert [job.info().state for job in jobs] == [State.SUCCEEDED, State.PENDING, State.PENDING]
    work(app, queues=["default", "post"])
    assert [job.info().state for job in jobs] == [State.SUCCEEDED] * 3


def test_jobs_run_by_priority_then_due_time(app: Longshore) -> None:
    ran: list[str] = []

    @app.task
    def note(name: str) -> None:
        ran.append(name)

    for name, priority, queue in [("a", 0, "x"), ("b", 5, "y"), ("c", -5, "x"), ("d", 5, "x"), ("e", 0, "y")]:
        note.options(priority=priority, queue=queue).enqueue(name)
    work(app, slots=1, queues=["x", "y"])
    assert ran == ["b", "d", "a", "e", "c"]


def test_waiting_inside_a_task_is_refused(app: Longshore) -> None:
    @app.task
    def inner() -> int:
        return 1

    @app.task(retry=Retry(max_attempts=1))
    def outer() -> int:
        return inner.enqueue().result()

    @app.task
    def asks(identity: str) -> int:
        return app.job(identity).result()

    ended = inner.enqueue()
    work(app)
    blocked, allowed = outer.enqueue(), asks.enqueue(ended.id)
    work(app, slots=1)
    assert "Blocked" in (blocked.info().error or "")
    assert allowed.result(timeout=5) == 1, "an end that is there already may be read"
    assert Context.current() is None
    with pytest.raises(NotReady):
        app.enqueue(app.call_by_name("nobody")).wait(timeout=0)
    assert issubclass(Blocked, Exception)


def test_a_task_may_enqueue_more_work(app: Longshore) -> None:
    @app.task
    def split(depth: int) -> None:
        if depth:
            app.enqueue_many([split.call(depth - 1), split.call(depth - 1)])

    split.enqueue(5)
    assert app.worker(slots=3).run(until_empty=True).succeeded == 63
