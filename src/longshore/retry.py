"""When a failed job is tried again: policies are values, and a run may decide for itself by what it raises."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import TypeAlias

from msgspec import Struct

from longshore.durations import Seconds, microseconds
from longshore.errors import ConfigurationError

_ENDLESS = 1e300
"""Longer than any cap, and finite, so that no time of it is none."""

DelayRule: TypeAlias = Callable[[int], Seconds]
"""Takes the number of attempts that failed (1 after the first), gives the delay before the next."""


class Fixed(Struct, frozen=True):
    """Always the same delay."""

    delay: Seconds = 60.0

    def __post_init__(self) -> None:
        microseconds(self.delay, name="delay")

    def __call__(self, failed: int) -> float:
        return _seconds(self.delay)


class Linear(Struct, frozen=True):
    """``step`` times the failed attempts: 60, 120, 180, … seconds."""

    step: Seconds = 60.0

    def __call__(self, failed: int) -> float:
        return _seconds(self.step) * failed


class Exponential(Struct, frozen=True):
    """``first`` times ``factor`` to the power of the failed attempts before: 2, 4, 8, … seconds."""

    first: Seconds = 2.0
    factor: float = 2.0

    def __call__(self, failed: int) -> float:
        return _seconds(self.first) * _power(self.factor, failed - 1)


class Polynomial(Struct, frozen=True):
    """Retries before to the power of ``power`` plus ``offset`` seconds: 15, 16, 31, 96, 271, … (25 take 21 days)."""

    power: float = 4.0
    offset: Seconds = 15.0

    def __call__(self, failed: int) -> float:
        return _power(failed - 1, self.power) + _seconds(self.offset)


class LinearThenExponential(Struct, frozen=True):
    """``linear`` delays growing by ``step``, the first 0, then doubling: 0, 60, 120, 180, 240, 480, … seconds."""

    step: Seconds = 60.0
    linear: int = 5

    def __call__(self, failed: int) -> float:
        grown = _seconds(self.step) * min(failed - 1, self.linear - 1)
        return grown * _power(2, max(0, failed - self.linear))


class Retry(Struct, frozen=True):
    """How a task is retried.

    Attributes:
        max_attempts: how often it runs at most; None for no limit.
        delay: a policy, a number of seconds, or any callable of the failed attempts.
        jitter: the share of the delay that is drawn by lot: 0.1 gives 90 % to 110 % of it.
        cap: no delay is longer.
        by_exception: another policy for some exceptions; the first class that matches is taken.
        discard: exceptions after which there is no retry.
    """

    max_attempts: int | None = 5
    delay: DelayRule | Seconds = Exponential()
    jitter: float = 0.1
    cap: Seconds = 86_400.0
    by_exception: Mapping[type[BaseException], DelayRule | Seconds] = {}
    discard: tuple[type[BaseException], ...] = ()

    def __post_init__(self) -> None:
        most: object = self.max_attempts
        if most is not None and (not isinstance(most, int) or most < 1):
            raise ConfigurationError(f"max_attempts must be at least 1, or None for no limit; it is {most!r}")
        for rule in (self.delay, *self.by_exception.values()):
            if not callable(rule):
                microseconds(rule, name="the delay before a retry")
        _check_exceptions(self.by_exception, "by_exception")
        _check_exceptions(self.discard, "discard")
        microseconds(self.cap, name="cap")
        if not 0 <= self.jitter <= 1:
            raise ConfigurationError(f"jitter must be between 0 and 1; it is {self.jitter}")

    def delay_after(self, failed: int, error: BaseException, max_attempts: int | None) -> float | None:
        """Seconds until the next attempt after ``failed`` of them, None when there is none.

        Raises:
            InvalidValue: the policy gave what is no length of time.
        """
        if isinstance(error, (Discard, *self.discard)) or (max_attempts is not None and failed >= max_attempts):
            return None
        if isinstance(error, RetryIn):
            return _seconds(error.delay)
        matching = (rule for kind, rule in self.by_exception.items() if isinstance(error, kind))
        rule = next(matching, self.delay)
        delay = _seconds(rule(failed) if callable(rule) else rule)
        spread = random.uniform(1 - self.jitter, 1 + self.jitter)
        delay = min(delay * spread, _seconds(self.cap))
        microseconds(delay, name="the delay before a retry")
        return delay


class RunOutcome(Exception):
    """What a run may raise to decide on its own end."""


class Snooze(RunOutcome):
    """Run me again after ``delay``; this run does not count as an attempt."""

    def __init__(self, delay: Seconds) -> None:
        microseconds(delay, name="delay")
        super().__init__(f"snoozed for {delay}")
        self.delay = delay


class Discard(RunOutcome):
    """I failed, and trying again is of no use."""


class RetryIn(RunOutcome):
    """I failed; try again after ``delay``, if attempts are left."""

    def __init__(self, delay: Seconds, reason: str = "") -> None:
        microseconds(delay, name="delay")
        super().__init__(reason or f"retry in {delay}")
        self.delay = delay


def rescue_delay(crashes: int) -> float:
    """Seconds until a job whose worker died ``crashes`` times runs again: 0, 30, 300, 3000, … at most an hour."""
    return 0.0 if crashes <= 1 else min(30.0 * 10 ** min(crashes - 2, 4), 3600.0)


def _check_exceptions(kinds: object, name: str) -> None:
    given = kinds if isinstance(kinds, tuple | Mapping) else (None,)
    if not all(isinstance(kind, type) and issubclass(kind, BaseException) for kind in given):
        shape = "a tuple of exceptions" if name == "discard" else "delays by exception"
        raise ConfigurationError(f"{name} must be {shape}; it is {kinds!r}")


def _power(root: float, exponent: float) -> float:
    try:
        return math.pow(root, exponent)
    except OverflowError:
        return _ENDLESS


def _seconds(length: Seconds) -> float:
    return length.total_seconds() if isinstance(length, timedelta) else float(length)
