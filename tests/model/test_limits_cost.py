"""What limits cost: nothing where there are none, little where they are not reached, and nothing for who must wait."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from worker.faulty import FaultyApp

pytestmark = pytest.mark.timed

JOBS = 2_000


def nothing_limited(app: FaultyApp) -> None:
    """The store as it is."""


def runs_limited(app: FaultyApp) -> None:
    app.admin.limit(queue="default", running=5_000)
    app.admin.limit(task="nothing", running=5_000)


def rates_limited(app: FaultyApp) -> None:
    app.admin.limit(task="nothing", rate=(10_000_000, 60.0))


def drained(target: Any, limit: Callable[[FaultyApp], None], jobs: int = JOBS) -> tuple[float, Counter[str]]:
    """How many seconds a worker takes for jobs that do nothing, and what it asks of the store for it."""
    with FaultyApp(target) as app:

        @app.task
        def nothing(number: int) -> int:
            return number

        limit(app)
        app.enqueue_many([nothing.call(number) for number in range(jobs)])
        before, began = app.line.calls.copy(), time.perf_counter()
        tally = app.worker().run(until_empty=True)
        took = time.perf_counter() - began
        assert tally.succeeded == jobs
        app.store.clear()
        return took, app.line.calls - before


def trips(calls: Counter[str]) -> int:
    return calls["claim"] + calls["exchange"] + calls["update"]


def test_without_limits_nothing_is_asked_before_a_claim(target: Any) -> None:
    few, many = (drained(target, nothing_limited, jobs)[1] for jobs in (100, 2_000))
    assert trips(many) > trips(few)
    assert many["read"] - few["read"] <= 6, f"{few} and {many}"
    assert many["write"] - few["write"] <= 6, f"{few} and {many}"


@pytest.mark.parametrize("limit", [runs_limited, rates_limited], ids=["runs", "rates"])
def test_tokens_of_a_limit_that_is_not_reached_are_taken_in_batches(
    target: Any, limit: Callable[[FaultyApp], None]
) -> None:
    # The best of three: on a busy machine a drain takes more and smaller trips.
    calls = min((drained(target, limit)[1] for _ in range(3)), key=trips)
    without = max((drained(target, nothing_limited)[1] for _ in range(3)), key=trips)
    assert calls["write"] - without["write"] <= max(12, trips(calls) // 2), f"{calls}, without limits {without}"
    assert trips(calls) <= 2 * trips(without) + 10


@pytest.mark.slow
@pytest.mark.parametrize("limit", [runs_limited, rates_limited], ids=["runs", "rates"])
def test_a_limit_that_is_not_reached_costs_at_most_half_the_speed(
    target: Any, limit: Callable[[FaultyApp], None]
) -> None:
    # In turn and the best of each: other processes disturb both alike.
    pairs = [(drained(target, nothing_limited)[0], drained(target, limit)[0]) for _ in range(3)]
    without, limited = (min(times) for times in zip(*pairs, strict=True))
    assert limited <= 2 * without, f"{JOBS / limited:.0f} jobs a second with a limit, {JOBS / without:.0f} without"
