"""Hooks around runs, and those of what became of them."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from longshore import Context, Discard, Longshore, Retry, RetryIn, Snooze, State
from longshore.hooks import Starting, Worked
from longshore.testing.clock import ManualClock
from worker.faulty import FaultyApp

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
