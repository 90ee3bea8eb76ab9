"""What a worker has done, and how fast."""

from __future__ import annotations

import pytest

from longshore.contract import Answer, Change, Outcome, State
from longshore.worker.tally import Pace, Tally


@pytest.mark.parametrize(
    ("to", "outcome", "counted"),
    [
        (State.SUCCEEDED, Outcome.MOVED, "succeeded"),
        (State.SUCCEEDED, Outcome.REPEATED, "succeeded"),
        (State.SUCCEEDED, Outcome.REFUSED, "refused"),
        (State.FAILED, Outcome.MOVED, "failed"),
        (State.PENDING, Outcome.MOVED, "again"),
        (State.CANCELLED, Outcome.MOVED, "cancelled"),
    ],
)
def test_a_run_is_counted_by_how_it_ended(to: State, outcome: Outcome, counted: str) -> None:
    tally = Tally()
    tally.settled(Change("a", to), Answer(outcome, to))
    assert {name: value for name, value in vars(tally).items() if value} == {counted: 1}
    assert f"{counted}=1" in repr(tally)


def test_while_nothing_is_known_nothing_is_expected() -> None:
    assert Pace().expected(0.1, slots=10) == 0


def test_the_slots_begin_as_many_as_the_pace_allows() -> None:
    pace = Pace()
    pace.took("work", 0.01)
    assert pace.expected(0.1, slots=4) == 40


def test_a_slow_run_slows_the_expectation_at_once_and_a_series_settles_it() -> None:
    pace = Pace()
    pace.took("work", 0.001)
    pace.took("work", 10.0)
    assert pace.expected(0.1, slots=1) == 0
    for _ in range(200):
        pace.took("work", 0.01)
    assert pace.expected(0.1, slots=1) in (9, 10)


def test_runs_that_take_no_time_at_all_are_still_a_number() -> None:
    pace = Pace()
    pace.took("work", 0.0)
    assert pace.expected(0.1, slots=1) == 10_000


def test_each_task_has_a_pace_of_its_own() -> None:
    pace = Pace()
    assert pace.of("slow") is None
    pace.took("slow", 2.0)
    pace.took("quick", 0.001)
    assert (pace.of("slow"), pace.of("quick"), pace.of("unknown")) == (2.0, 0.001, None)
