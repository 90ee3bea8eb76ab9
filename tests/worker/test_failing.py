"""Whatever a task raises and whatever is stored, the slot lives, the job is kept and can be shown."""

from __future__ import annotations

import sys
from datetime import timedelta

import pytest

from longshore import Discard, Fixed, Longshore, Retry, State
from longshore.contract import NewJob, Where
from longshore.retry import DelayRule
from longshore.testing.clock import ManualClock
from worker.test_runs import due_in, work


@pytest.fixture
def target() -> str:
    """Memory alone: nothing here depends on the store."""
    return "memory://"


class Mute(Exception):
    """An error that cannot say what it is."""

    def __str__(self) -> str:
        raise RuntimeError("nothing to say")


@pytest.mark.parametrize(
    "payload",
    [b"no JSON", b'{"number": "text"}', b'{"other": 1}', b'{"number": ' + b"[" * 100_000, b"\xff"],
    ids=["no JSON", "another type", "another signature", "deep", "no text"],
)
def test_arguments_that_cannot_be_read_wait_for_a_newer_process(
    timed: Longshore, clock: ManualClock, payload: bytes
) -> None:
    runs: list[int] = []

    @timed.task(retry=Retry(delay=Fixed(1), jitter=0))
    def take(number: int) -> None:
        runs.append(number)

    timed.store.insert(
        [
            NewJob("odd", "default", "take", payload, max_attempts=2),
            NewJob("even", "default", "take", b'{"number": 2}'),
        ]
    )
    odd = timed.job("odd")
    work(timed)
    assert (odd.info().state, odd.info().attempt) == (State.PENDING, 1)
    assert due_in(odd, clock) >= timedelta(seconds=30)
    (stored,) = timed.store.select(Where(ids=["odd"])).jobs
    assert stored.payload == payload
    clock.advance(3600)
    work(timed)
    assert odd.info().state is State.FAILED
    assert runs == [2]


@pytest.mark.parametrize("leave", [SystemExit, KeyboardInterrupt, GeneratorExit])
def test_a_task_that_exits_has_failed_and_the_worker_goes_on(app: Longshore, leave: type[BaseException]) -> None:
    @app.task(retry=Retry(max_attempts=2, delay=Fixed(0)))
    def exit_now() -> None:
        raise leave

    @app.task
    def stay() -> int:
        return 1

    left, stayed = exit_now.enqueue(), stay.enqueue()
    work(app, slots=1)
    assert (left.info().state, left.info().attempt) == (State.FAILED, 2)
    assert leave.__name__ in (left.info().error or "")
    assert stayed.result(timeout=5) == 1


def fail_itself(failed: int) -> float:
    raise LookupError("the policy is wrong")


@pytest.mark.parametrize(
    "policy",
    [fail_itself, lambda failed: -1.0, lambda failed: float("nan"), lambda failed: None, lambda failed: "x"],
    ids=["raises", "negative", "not a number", "none", "text"],
)
def test_a_retry_policy_that_fails_is_replaced_by_the_default_one(
    timed: Longshore, clock: ManualClock, policy: DelayRule
) -> None:
    @timed.task(retry=Retry(delay=policy, max_attempts=2))
    def fail() -> None:
        raise ValueError("of the task")

    job = fail.enqueue()
    work(timed, slots=1)
    assert (job.info().shown_as, job.info().error) == ("retrying", "ValueError: of the task")
    assert timedelta(0) < due_in(job, clock) < timedelta(seconds=10)
    clock.advance(10)
    work(timed, slots=1)
    assert (job.info().state, job.info().attempt) == (State.FAILED, 2)


@pytest.mark.parametrize(
    ("error", "shown"),
    [
        (ValueError("\ud800"), "ValueError: ?"),
        (ValueError("\0" * 10_000), "\0"),
        (ValueError('"\\\n' * 10_000), '"'),
        (ValueError("ü" * 10_000), "ü"),
        (Mute(), "Mute"),
    ],
    ids=["surrogate", "control characters", "quotes", "long", "mute"],
)
def test_whatever_an_error_says_its_job_can_be_shown(app: Longshore, error: Exception, shown: str) -> None:
    @app.task
    def fail() -> None:
        try:
            raise error
        except Exception as cause:
            raise Discard from cause

    @app.task(retry=Retry(max_attempts=1))
    def fail_plainly() -> None:
        raise error

    jobs = [fail.enqueue(), fail_plainly.enqueue()]
    work(app, slots=1)
    assert [job.info().state for job in jobs] == [State.FAILED, State.FAILED]
    assert shown in (jobs[1].info().error or "")
    (stored,) = app.store.select(Where(ids=[jobs[1].id])).jobs
    assert len(stored.attempts[0]) <= 8 * 1024


def test_a_deeply_nested_error_chain_does_not_harm_the_worker(app: Longshore) -> None:
    @app.task(retry=Retry(max_attempts=1))
    def recurse(depth: int) -> None:
        recurse(depth + 1)

    job = recurse.enqueue(sys.getrecursionlimit() // 10)
    work(app, slots=1)
    assert "RecursionError" in (job.info().error or "")
