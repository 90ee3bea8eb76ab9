"""Runs in processes of their own: what they are given, what they may take, and how they end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from longshore import Longshore, State
from longshore.errors import ConfigurationError, JobFailed
from longshore.holders import end_lease, rescue
from model import drydock
from worker.gate import PATIENCE
from worker.words import Words, await_end

pytestmark = pytest.mark.timed

NEVER = 60.0
GRACE = 0.2


@pytest.fixture
def app(target: Any) -> Iterator[Longshore]:
    drydock.app.use(target)
    yield drydock.app
    drydock.app.close()


@pytest.fixture
def words(tmp_path: Path) -> Iterator[Words]:
    words = Words(tmp_path)
    yield words
    words.close()


def error_of(app: Longshore, name: str, **arguments: Any) -> str:
    """With what its only attempt fails."""
    job = app.enqueue(app.call_by_name(name, arguments))
    with app.worker(poll=NEVER, grace=GRACE), pytest.raises(JobFailed):
        job.result(timeout=PATIENCE)
    (attempt,) = job.info().attempts
    return attempt.error


def test_each_run_has_a_process_of_its_own_with_nothing_running_in_it(app: Longshore) -> None:
    jobs = [drydock.where.enqueue(), drydock.where.enqueue()]
    with app.worker(poll=NEVER):
        answers = [job.result(timeout=PATIENCE) for job in jobs]
    pids = {pid for pid, _, _ in answers}
    assert len(pids | {os.getpid()}) == 3
    assert [threads for _, threads, _ in answers] == [2, 2], "the task's, and the one that hears of the worker"
    assert [name for _, _, name in answers] == [job.id for job in jobs]


def test_a_coroutine_has_an_event_loop_there(app: Longshore) -> None:
    job = drydock.where_async.enqueue()
    with app.worker(poll=NEVER):
        assert job.result(timeout=PATIENCE) != os.getpid()


def test_an_exit_fails_the_attempt_and_tells_the_code(app: Longshore) -> None:
    assert "exit code 3" in error_of(app, "end_with", code=3)


def test_a_crash_fails_the_attempt_and_tells_the_signal(app: Longshore) -> None:
    assert "SIGSEGV" in error_of(app, "read_null")


def test_a_crash_costs_an_attempt_of_its_own_job_alone(app: Longshore) -> None:
    jobs = [drydock.die_at_first.enqueue(), *(drydock.where.enqueue() for _ in range(3))]
    with app.worker(poll=NEVER, slots=4):
        assert jobs[0].result(timeout=PATIENCE) == 2
        assert all(job.result(timeout=PATIENCE) for job in jobs)
    assert [(job.info().tries, job.info().crashes) for job in jobs] == [(1, 0), (0, 0), (0, 0), (0, 0)]


def test_memory_within_the_limit_is_given(app: Longshore) -> None:
    job = drydock.fill.enqueue(64)
    with app.worker(poll=NEVER):
        assert job.result(timeout=PATIENCE) == 64 * 1024 * 1024


def test_memory_over_the_limit_is_refused_and_the_attempt_has_failed(app: Longshore) -> None:
    assert "MemoryError" in error_of(app, "fill", megabytes=512)


def test_when_its_time_is_over_the_run_is_interrupted_in_a_blocking_call(app: Longshore, words: Words) -> None:
    assert "TimedOut" in error_of(app, "stay_politely", path=words.path)
    assert words.hear() == ["TimedOut"]


def test_what_goes_on_is_killed_with_all_that_it_started_and_its_worker_goes_on(app: Longshore, words: Words) -> None:
    with app.worker(poll=NEVER, grace=GRACE) as worker:
        job = drydock.stay_stubbornly.enqueue(words.path)
        handles = [(int(pid), os.pidfd_open(int(pid))) for pid in words.hear()]
        for pid, handle in handles:
            await_end(pid, handle)
        with pytest.raises(JobFailed, match="TimedOut"):
            job.result(timeout=PATIENCE)
        assert [attempt.outcome for attempt in job.info().attempts] == ["timed out"]
        assert drydock.where.enqueue().result(timeout=PATIENCE)
        assert worker.retired is None


def test_a_thread_that_its_task_left_behind_does_not_keep_its_slot(app: Longshore) -> None:
    with app.worker(slots=1, poll=NEVER, grace=GRACE):
        jobs = [drydock.leave_a_thread_behind.enqueue(), drydock.where.enqueue()]
        assert [job.result(timeout=PATIENCE) for job in jobs]
    assert [job.info().tries for job in jobs] == [0, 0]


def test_a_cancelled_run_is_interrupted(app: Longshore, words: Words) -> None:
    with app.worker(poll=NEVER, grace=NEVER):
        job = drydock.stay_until_told.enqueue(words.path)
        words.hear()
        app.admin.cancel(job.id)
        assert words.hear() == ["left", "-"]
        job.wait(timeout=PATIENCE)
    assert job.info().state is State.CANCELLED


def test_a_worker_that_stops_hands_the_job_back_uncounted(app: Longshore, words: Words) -> None:
    with app.worker(poll=NEVER, grace=NEVER) as worker:
        job = drydock.stay_until_told.enqueue(words.path)
        words.hear()
        worker.stop(drain=0)
    assert words.hear() == ["left", "-"]
    info = job.info()
    assert (info.state, info.attempt, info.tries) == (State.PENDING, 0, 0)


def test_a_worker_that_is_killed_takes_its_runs_along(shared_target: str, words: Words) -> None:
    drydock.app.use(shared_target)
    job = drydock.stay_until_told.enqueue(words.path)
    worker = subprocess.Popen(
        [sys.executable, "-c", f"from model.drydock import app; app.use({shared_target!r}); app.worker().run()"],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    handles = [(int(pid), os.pidfd_open(int(pid))) for pid in words.hear()]
    worker.send_signal(signal.SIGKILL)
    worker.wait(PATIENCE)
    for pid, handle in handles:
        await_end(pid, handle)
    holder = job.info().holder
    assert holder is not None
    end_lease(drydock.app.store, holder)
    assert rescue(drydock.app.store, holder, by="test", lease=1_000_000) is not None
    assert (job.info().state, job.info().crashes) == (State.PENDING, 1)
    drydock.app.close()


def test_an_application_that_no_module_has_cannot_be_found_there(target: Any) -> None:
    with Longshore(target) as app:

        @app.task(executor="process", retry=drydock.ONCE)
        def lost() -> None: ...

        assert "at the top of a module" in error_of(app, "lost")


def nothing() -> None: ...


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"memory": 100}, "executor='process'"),
        ({"executor": "fork"}, "must be 'thread' or 'process'"),
        ({"executor": "process", "memory": 0}, "more than 0 megabytes"),
    ],
)
def test_limits_that_would_not_hold_are_refused(options: dict[str, Any], problem: str) -> None:
    with pytest.raises(ConfigurationError, match=problem):
        Longshore("memory://").task(**options)(nothing)
