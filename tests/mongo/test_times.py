"""The store's clock between two looks at it."""

from __future__ import annotations

import pytest

from longshore_mongo.times import Times


class Here:
    """The process's own clock, in seconds."""

    def __init__(self) -> None:
        self.seconds = 100.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch) -> Here:
    here = Here()
    monkeypatch.setattr("longshore_mongo.times.time.monotonic", here)
    return here


def test_it_goes_on_for_a_second(here: Here) -> None:
    times = Times()
    assert times.now() is None
    assert times.hear(5_000, asked=100.0) == 5_000_000
    here.seconds += 0.75
    assert times.now() == 5_750_000
    here.seconds += 0.5
    assert times.now() is None


def test_looks_without_the_schema_do_not_put_the_next_whole_one_off(here: Here) -> None:
    times = Times()
    times.hear(5_000, asked=100.0)
    here.seconds += 0.75
    assert times.hear(5_750, asked=100.7, is_whole=False) == 5_750_000
    here.seconds += 0.5
    assert times.now() is None


def test_a_slow_answer_takes_nobody_back(here: Here) -> None:
    times = Times()
    times.hear(5_000, asked=100.0)
    here.seconds = 101.25
    assert times.hear(6_150, asked=101.0) == 6_250_000, "the answer was on its way for 100 ms"


def test_a_clock_that_was_set_back_is_believed(here: Here) -> None:
    times = Times()
    times.hear(5_000, asked=100.0)
    here.seconds = 101.25
    assert times.hear(2_000, asked=101.0) == 2_000_000 + 1_000 + 250_000


def test_a_clock_that_was_set_forward_is_believed(here: Here) -> None:
    times = Times()
    times.hear(5_000, asked=100.0)
    assert times.hear(9_000, asked=100.0) == 9_000_000
