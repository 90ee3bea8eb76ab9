"""Runs that say themselves that they have completed, and those that must."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from longshore import Context, Fixed, Longshore, Retry, Snooze, State
from longshore.errors import IllegalMove, NotCompleted
from longshore.worker.performing import Cancelled, Interrupted, TimedOut
from worker.conftest import Connect

ONCE = Retry(max_attempts=1)


def test_a_strict_task_that_returns_without_a_word_has_failed(app: Longshore) -> None:
    runs: list[int] = []

    @app.task(strict=True, retry=Retry(max_attempts=2, delay=Fixed(0)))
    def forget(context: Context) -> int:
        runs.append(context.attempt)
        return 5

    @app.task(strict=True, retry=ONCE)
    async def forget_too() -> None: ...

    jobs = [forget.enqueue(), forget_too.enqueue()]
    app.worker().run(until_empty=True)
    for job in jobs:
        assert job.info().state is State.FAILED
        assert "did not explicitly complete" in (job.info().error or "")
    assert runs == [1, 2], "it is an attempt like others"


def test_it_succeeds_with_what_it_completed_with(app: Longshore) -> None:
    @app.task(strict=True)
    def complete(context: Context) -> int:
        context.complete(7)
        return 8

    @app.task(strict=True)
    async def complete_with_nothing(context: Context) -> None:
        context.complete()

    @app.task(strict=True)
    def complete_without_asking_for_the_context() -> int:
        context = Context.current()
        assert context is not None
        context.complete(9)
        return 0

    @app.task
    def complete_unasked(context: Context) -> str:
        context.complete("said")
        return "returned"

    jobs = [each.enqueue() for each in (complete, complete_with_nothing, complete_without_asking_for_the_context)]
    jobs.append(complete_unasked.enqueue())
    app.worker().run(until_empty=True)
    assert [job.result(timeout=5) for job in jobs] == [7, None, 9, "said"]


@pytest.mark.parametrize("error", [ValueError("token 12345"), Snooze(60), Cancelled(), Interrupted(), TimedOut()])
def test_what_is_raised_after_it_completed_changes_nothing_and_is_logged(
    app: Longshore, error: BaseException, caplog: pytest.LogCaptureFixture
) -> None:
    runs: list[int] = []

    @app.task(strict=True, secret=["word"])
    def complete_and_raise(context: Context, word: str) -> int:
        runs.append(context.attempt)
        context.complete(7)
        raise error

    @app.task(secret=["word"])
    async def complete_and_raise_on_the_loop(context: Context, word: str) -> int:
        runs.append(context.attempt)
        context.complete(7)
        raise error

    jobs = [complete_and_raise.enqueue("12345"), complete_and_raise_on_the_loop.enqueue("12345")]
    with caplog.at_level(logging.ERROR):
        app.worker().run(until_empty=True)
    assert [job.result(timeout=5) for job in jobs] == [7, 7]
    assert runs == [1, 1]
    for job in jobs:
        assert f"job {job.id} had completed when its task raised" in caplog.text
    assert "12345" not in caplog.text


def test_what_it_completes_with_must_be_storable(app: Longshore) -> None:
    @app.task
    def complete_with_an_object(context: Context) -> None:
        context.complete(object())

    job = complete_with_an_object.enqueue()
    app.worker().run(until_empty=True)
    assert job.info().state is State.FAILED
    assert "has no form in JSON" in (job.info().error or "")


def test_a_run_completes_once(app: Longshore) -> None:
    problems: list[str] = []

    @app.task
    def complete_twice(context: Context) -> int:
        context.complete(1)
        with pytest.raises(IllegalMove) as problem:
            context.complete(2)
        problems.append(str(problem.value))
        return 0

    job = complete_twice.enqueue()
    app.worker().run(until_empty=True)
    assert job.result(timeout=5) == 1
    assert problems == [f"job {job.id} was completed before in this run: a run completes once"]


def test_all_tasks_of_an_application_can_be_strict(connect: Connect) -> None:
    app = connect(strict=True)

    @app.task(retry=ONCE)
    def forget() -> None: ...

    @app.task(strict=False)
    def may_forget() -> int:
        return 1

    forgotten, allowed = forget.enqueue(), may_forget.enqueue()
    app.worker().run(until_empty=True)
    assert forgotten.info().state is State.FAILED
    assert allowed.result(timeout=5) == 1


def test_a_run_in_the_foreground_raises_that_it_did_not_complete(app: Longshore) -> None:
    @app.task(strict=True, retry=ONCE)
    def forget() -> None: ...

    @app.task(strict=True)
    def complete_and_raise(context: Context) -> int:
        context.complete(7)
        raise ValueError("too late")

    job: Any = forget.enqueue()
    with pytest.raises(NotCompleted, match="did not explicitly complete"):
        app.admin.run_here(job.id)
    assert job.info().state is State.FAILED
    assert app.admin.run_here(complete_and_raise.enqueue().id) == 7
