"""When a job that failed runs again."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from longshore.errors import ConfigurationError, InvalidValue
from longshore.retry import (
    Discard,
    Exponential,
    Fixed,
    Linear,
    LinearThenExponential,
    Polynomial,
    Retry,
    RetryIn,
    Snooze,
    rescue_delay,
)

FAULT = ValueError("no")
MINUTE = timedelta(minutes=1)


@pytest.mark.parametrize(
    ("policy", "delays"),
    [
        (Fixed(), [60, 60, 60]),
        (Fixed(MINUTE), [60, 60, 60]),
        (Linear(), [60, 120, 180, 240]),
        (Linear(MINUTE), [60, 120, 180, 240]),
        (Exponential(), [2, 4, 8, 16, 32]),
        (Exponential(first=MINUTE, factor=3), [60, 180, 540]),
        (Exponential(first=1, factor=1), [1, 1, 1]),
        (Polynomial(), [15, 16, 31, 96, 271]),
        (Polynomial(power=2, offset=MINUTE), [60, 61, 64, 69]),
        (LinearThenExponential(), [0, 60, 120, 180, 240, 480, 960, 1920]),
        (LinearThenExponential(step=1, linear=2), [0, 1, 2, 4, 8]),
        (LinearThenExponential(step=1, linear=1), [0, 0, 0]),
    ],
)
def test_a_policy_begins_with_these_seconds(policy: Callable[[int], float], delays: list[float]) -> None:
    assert [policy(failed) for failed in range(1, len(delays) + 1)] == delays


def test_twenty_five_polynomial_retries_take_three_weeks() -> None:
    days = sum(Polynomial()(failed) for failed in range(1, 26)) / 86_400
    assert 20 < days < 22


@pytest.mark.parametrize("policy", [Exponential(factor=10), Exponential(factor=10.5), Polynomial(power=500.0)])
def test_a_policy_without_end_is_held_by_its_cap(policy: Callable[[int], float]) -> None:
    assert Retry(max_attempts=None, delay=policy, cap=3600).delay_after(100_000, FAULT, None) == 3600


@pytest.mark.parametrize("policy", [Exponential(first=0), LinearThenExponential(linear=1)])
def test_a_policy_that_begins_with_nothing_never_waits(policy: Callable[[int], float]) -> None:
    assert Retry(max_attempts=None, delay=policy).delay_after(100_000, FAULT, None) == 0


@given(st.floats(0, 1), st.floats(0, 1e6))
def test_jitter_moves_a_delay_by_its_share_at_most(jitter: float, delay: float) -> None:
    given = Retry(delay=delay, jitter=jitter, cap=1e9).delay_after(1, FAULT, 5)
    assert given is not None
    assert delay * (1 - jitter) <= given * (1 + 1e-9)
    assert given <= delay * (1 + jitter) * (1 + 1e-9)


def test_jitter_is_drawn_each_time() -> None:
    retry = Retry(delay=100, jitter=0.1)
    assert len({retry.delay_after(1, FAULT, 5) for _ in range(50)}) > 1


def test_without_jitter_the_delay_is_the_policy_s() -> None:
    assert Retry(delay=Linear(7), jitter=0).delay_after(3, FAULT, 5) == 21


def test_no_delay_is_longer_than_the_cap_whatever_the_jitter() -> None:
    retry = Retry(delay=Fixed(1_000), jitter=1, cap=timedelta(seconds=5))
    assert all((retry.delay_after(1, FAULT, 5) or 0) <= 5 for _ in range(100))


def test_the_last_attempt_is_not_followed_by_another() -> None:
    retry = Retry(max_attempts=3)
    assert retry.delay_after(2, FAULT, 3) is not None
    assert retry.delay_after(3, FAULT, 3) is None
    assert retry.delay_after(4, FAULT, 3) is None


def test_the_job_s_own_number_of_attempts_counts() -> None:
    assert Retry(max_attempts=3).delay_after(3, FAULT, 9) is not None


def test_without_a_limit_there_is_always_another_attempt() -> None:
    assert Retry(max_attempts=None).delay_after(1_000_000, FAULT, None) is not None


class TestByException:
    retry = Retry(delay=1, jitter=0, by_exception={ConnectionResetError: Fixed(3), OSError: 2, LookupError: MINUTE})

    def test_an_exception_may_have_a_policy_of_its_own(self) -> None:
        assert self.retry.delay_after(1, ConnectionResetError(), 5) == 3

    def test_the_first_class_that_matches_is_taken(self) -> None:
        assert self.retry.delay_after(1, ConnectionAbortedError(), 5) == 2

    def test_a_delay_may_be_a_timedelta(self) -> None:
        assert self.retry.delay_after(1, KeyError(), 5) == 60

    def test_any_other_has_the_task_s(self) -> None:
        assert self.retry.delay_after(1, FAULT, 5) == 1


@pytest.mark.parametrize("error", [KeyError(), Discard("no use")])
def test_some_exceptions_end_the_job_at_once(error: BaseException) -> None:
    assert Retry(max_attempts=None, discard=(LookupError,)).delay_after(1, error, None) is None


def test_a_run_may_say_itself_when_it_is_to_be_tried_again() -> None:
    retry = Retry(delay=1, jitter=0.5)
    assert retry.delay_after(1, RetryIn(90), 5) == 90
    assert retry.delay_after(1, RetryIn(MINUTE, "busy"), 5) == 60
    assert retry.delay_after(5, RetryIn(90), 5) is None


def test_any_callable_is_a_policy() -> None:
    assert Retry(delay=lambda failed: failed * MINUTE, jitter=0).delay_after(2, FAULT, 5) == 120


@pytest.mark.parametrize("wrong", [-5.0, float("nan"), timedelta(seconds=-1)], ids=repr)
def test_a_policy_that_gives_no_length_of_time_is_refused(wrong: Any) -> None:
    with pytest.raises(InvalidValue, match="the delay before a retry"):
        Retry(delay=lambda failed: wrong).delay_after(1, FAULT, 5)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [({"max_attempts": 0}, "max_attempts"), ({"jitter": 1.5}, "jitter"), ({"jitter": -0.1}, "jitter")],
)
def test_a_policy_that_makes_no_sense_is_refused_when_it_is_written(wrong: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigurationError, match=said):
        Retry(**wrong)


@pytest.mark.parametrize("outcome", [Snooze, RetryIn])
def test_a_run_cannot_ask_for_a_time_that_has_passed(outcome: Callable[[float], Exception]) -> None:
    with pytest.raises(InvalidValue, match="delay"):
        outcome(-1)


def test_what_a_run_raises_says_what_it_means() -> None:
    assert str(Snooze(5)) == "snoozed for 5"
    assert (str(RetryIn(5)), str(RetryIn(5, "busy"))) == ("retry in 5", "busy")


def test_a_job_whose_worker_died_waits_longer_each_time_an_hour_at_most() -> None:
    assert [rescue_delay(crashes) for crashes in range(1, 7)] == [0, 30, 300, 3000, 3600, 3600]
    assert rescue_delay(100_000) == 3600
