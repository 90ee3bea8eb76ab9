"""When schedules tick: cron expressions on clocks that change, and intervals."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from cronsim import CronSim
from hypothesis import given, settings
from hypothesis import strategies as st

from longshore import Cron, Every
from longshore.contract import SECOND
from longshore.durations import instant, moment
from longshore.errors import InvalidValue

BERLIN = "Europe/Berlin"
NEW_YORK = "America/New_York"
LORD_HOWE = "Australia/Lord_Howe"  # Half an hour from UTC, and its clocks change by half an hour.
KOLKATA = "Asia/Kolkata"


def ticks(when: Cron | Every, begin: datetime, number: int, zone: str = "UTC") -> list[str]:
    """The next ticks after a moment, as the zone's clocks show them."""
    now, shown = instant(begin), []
    for _ in range(number):
        now = when.after(now)
        shown.append(moment(now).astimezone(ZoneInfo(zone)).isoformat(timespec="minutes"))
    return shown


def in_zone(zone: str, *wall: int, fold: int = 0) -> datetime:
    return datetime(*wall, tzinfo=ZoneInfo(zone), fold=fold)  # type: ignore[misc, arg-type]


NEW_YEAR = datetime(2026, 1, 1, tzinfo=UTC)  # A Thursday.


class TestExpressions:
    @pytest.mark.parametrize(
        ("expression", "expected"),
        [
            ("30 3 * * *", ["01-01T03:30", "01-02T03:30"]),
            ("*/20 * * * *", ["01-01T00:20", "01-01T00:40", "01-01T01:00"]),
            ("5-10/2 0 * * *", ["01-01T00:05", "01-01T00:07", "01-01T00:09", "01-02T00:05"]),
            ("1,3,30-31 0 * * *", ["01-01T00:01", "01-01T00:03", "01-01T00:30", "01-01T00:31"]),
            ("0 12 * * MON-fri", ["01-01T12:00", "01-02T12:00", "01-05T12:00"]),
            ("0 0 1 Feb,aPR *", ["02-01T00:00", "04-01T00:00"]),
            ("0 0 * * 0", ["01-04T00:00", "01-11T00:00"]),
            ("0 0 * * 7", ["01-04T00:00", "01-11T00:00"]),
            ("0 0 * * 5-7", ["01-02T00:00", "01-03T00:00", "01-04T00:00", "01-09T00:00"]),
            ("0 0 13 * fri", ["01-02T00:00", "01-09T00:00", "01-13T00:00", "01-16T00:00"]),
            ("0 0 13 * *", ["01-13T00:00", "02-13T00:00"]),
            ("0 0 31 * *", ["01-31T00:00", "03-31T00:00"]),
            ("0 0 */10 * *", ["01-11T00:00", "01-21T00:00", "01-31T00:00", "02-01T00:00"]),
            ("0 0 */10 * mon", ["01-05T00:00", "01-11T00:00", "01-12T00:00"]),
            ("5/10 * * * *", ["01-01T00:05", "01-01T01:05"]),
            ("*/61 * * * *", ["01-01T01:00", "01-01T02:00"]),
            ("@hourly", ["01-01T01:00", "01-01T02:00"]),
            ("@daily", ["01-02T00:00", "01-03T00:00"]),
            ("@midnight", ["01-02T00:00", "01-03T00:00"]),
            ("@weekly", ["01-04T00:00", "01-11T00:00"]),
            ("@monthly", ["02-01T00:00", "03-01T00:00"]),
        ],
    )
    def test_what_they_name(self, expression: str, expected: list[str]) -> None:
        assert ticks(Cron(expression), NEW_YEAR, len(expected)) == [f"2026-{each}+00:00" for each in expected]

    @pytest.mark.parametrize("expression", ["@yearly", "@annually", "0 0 1 1 *"])
    def test_once_a_year(self, expression: str) -> None:
        assert ticks(Cron(expression), NEW_YEAR, 2) == ["2027-01-01T00:00+00:00", "2028-01-01T00:00+00:00"]

    def test_leap_days_come_within_five_years_or_not_at_all(self) -> None:
        leap = Cron("0 0 29 feb *")
        assert ticks(leap, NEW_YEAR, 2) == ["2028-02-29T00:00+00:00", "2032-02-29T00:00+00:00"]
        with pytest.raises(InvalidValue, match="'0 0 29 feb \\*' names no time within five years"):
            leap.after(instant(datetime(2096, 3, 1, tzinfo=UTC)))

    def test_the_next_is_strictly_later(self) -> None:
        cron = Cron("*/5 * * * *")
        five = instant(datetime(2026, 1, 1, 0, 5, tzinfo=UTC))
        assert cron.after(five - 1) == five
        assert cron.after(five) == five + 300 * SECOND
        assert cron.after(five + 1) == five + 300 * SECOND

    @pytest.mark.parametrize(
        ("expression", "said"),
        [
            ("", "has 0"),
            ("* * * *", "has five fields, as .* has 4"),
            ("0 * * * * *", "has 6"),
            ("60 * * * *", "the minute field takes 0 to 59; it has 60"),
            ("* 24 * * *", "the hour field takes 0 to 23; it has 24"),
            ("* * 0 * *", "the day-of-month field takes 1 to 31; it has 0"),
            ("* * 32 * *", "day-of-month"),
            ("* * * 13 *", "the month field takes 1 to 12; it has 13"),
            ("* * * 0 *", "month"),
            ("* * * * 8", "the day-of-week field takes 0 to 7; it has 8"),
            ("*/0 * * * *", "a step in the minute field must be a number, at least 1; it is '0'"),
            ("*/-1 * * * *", "step"),
            ("*/x * * * *", "step"),
            ("*/ * * * *", "step"),
            ("10-5 * * * *", "'10-5', which ends before it begins"),
            ("* * * * fri-mon", "ends before it begins"),
            ("* * * foo *", "numbers or one of jan, feb, .*; it has 'foo'"),
            ("mon * * * *", "the minute field takes numbers; it has 'mon'"),
            ("* * * * monday", "one of sun, mon"),
            ("1,,2 * * * *", "it has ''"),
            ("1-2-3 * * * *", "it has '2-3'"),
            ("*-5 * * * *", "it has '\\*'"),
            ("-1 * * * *", "it has ''"),
            ("٣ * * * *", "it has '٣'"),
            ("L * * * *", "it has 'L'"),
            ("0 0 * * 1#2", "it has '1#2'"),
            ("@reboot", "expected one of @yearly"),
            ("0 0 30 2 *", "names no time within five years"),
            ("9" * 5000 + " * * * *", "minute"),
        ],
    )
    def test_what_cannot_be_read_says_where(self, expression: str, said: str) -> None:
        with pytest.raises(InvalidValue, match=said):
            Cron(expression)

    @pytest.mark.parametrize("zone", ["Europe/Atlantis", "", "../etc", "Europe", "/etc/localtime"])
    def test_a_zone_that_is_not_known_is_refused(self, zone: str) -> None:
        with pytest.raises(InvalidValue, match="time zone as Europe/Berlin"):
            Cron("@daily", zone)

    @settings(max_examples=40)
    @given(data=st.data())
    def test_another_implementation_agrees(self, data: st.DataObject) -> None:
        # In UTC, without a step after a single value, and with days that both read alike: there the two mean the same.
        fields = []
        for lowest, highest in ((0, 59), (0, 23), (1, 28), (1, 12), (0, 7)):
            value = st.integers(lowest, highest)
            span = st.tuples(value, value).map(sorted).map(lambda ends: f"{ends[0]}-{ends[1]}")
            wide = span.filter(lambda text: len(set(text.split("-"))) > 1)
            stepped = st.tuples(wide, st.integers(1, 20)).map(lambda parts: f"{parts[0]}/{parts[1]}")
            fields.append(
                st.one_of(
                    st.just("*"),
                    st.lists(st.one_of(value.map(str), span, stepped), min_size=1, max_size=3).map(",".join),
                )
            )
        expression = " ".join(data.draw(st.tuples(*fields)))
        begin = data.draw(st.datetimes(datetime(2020, 1, 1), datetime(2040, 1, 1))).replace(tzinfo=UTC)  # noqa: DTZ001
        theirs = CronSim(expression, begin)
        expected = [next(theirs).isoformat(timespec="minutes") for _ in range(3)]
        assert ticks(Cron(expression), begin, 3) == expected


class TestClocksThatChange:
    """A time that does not exist is taken at the end of the gap, one that comes twice the first time."""

    @pytest.mark.parametrize(
        ("zone", "expression", "begin", "expected"),
        [
            (BERLIN, "30 2 * * *", (2026, 3, 28, 12), ["03-29T03:00+02:00", "03-30T02:30+02:00"]),
            (BERLIN, "*/20 2 * * *", (2026, 3, 29), ["03-29T03:00+02:00", "03-30T02:00+02:00"]),
            (BERLIN, "0 2,3 * * *", (2026, 3, 29), ["03-29T03:00+02:00", "03-30T02:00+02:00"]),
            (BERLIN, "30 2 * * *", (2026, 10, 25), ["10-25T02:30+02:00", "10-26T02:30+01:00"]),
            (BERLIN, "0 2,3 * * *", (2026, 10, 25), ["10-25T02:00+02:00", "10-25T03:00+01:00"]),
            (NEW_YORK, "30 2 * * *", (2026, 3, 8), ["03-08T03:00-04:00", "03-09T02:30-04:00"]),
            (NEW_YORK, "30 1 * * *", (2026, 11, 1), ["11-01T01:30-04:00", "11-02T01:30-05:00"]),
            (LORD_HOWE, "15 2 * * *", (2026, 10, 4), ["10-04T02:30+11:00", "10-05T02:15+11:00"]),
            (LORD_HOWE, "45 1 * * *", (2026, 4, 5), ["04-05T01:45+11:00", "04-06T01:45+10:30"]),
            (LORD_HOWE, "*/15 2 * * *", (2026, 4, 5), [f"04-05T02:{each}+10:30" for each in ("00", "15", "30", "45")]),
            (KOLKATA, "30 5 * * *", (2026, 3, 29), ["03-29T05:30+05:30", "03-30T05:30+05:30"]),
        ],
    )
    def test_times_of_day_tick_once_a_day(
        self, zone: str, expression: str, begin: tuple[int, ...], expected: list[str]
    ) -> None:
        found = ticks(Cron(expression, zone), in_zone(zone, *begin), len(expected), zone)
        assert found == [f"2026-{each}" for each in expected]

    @pytest.mark.parametrize(
        ("zone", "expression", "begin", "expected"),
        [
            (BERLIN, "30 * * * *", (2026, 3, 29, 1), ["01:30+01:00", "03:30+02:00"]),
            (BERLIN, "30 * * * *", (2026, 10, 25, 1, 30), ["02:30+02:00", "02:30+01:00", "03:30+01:00"]),
            (NEW_YORK, "@hourly", (2026, 11, 1, 0, 30), ["01:00-04:00", "01:00-05:00", "02:00-05:00"]),
            (LORD_HOWE, "*/30 * * * *", (2026, 10, 4, 1), ["01:30+10:30", "02:30+11:00", "03:00+11:00"]),
            (LORD_HOWE, "*/30 * * * *", (2026, 4, 5, 1), ["01:30+11:00", "01:30+10:30", "02:00+10:30"]),
        ],
    )
    def test_each_hour_is_an_hour(
        self, zone: str, expression: str, begin: tuple[int, ...], expected: list[str]
    ) -> None:
        found = ticks(Cron(expression, zone), in_zone(zone, *begin), len(expected), zone)
        assert [each.partition("T")[2] for each in found] == expected

    def test_asked_within_the_hour_that_comes_twice_the_next_is_later_all_the_same(self) -> None:
        second = in_zone(BERLIN, 2026, 10, 25, 2, 10, fold=1)
        assert ticks(Cron("30 2 * * *", BERLIN), second, 1, BERLIN) == ["2026-10-26T02:30+01:00"]

    def test_a_day_that_does_not_exist_is_taken_at_its_end(self) -> None:
        begin = in_zone("Pacific/Apia", 2011, 12, 29, 12)
        expected = ["2011-12-31T00:00+14:00", "2011-12-31T12:00+14:00"]
        assert ticks(Cron("0 12 * * *", "Pacific/Apia"), begin, 2, "Pacific/Apia") == expected

    @settings(max_examples=50)
    @given(
        begin=st.datetimes(datetime(2026, 3, 27), datetime(2026, 11, 3)),  # noqa: DTZ001
        zone=st.sampled_from([BERLIN, NEW_YORK, LORD_HOWE, KOLKATA]),
        expression=st.sampled_from(["*/7 * * * *", "15 1-3 * * *", "*/30 2 * * *", "0 0 * * sun", "@hourly"]),
    )
    def test_from_anywhere_the_same_ticks_come_in_order(self, begin: datetime, zone: str, expression: str) -> None:
        cron, now = Cron(expression, zone), instant(begin.replace(tzinfo=UTC))
        first = cron.after(now)
        later = cron.after(first)
        assert now < first < later
        assert cron.after(first - 1) == first
        assert cron.between(now, later, 1_000) == sorted({first, later} | ({now} & {cron.after(now - 1)}))


class TestBetween:
    def test_all_from_one_to_another_or_the_last_of_them(self) -> None:
        for when in (Cron("*/10 * * * *"), Every(600)):
            begin = instant(NEW_YEAR)
            found = when.between(begin, begin + 3_000 * SECOND, 100)
            assert found == [begin + each * 600 * SECOND for each in range(6)]
            assert when.between(begin, begin + 3_000 * SECOND, 2) == found[-2:]
            assert when.between(begin + 1, begin + 599 * SECOND, 2) == []

    def test_many_years_cost_no_more_than_what_is_wanted(self) -> None:
        begin = instant(NEW_YEAR)
        years = 100 * 365 * 86_400 * SECOND
        assert Cron("* * * * *").between(begin, begin + years, 1) == [begin + years]
        assert Every(1).between(begin, begin + years, 1) == [begin + years]


class TestIntervals:
    def test_they_are_whole_multiples_from_their_anchor(self) -> None:
        assert ticks(Every(3600), datetime(2026, 1, 1, 5, 30, tzinfo=UTC), 2) == [
            "2026-01-01T06:00+00:00",
            "2026-01-01T07:00+00:00",
        ]
        weekly = Every(timedelta(days=7), anchor=datetime(2026, 1, 5, 9, 15, tzinfo=ZoneInfo(BERLIN)))
        assert ticks(weekly, NEW_YEAR, 2) == ["2026-01-05T08:15+00:00", "2026-01-12T08:15+00:00"]

    def test_they_do_not_drift(self) -> None:
        third = Every(1 / 3 * 0.9)
        now, length = 0, round(0.3 * SECOND)
        for number in range(1, 1_000):
            now = third.after(now + 17)
            assert now == number * length

    @pytest.mark.parametrize(
        ("given", "said"),
        [
            ({"interval": 0}, "at least a tenth of a second"),
            ({"interval": 0.09}, "at least a tenth of a second"),
            ({"interval": -1}, "interval must be a number of seconds"),
            ({"interval": 60, "anchor": datetime(2026, 1, 1)}, "anchor must have a time zone"),  # noqa: DTZ001
        ],
    )
    def test_what_makes_no_sense_is_refused(self, given: dict[str, Any], said: str) -> None:
        with pytest.raises(InvalidValue, match=said):
            Every(**given)
