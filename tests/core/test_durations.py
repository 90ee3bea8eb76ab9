"""Lengths of time and moments: what people write, and microseconds."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from longshore.durations import instant, microseconds, moment, moment_or_none
from longshore.errors import InvalidValue


@pytest.mark.parametrize(
    ("length", "whole"),
    [(0, 0), (1, 1_000_000), (0.5, 500_000), (1e-6, 1), (1e-7, 0), (timedelta(days=1, microseconds=1), 86_400_000_001)],
)
def test_a_length_is_seconds_or_a_timedelta(length: float | timedelta, whole: int) -> None:
    assert microseconds(length) == whole


@pytest.mark.parametrize("length", [-1, -1e-9, math.nan, math.inf, True, "5", None, timedelta(seconds=-1)], ids=repr)
def test_what_is_no_length_is_refused_by_name(length: Any) -> None:
    with pytest.raises(InvalidValue, match="delay must be a number of seconds or a timedelta, not negative"):
        microseconds(length, name="delay")


@pytest.mark.parametrize("length", [1e12, 1e300, timedelta.max], ids=repr)
def test_a_length_that_no_calendar_holds_is_refused(length: float | timedelta) -> None:
    with pytest.raises(InvalidValue, match="at most 1000 years"):
        microseconds(length)


def test_a_thousand_years_from_now_can_be_shown() -> None:
    assert moment(instant(datetime.now(UTC)) + microseconds(timedelta(days=365_000))).year > 3000


@given(st.datetimes(timezones=st.timezones()))
def test_a_moment_comes_back_in_utc_to_the_microsecond(when: datetime) -> None:
    try:
        utc = when.astimezone(UTC)
    except OverflowError:  # The first or last hours of the calendar.
        return
    assert moment(instant(when)) == utc
    assert moment(instant(when)).tzinfo is UTC


def test_a_moment_is_the_same_in_every_zone() -> None:
    noon = datetime(2026, 6, 1, 12, tzinfo=UTC)
    assert instant(noon) == instant(noon.astimezone(timezone(timedelta(hours=5, minutes=45))))


def test_a_moment_without_a_time_zone_is_refused_by_name() -> None:
    with pytest.raises(InvalidValue, match=r"at must have a time zone, for example datetime\.now\(UTC\)"):
        instant(datetime(2026, 6, 1, tzinfo=UTC).replace(tzinfo=None), name="at")


def test_a_moment_that_has_not_come_is_none() -> None:
    assert moment_or_none(None) is None
    assert moment_or_none(0) == datetime(1970, 1, 1, tzinfo=UTC)
