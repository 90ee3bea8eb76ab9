"""Hooks around runs, and those of what became of them."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from longshore import Context, Discard, Features, Fixed, Job, Longshore, Retry, RetryIn, Snooze, State
from longshore.hooks import Settled, Starting, Worked
from longshore.testing.clock import ManualClock
from longshore.testing.faults.cut import Moment
from worker.faulty import FaultyApp
from worker.gate import Gate

ONCE = Retry(max_attempts=1)
Say = Callable[[str], Callable[[Any], Awaitable[None] | None]]


def work(app: Longshore, **settings: Any) -> None:
    app.worker(**settings).run(until_empty=True)


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture(params=["plain", "async"])
def saying(request: pytest.FixtureRequest, said: list[str]) -> Say:
    """Makes hooks that say a word: plain functions, or ``async def`` ones."""

    def make(word: str) -> Callable[[Any], Awaitable[None] | None]:
        def say(event: object) -> None:
            said.append(word)

        async def say_later(event: object) -> None:
            await asyncio.sleep(0)
            said.append(word)

        return say if request.param == "plain" else say_later

    return make


@pytest.fixture(params=["thread", "loop"])
def task(request: pytest.FixtureRequest, app: FaultyApp, said: list[str]) -> Any:
    """A task of either kind, which doubles a number, or raises what it is told to."""
    if request.param == "thread":

        @app.task(name="double", retry=ONCE, secret=["word"])
        def in_a_thread(context: Context, number: int, word: str = "", raises: str = "") -> int:
            said.append("task")
            if raises:
                raise ValueError(raises)
            return 2 * number

    else:

        @app.task(name="double", retry=ONCE, secret=["word"])
        async def on_the_loop(context: Context, number: int, word: str = "", raises: str = "") -> int:
            said.append("task")
            await asyncio.sleep(0)
            if raises:
                raise ValueError(raises)
            return 2 * number

    return app.tasks["double"]


def add_everywhere(app: Longshore, say: Say) -> None:
    for name in ("first", "second"):
        app.hooks.deserialize(say(f"bytes {name}"))
        app.hooks.pre_work(say(f"pre {name}"))
        app.hooks.post_work(say(f"post {name}"))
        app.hooks.on_success(say(f"success {name}"))
        app.hooks.on_failure(say(f"failure {name}"))
    app.tasks["double"].hooks.pre_work(say("pre own"))
    app.tasks["double"].hooks.post_work(say("post own"))
    app.tasks["double"].hooks.on_success(say("success own"))
    app.hooks.of_task("other").pre_work(say("of another"))


BEFORE = ["bytes second", "bytes first", "pre first", "pre second", "pre own"]
AFTER = ["post own", "post second", "post first"]
SUCCESS = ["success own", "success second", "success first"]


def test_they_run_around_each_run_in_order(app: FaultyApp, task: Any, saying: Say, said: list[str]) -> None:
    add_everywhere(app, saying)
    job = task.enqueue(5)
    work(app)
    assert job.result(timeout=5) == 10
    assert said == [*BEFORE, "task", *AFTER, *SUCCESS]


def test_a_failure_goes_the_same_way(app: FaultyApp, task: Any, saying: Say, said: list[str]) -> None:
    add_everywhere(app, saying)
    job = task.enqueue(5, raises="no")
    work(app)
    assert job.info().state is State.FAILED
    assert said == [*BEFORE, "task", *AFTER, "failure second", "failure first"]


def test_a_run_in_the_foreground_goes_past_the_same(app: FaultyApp, task: Any, saying: Say, said: list[str]) -> None:
    add_everywhere(app, saying)
    assert app.admin.run_here(task.enqueue(5).id) == 10
    assert said == [*BEFORE, "task", *AFTER, *SUCCESS]


def test_a_start_may_change_the_arguments(app: FaultyApp, task: Any) -> None:
    seen: list[object] = []

    @app.hooks.pre_work
    def change(starting: Starting) -> None:
        seen.append((starting.context.task, Context.current() is starting.context, dict(starting.arguments)))
        starting.arguments["number"] += 1

    job = task.enqueue(5)
    work(app)
    assert job.result(timeout=5) == 12
    assert seen == [("double", True, {"number": 5})]


def test_arguments_that_a_start_makes_wrong_fail_the_attempt(app: FaultyApp, task: Any, said: list[str]) -> None:
    app.hooks.pre_work(lambda starting: starting.arguments.update(unknown=1))
    job = task.enqueue(5)
    work(app)
    assert "cannot be called with these arguments" in (job.info().error or "")
    assert said == []


@pytest.mark.parametrize("is_async", [False, True])
def test_a_start_may_decide_on_the_run(timed: Longshore, clock: ManualClock, is_async: bool, said: list[str]) -> None:
    outcomes: dict[str, Exception] = {"snooze": Snooze(50), "retry": RetryIn(60, "later"), "discard": Discard("never")}

    @timed.task
    def run(outcome: str) -> None:
        said.append(outcome)

    def decide(starting: Starting) -> None:
        if starting.arguments["outcome"] in outcomes:
            raise outcomes[starting.arguments["outcome"]]

    async def decide_later(starting: Starting) -> None:
        decide(starting)

    timed.hooks.pre_work(decide_later if is_async else decide)
    timed.hooks.post_work(lambda worked: said.append("worked"))
    jobs = {outcome: run.enqueue(outcome) for outcome in (*outcomes, "run")}
    work(timed)
    infos = {outcome: job.info() for outcome, job in jobs.items()}
    assert (infos["snooze"].state, infos["snooze"].attempt) == (State.PENDING, 0)
    assert (infos["retry"].shown_as, infos["retry"].attempt) == ("retrying", 1)
    assert (infos["retry"].due - infos["snooze"].due).total_seconds() == 10
    assert (infos["discard"].state, infos["discard"].error) == (State.FAILED, "Discard: never")
    assert infos["run"].state is State.SUCCEEDED
    assert said == ["run", "worked"], "after-hooks are told of tasks that began"


def test_who_looks_after_a_task_has_ended_learns_what_came_of_it(app: FaultyApp, task: Any) -> None:
    seen: list[tuple[str, object, str]] = []

    @app.hooks.post_work
    def look(worked: Worked) -> None:
        seen.append((worked.context.job_id, worked.result, repr(worked.error)))

    good, bad = task.enqueue(5), task.enqueue(5, raises="no")
    work(app, slots=1)
    assert seen == [(good.id, 10, "None"), (bad.id, None, "ValueError('no')")]


def test_what_is_completed_explicitly_is_what_they_learn(app: Longshore) -> None:
    seen: list[tuple[object, object]] = []
    app.hooks.post_work(lambda worked: seen.append((worked.result, worked.error)))

    @app.task
    def complete(context: Context) -> int:
        context.complete(5)
        raise ValueError("too late")

    complete.enqueue()
    work(app)
    assert seen == [(5, None)]


class Broken(BaseException):
    """Worse than an error."""


@pytest.mark.parametrize("error", [OSError("the token 12345 is gone"), Broken("12345"), SystemExit(1), Snooze(5)])
@pytest.mark.parametrize("point", ["post_work", "on_success", "on_failure"])
def test_what_an_after_hook_raises_changes_nothing(
    app: FaultyApp, task: Any, point: str, error: BaseException, said: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    def fail(event: object) -> None:
        raise error

    async def fail_later(event: object) -> None:
        raise error

    getattr(app.hooks, point)(lambda event: said.append(point))
    getattr(app.hooks, point)(fail)
    getattr(app.hooks, point)(fail_later)
    good, bad = task.enqueue(5, word="12345"), task.enqueue(5, word="12345", raises="no")
    work(app, slots=1)
    assert good.result(timeout=5) == 10
    assert bad.info().error == "ValueError: no"
    assert point in said
    assert "fail failed, which changes nothing else" in caplog.text
    assert "fail_later failed" in caplog.text
    assert point != "post_work" or "12345" not in caplog.text


def test_they_learn_what_was_stored(timed: Longshore, clock: ManualClock) -> None:
    told: list[tuple[str, Settled]] = []
    for point in ("on_retry", "on_success", "on_failure"):
        getattr(timed.hooks, point)(lambda settled, point=point: told.append((point, settled)))

    @timed.task(queue="mail", retry=Retry(max_attempts=2, delay=Fixed(30), jitter=0), secret=["password"])
    def send(context: Context, to: Path, password: str) -> list[Path]:
        if "fail" in str(to) or context.attempt == 1:
            raise ValueError(f"no way with {password}")
        return [to]

    good = send.options(notes={"page": 5}).enqueue(Path("/good"), "swordfish")
    work(timed, queues=["mail"])
    (point, retried), *_ = told
    assert (point, retried.job_id, retried.task, retried.queue) == ("on_retry", good.id, "send", "mail")
    assert (retried.attempt, retried.max_attempts, retried.notes, retried.retry_in) == (1, 2, {"page": 5}, 30.0)
    assert (retried.error, retried.result) == ("ValueError: no way with ***", None)
    assert "raise ValueError" in (retried.traceback or "")
    clock.advance(30)
    work(timed, queues=["mail"])
    point, succeeded = told[1]
    assert (point, succeeded.attempt, succeeded.result, succeeded.error) == ("on_success", 2, [Path("/good")], None)

    bad = send.enqueue(Path("/fail"), "swordfish")
    work(timed, queues=["mail"])
    clock.advance(30)
    work(timed, queues=["mail"])
    assert [(point, settled.job_id) for point, settled in told[2:]] == [("on_retry", bad.id), ("on_failure", bad.id)]
    assert (told[3][1].attempt, told[3][1].retry_in) == (2, None)


def test_a_snoozed_or_cancelled_run_fires_none(timed: Longshore) -> None:
    told: list[Settled] = []
    for point in (timed.hooks.on_retry, timed.hooks.on_success, timed.hooks.on_failure):
        point(told.append)

    @timed.task
    def snooze() -> None:
        raise Snooze(60)

    @timed.task
    def go_on_after_cancel(context: Context) -> None:
        timed.admin.cancel(context.job_id)
        raise ValueError("later")

    snoozed, cancelled = snooze.enqueue(), go_on_after_cancel.enqueue()
    work(timed)
    assert (snoozed.info().state, cancelled.info().state) == (State.PENDING, State.CANCELLED)
    assert told == []


def test_who_completes_in_a_transaction_has_succeeded_when_it_commits(app: FaultyApp) -> None:
    if Features.TRANSACTIONS not in app.store.features:
        pytest.skip("this store has no transactions")
    told: list[tuple[str, str, object]] = []
    for point in ("on_retry", "on_success", "on_failure"):
        getattr(app.hooks, point)(lambda settled, point=point: told.append((point, settled.job_id, settled.result)))

    @app.task(retry=ONCE)
    def complete(context: Context, commits: bool) -> int:
        with suppress(ZeroDivisionError), app.transaction() as tx:
            context.complete(7, tx=tx)
            if not commits:
                raise ZeroDivisionError
        return 0

    good, bad = complete.enqueue(True), complete.enqueue(False)
    work(app, slots=1)
    assert told == [("on_success", good.id, 7), ("on_failure", bad.id, None)]


def test_a_void_run_fires_none(app: FaultyApp, gate: Gate) -> None:
    told: list[tuple[int, object]] = []
    app.hooks.on_success(lambda settled: told.append((settled.attempt, settled.result)))
    runs: list[int] = []

    @app.task
    def count(context: Context) -> int:
        runs.append(1)
        if len(runs) == 1:
            gate.stop_here()
            return 1
        return 2

    job: Job[int] = count.enqueue()
    with app.worker():
        gate.arrived()
        app.admin.retry(job.id)
        gate.open()
        assert job.result(timeout=20) == 2
    assert told == [(2, 2)]


def test_an_answer_that_was_lost_fires_once(app: FaultyApp) -> None:
    told: list[str] = []
    app.hooks.on_success(lambda settled: told.append(settled.job_id))

    @app.task
    def run() -> None: ...

    app.line.cut("update", Moment.AFTER)
    app.line.cut("exchange", Moment.AFTER)
    jobs = [run.enqueue() for _ in range(3)]
    work(app)
    assert sorted(told) == sorted(job.id for job in jobs)


def test_jobs_that_a_hook_enqueues_are_run_before_the_worker_ends(app: FaultyApp) -> None:
    @app.task
    def count_down(number: int) -> None: ...

    @count_down.hooks.on_success
    def go_on(settled: Settled) -> None:
        (job,) = app.admin.jobs(ids=[settled.job_id]).jobs
        if job.notes["left"]:
            count_down.options(notes={"left": job.notes["left"] - 1}).enqueue(0)

    count_down.options(notes={"left": 5}).enqueue(0)
    work(app)
    assert app.counts()[State.SUCCEEDED] == 6


def test_a_worker_that_ends_waits_for_its_hooks(app: FaultyApp, gate: Gate) -> None:
    told: list[str] = []

    @app.hooks.on_success
    def tell(settled: Settled) -> None:
        gate.stop_here()
        told.append(threading.current_thread().name)

    @app.task
    def run() -> int:
        return 1

    job = run.enqueue()
    with app.worker():
        assert job.result(timeout=20) == 1, "the outcome does not wait for them"
        gate.arrived()
        assert told == []
        gate.open()
    assert told == ["longshore-reactions"]


def test_jobs_by_hand_go_past_those_that_have_a_meaning_for_them(app: FaultyApp) -> None:
    told: list[tuple[str, str, object]] = []
    for point in ("on_retry", "on_success", "on_failure"):
        getattr(app.hooks, point)(lambda settled, point=point: told.append((point, settled.job_id, settled.result)))
    app.hooks.pre_work(lambda starting: pytest.fail("no task is called"))

    @app.task(retry=Retry(max_attempts=2, delay=Fixed(60)))
    def double(number: int) -> int:
        return 2 * number

    jobs = [double.enqueue(number) for number in range(5)]
    with app.fetch(limit=5, wait=0) as fetch:
        good, bad, discarded, released, cancelled = fetch.take()
        cancelled.start()
        good.finish(7)
        bad.fail("no")
        discarded.fail(Discard("never"))
        released.release()
        app.admin.cancel(cancelled.id)
        cancelled.fail("not any more")
    ids = [job.id for job in jobs]
    assert told == [("on_success", ids[0], 7), ("on_retry", ids[1], None), ("on_failure", ids[2], None)]


def test_hooks_are_added_and_removed_by_many_threads_while_jobs_run(app: FaultyApp) -> None:
    @app.task
    def run() -> int:
        return 1

    def change_hooks() -> None:
        for _ in range(200):
            hook = lambda event: None  # noqa: E731
            for point in (app.hooks.pre_work, app.hooks.post_work, run.hooks.on_success):
                point(hook)
            for point in (app.hooks.pre_work, app.hooks.post_work, run.hooks.on_success):
                point.remove(hook)

    threads = [threading.Thread(target=change_hooks) for _ in range(4)]
    jobs = app.enqueue_many([run.call() for _ in range(200)])
    with app.worker(slots=2):
        for thread in threads:
            thread.start()
        assert [job.result(timeout=20) for job in jobs] == [1] * 200
        for thread in threads:
            thread.join()
    assert not any([app.hooks.pre_work, app.hooks.post_work, app.hooks.on_success])
    assert not app.hooks.around_runs
