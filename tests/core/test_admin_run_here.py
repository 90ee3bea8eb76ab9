"""One job, run in the thread of whoever asks."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from core.admin_stores import add, app, claim, fail, state
from longshore import Context, Fixed, Longshore, Retry
from longshore.contract import NewJob, Outcome
from longshore.errors import IllegalMove, JobFailed, JobRemoved, LeaseLost, UniqueConflict, UnknownTask
from longshore.holders import KIND, Rescued, lapsed_holders, rescue
from longshore.states import FINISH, move
from longshore.testing.clock import ManualClock

__all__ = ["app"]


def test_it_gives_the_result_and_settles(app: Longshore) -> None:
    add(app, "job")
    assert app.admin.run_here("job") == 2
    assert (state(app, "job"), app.job("job").result()) == ("succeeded", 2)
    assert app.store.read(KIND) == []


def test_it_raises_what_the_task_raised_and_keeps_the_attempt(app: Longshore) -> None:
    fail(app, "job", task="fail", word="exactly this")
    with pytest.raises(ValueError, match="exactly this") as caught:
        app.admin.run_here("job")
    assert caught.traceback[-1].name == "fail"
    job = app.job("job").info()
    assert (job.shown_as, job.error, job.attempt) == ("retrying", "ValueError: exactly this", 1)
    assert app.store.read(KIND) == []


def test_it_runs_in_this_thread_under_a_living_lease(app: Longshore) -> None:
    seen: list[object] = []

    @app.task
    def look(context: Context) -> None:
        (worker,) = app.admin.workers()
        seen.append((threading.current_thread(), context.job_id, worker.alive, [job.id for job in worker.holds]))

    look.options(id="job").enqueue()
    app.admin.run_here("job")
    assert seen == [(threading.current_thread(), "job", True, ["job"])]


def test_an_async_task_runs_too(app: Longshore) -> None:
    @app.task
    async def later(number: int) -> int:
        return number + 1

    assert app.admin.run_here(later.enqueue(4).id) == 5


@pytest.mark.parametrize("options", [{"delay": 3_600}, {"expires": 1}])
def test_a_job_that_is_not_due_or_was_late_runs_now(app: Longshore, clock: object, options: dict[str, int]) -> None:
    add(app, "job", **options)
    if "expires" in options:
        clock.advance(5)  # type: ignore[attr-defined]
        app.admin.retry("job", delay=60)
    assert app.admin.run_here("job") == 2


def test_one_that_has_ended_runs_again(app: Longshore) -> None:
    fail(app, "job")
    for attempt in (1, 2):
        with pytest.raises(Exception, match="no"):
            app.admin.run_here("job")
        assert (state(app, "job"), app.job("job").info().attempt) == ("failed", attempt)


def test_one_that_a_worker_runs_only_by_force(app: Longshore) -> None:
    add(app, "job")
    run = claim(app, "job")
    with pytest.raises(IllegalMove, match="running"):
        app.admin.run_here("job")
    assert app.admin.run_here("job", force=True) == 2
    assert app.store.update([move(FINISH, run)])[0].outcome is Outcome.REFUSED


def test_a_run_that_is_void_when_it_ends_says_so(app: Longshore) -> None:
    @app.task
    def retried_meanwhile(context: Context) -> None:
        app.admin.retry(context.job_id)

    retried_meanwhile.options(id="job").enqueue()
    with pytest.raises(LeaseLost, match="void"):
        app.admin.run_here("job")
    assert state(app, "job") == "pending"


def test_one_that_somebody_cancels_meanwhile_ends_cancelled(app: Longshore) -> None:
    @app.task(retry=Retry(delay=Fixed(1)))
    def cancelled_meanwhile(context: Context) -> None:
        app.admin.cancel(context.job_id)
        raise OSError("after it was cancelled")

    cancelled_meanwhile.options(id="job").enqueue()
    with pytest.raises(OSError, match="after it was"):
        app.admin.run_here("job")
    assert (state(app, "job"), app.job("job").info().error) == ("cancelled", "OSError: after it was cancelled")


def test_a_result_that_cannot_be_stored_is_a_failure(app: Longshore) -> None:
    @app.task
    def give_an_object() -> object:
        return object()

    with pytest.raises(JobFailed):
        app.admin.run_here(give_an_object.enqueue().id)


def test_no_job_no_task_no_unique_key(app: Longshore) -> None:
    with pytest.raises(JobRemoved):
        app.admin.run_here("nobody")
    app.store.insert([NewJob("strange", "default", "unheard_of", b"{}")])
    with pytest.raises(UnknownTask):
        app.admin.run_here("strange")
    assert app.job("strange").info().attempt == 0
    app.store.insert([NewJob("first", "default", "add", b'{"first":1}', unique_key="key")])
    app.admin.cancel("first")
    app.store.insert([NewJob("second", "default", "add", b'{"first":1}', unique_key="key")])
    with pytest.raises(UniqueConflict) as caught:
        app.admin.run_here("first")
    assert caught.value.held_by == "second"


def test_a_process_that_dies_while_it_runs_one_leaves_it_to_a_rescue(tmp_path: Path, clock: ManualClock) -> None:
    with Longshore(f"sqlite:///{tmp_path}/jobs.db", clock=clock) as app:

        @app.task
        def die() -> None:
            os._exit(7)

        die.options(id="job").enqueue()
        child = os.fork()
        if child == 0:
            try:
                app.admin.run_here("job")
            finally:
                os._exit(1)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
        assert state(app, "job") == "running"
        assert lapsed_holders(app.store) == []
        clock.advance(61)
        (holder,) = lapsed_holders(app.store)
        assert rescue(app.store, holder, by="anybody", lease=1) == Rescued(pending=1)
        assert (state(app, "job"), app.job("job").info().crashes) == ("pending", 1)
