"""Schedules: what operators change, and what becomes of each tick."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from longshore import Cron, Debounce, Every, Longshore, Throttle, Unique
from longshore.contract import SECOND, Write
from longshore.durations import moment
from longshore.errors import Corrupt, InvalidValue
from longshore.guard import Guard
from longshore.schedules.stored import KIND, Stored, tick_id
from longshore.schedules.ticking import tick
from longshore.testing.clock import ManualClock
from model.ticking import MINUTE, jobs, seen, ticks


class TestTicks:
    def test_each_tick_becomes_one_job_when_its_time_has_come(
        self, timed: Longshore, clock: ManualClock, beat: Any
    ) -> None:
        timed.admin.schedules.put("a", Every(MINUTE), beat.options(priority=3, notes={"k": 1}).call("hello"))
        expected = ticks(clock, "a", 20, 80)
        clock.advance(19.999999)
        timed.admin.schedules.tick()
        assert jobs(timed) == []
        clock.advance(0.000001)
        timed.admin.schedules.tick()
        timed.admin.schedules.tick()
        assert jobs(timed) == expected[:1]
        clock.advance(61)
        (shown,) = timed.admin.schedules.tick()
        assert jobs(timed) == expected
        assert (shown.last, shown.last_job) == (moment(clock() - SECOND), expected[1])
        assert shown.next == moment(clock() + 59 * SECOND)
        job = timed.admin.job(expected[0])
        assert job is not None
        assert (job.task, job.priority, job.notes) == ("beat", 3, {"k": 1, "longshore.schedule": "a"})
        assert [
            job.id for job in timed.admin.jobs(notes={"longshore.schedule": "a"}, oldest_first=True).jobs
        ] == expected
        timed.worker().run(until_empty=True)
        assert timed.job(expected[1]).result() == "hello"

    def test_the_id_of_a_job_names_its_tick(self) -> None:
        assert tick_id("a", 1_900_000_000 * SECOND) == "schedule:a:2030-03-17T17:46:40Z"
        assert tick_id("a", 1_900_000_000 * SECOND + 5) == "schedule:a:2030-03-17T17:46:40.000005Z"

    def test_many_are_made_at_once(self, timed: Longshore, clock: ManualClock, beat: Any) -> None:
        for number in range(40):
            timed.admin.schedules.put(f"{number:02}", Every(MINUTE), beat.call())
        clock.advance(MINUTE)
        timed.admin.schedules.tick()
        assert len(jobs(timed)) == 40
        assert {info.last_job for info in timed.admin.schedules.all()} == set(jobs(timed))

    def test_a_tick_that_finds_its_unique_key_held_is_skipped(
        self, timed: Longshore, clock: ManualClock, beat: Any
    ) -> None:
        timed.admin.schedules.put("a", Every(MINUTE), beat.options(unique=Unique()).call())
        first, *_ = ticks(clock, "a", 20)
        for _ in range(3):
            clock.advance(MINUTE)
            (shown,) = timed.admin.schedules.tick()
        assert jobs(timed) == [first]
        assert (shown.last_job, shown.next) == (first, moment(clock() + 20 * SECOND))

    def test_options_that_count_from_each_tick(self, timed: Longshore, clock: ManualClock, beat: Any) -> None:
        timed.admin.schedules.put("a", Every(MINUTE), beat.options(delay=5, expires=20).call())
        clock.advance(20)
        timed.admin.schedules.tick()
        (job,) = timed.admin.jobs().jobs
        assert (job.due, job.expires) == (moment(clock() + 5 * SECOND), moment(clock() + 20 * SECOND))


class TestMissed:
    @pytest.mark.parametrize(
        ("rule", "late", "made"),
        [
            ({}, 600, [-40]),
            ({"missed": "once"}, 600, [-40]),
            ({"missed": "all"}, 240, [-220, -160, -100, -40]),
            ({"missed": "all", "most": 3}, 600, [-160, -100, -40]),
            ({"missed": "skip"}, 600, [-40]),
            ({"missed": "skip", "grace": 40}, 600, [-40]),
            ({"missed": "skip", "grace": 39}, 600, []),
            ({"missed": "skip", "grace": timedelta(seconds=5)}, 25, [-5]),
        ],
    )
    def test_what_nobody_was_there_for(
        self, timed: Longshore, clock: ManualClock, beat: Any, rule: dict[str, Any], late: float, made: list[float]
    ) -> None:
        timed.admin.schedules.put("a", Every(MINUTE), beat.call(), **rule)
        clock.advance(late)
        (shown,) = timed.admin.schedules.tick()
        assert jobs(timed) == ticks(clock, "a", *made)
        assert shown.next is not None
        assert moment(clock()) < shown.next <= moment(clock() + MINUTE * SECOND)
        assert shown.last_job == (jobs(timed)[-1] if made else None)

    @pytest.mark.parametrize(
        ("rule", "said"),
        [
            ({"missed": "never"}, "missed must be one of once, skip, all; it is 'never'"),
            ({"most": 0}, "most must be between 1 and 1,000; it is 0"),
            ({"most": 1_001}, "most must be"),
            ({"grace": -1}, "grace must be a number of seconds"),
        ],
    )
    def test_a_rule_that_makes_no_sense_is_refused(
        self, timed: Longshore, beat: Any, rule: dict[str, Any], said: str
    ) -> None:
        with pytest.raises(InvalidValue, match=said):
            timed.admin.schedules.put("a", "@daily", beat.call(), **rule)
        with pytest.raises(InvalidValue, match=said):
            timed.admin.schedules.change("a", **rule)
        assert timed.store.read(KIND) == []


class TestOperators:
    def test_they_see_all_that_there_is(self, timed: Longshore, clock: ManualClock, beat: Any) -> None:
        @timed.task(secret=["token"])
        def send(token: str) -> None: ...

        timed.admin.schedules.put("b", Cron("0 3 * * *", "Europe/Berlin"), beat.options(queue="q").call("x"))
        timed.admin.schedules.put("a", Every(90), send.call("T0P"), missed="all", grace=5, most=7)
        a, b = timed.admin.schedules.all()
        assert (a.name, a.shown_when, a.task, a.call) == ("a", "every 90 s", "send", "send(token=***)")
        assert (a.missed, a.grace, a.most, a.paused, a.declared) == ("all", 5.0, 7, False, False)
        assert (a.last, a.last_job) == (None, None)
        assert (b.shown_when, b.queue, b.call) == ("0 3 * * * Europe/Berlin", "q", "beat(word='x')")
        assert timed.admin.schedules.get("b") == b
        assert timed.admin.schedules.get("c") is None

    def test_a_schedule_under_the_same_name_takes_its_place(
        self, timed: Longshore, clock: ManualClock, beat: Any
    ) -> None:
        schedules = timed.admin.schedules
        first = schedules.put("a", Every(100), beat.call())
        clock.advance(30)
        assert schedules.put("a", Every(100), beat.call("other")).next == first.next, (
            "the same times keep the next tick"
        )
        changed = schedules.put("a", Every(70), beat.call())
        assert changed.next == moment(Every(70).after(clock()))
        assert len(schedules.all()) == 1

    @pytest.mark.parametrize("when", ["0 0 31 4 *", "nonsense", 60, None])
    def test_what_is_no_time_is_refused_and_nothing_is_stored(self, timed: Longshore, beat: Any, when: Any) -> None:
        with pytest.raises(InvalidValue):
            timed.admin.schedules.put("a", when, beat.call())
        assert timed.store.read(KIND) == []

    @pytest.mark.parametrize("name", ["", "x" * 151, "a\0b"])
    def test_what_is_no_name_is_refused(self, timed: Longshore, beat: Any, name: str) -> None:
        with pytest.raises(InvalidValue, match="a schedule's name"):
            timed.admin.schedules.put(name, "@daily", beat.call())

    @pytest.mark.parametrize(
        ("options", "said"),
        [
            ({"id": "x"}, "leave out id and at"),
            ({"at": moment(2_000_000_000 * SECOND)}, "leave out id and at"),
            ({"expires": moment(2_000_000_000 * SECOND)}, "expires must be a length of time"),
            ({"unique": Unique(if_held="replace")}, "can only be skipped"),
            ({"unique": Debounce(5)}, "can only be skipped"),
            ({"queue": ""}, "a queue's name must be"),
            ({"key": "k"}, "let the task enqueue what needs them"),
            ({"after": "another"}, "let the task enqueue what needs them"),
        ],
    )
    def test_a_call_that_cannot_be_made_twice_is_refused(
        self, timed: Longshore, beat: Any, options: dict[str, Any], said: str
    ) -> None:
        with pytest.raises(InvalidValue, match=said):
            timed.admin.schedules.put("a", "@daily", beat.options(**options).call())
        timed.admin.schedules.put("a", "@daily", beat.options(unique=Throttle(5)).call())

    def test_they_change_what_they_name_and_nothing_else(self, timed: Longshore, clock: ManualClock, beat: Any) -> None:
        schedules = timed.admin.schedules
        before = schedules.put("a", Every(100), beat.call("x"), missed="all", grace=7)
        assert schedules.change("a", call=beat.call("y"))
        after = schedules.get("a")
        assert after is not None
        assert (after.call, after.next, after.missed, after.grace) == ("beat(word='y')", before.next, "all", 7.0)
        assert schedules.change("a", when="30 3 * * *", missed="skip", most=5)
        after = schedules.get("a")
        assert after is not None
        assert (after.shown_when, after.call, after.missed, after.most) == (
            "30 3 * * * UTC",
            "beat(word='y')",
            "skip",
            5,
        )
        assert after.next == moment(Cron("30 3 * * *").after(clock()))

    def test_a_pause_lasts_and_nothing_is_made_up_for(self, timed: Longshore, clock: ManualClock, beat: Any) -> None:
        schedules = timed.admin.schedules
        schedules.put("a", Every(MINUTE), beat.call(), missed="all")
        assert schedules.pause("a")
        assert schedules.pause("a")
        clock.advance(1000)
        (shown,) = schedules.tick()
        assert (jobs(timed), shown.paused, shown.next) == ([], True, None)
        assert schedules.put("a", Every(MINUTE), beat.call("new"), missed="all").paused
        assert schedules.resume("a")
        expected = moment(Every(MINUTE).after(clock()))
        assert [(info.paused, info.next) for info in schedules.tick()] == [(False, expected)]
        assert schedules.resume("a")
        assert jobs(timed) == []

    def test_what_is_removed_ticks_no_more(self, timed: Longshore, clock: ManualClock, beat: Any) -> None:
        schedules = timed.admin.schedules
        schedules.put("a", Every(MINUTE), beat.call())
        assert schedules.remove("a")
        clock.advance(MINUTE)
        assert schedules.tick() == ()
        assert (jobs(timed), schedules.all(), timed.store.read(KIND)) == ([], (), [])

    def test_what_is_not_there_is_answered_so(self, timed: Longshore) -> None:
        schedules = timed.admin.schedules
        assert not schedules.remove("a")
        assert not schedules.pause("a")
        assert not schedules.resume("a")
        assert not schedules.change("a", most=5)
        assert schedules.run_now("a") is None

    def test_one_can_be_run_now_beside_its_ticks(self, timed: Longshore, clock: ManualClock, beat: Any) -> None:
        schedules = timed.admin.schedules
        before = schedules.put("a", Every(MINUTE), beat.call("now"))
        schedules.pause("a")
        first, second = schedules.run_now("a"), schedules.run_now("a")
        assert first is not None
        assert second is not None
        assert first != second
        timed.worker().run(until_empty=True)
        assert (first.result(), first.info().notes) == ("now", {"longshore.schedule": "a"})
        schedules.resume("a")
        assert schedules.get("a") == before

    def test_run_now_gives_the_job_that_holds_the_unique_key(self, timed: Longshore, beat: Any) -> None:
        timed.admin.schedules.put("a", "@daily", beat.options(unique=Unique()).call())
        assert timed.admin.schedules.run_now("a") == timed.admin.schedules.run_now("a")

    def test_one_that_cannot_be_read_can_be_removed(self, timed: Longshore, beat: Any) -> None:
        timed.store.write([Write(KIND, "a", b'{"when": {"type": "moon"}}')])
        with pytest.raises(Corrupt, match="a schedule in the record 'a'"):
            timed.admin.schedules.all()
        assert timed.admin.schedules.remove("a")
        assert timed.admin.schedules.all() == ()


class TestAtTheSameMoment:
    """What happens between the reading of a schedule and the noting of its tick."""

    @pytest.fixture
    def due(self, timed: Longshore, clock: ManualClock, beat: Any) -> list[Stored]:
        """A schedule that was read when its tick was due."""
        timed.admin.schedules.put("a", Every(MINUTE), beat.call())
        clock.advance(20)
        return seen(timed)

    def test_another_made_the_tick(self, timed: Longshore, clock: ManualClock, due: list[Stored]) -> None:
        timed.admin.schedules.tick()
        before = timed.admin.schedules.all()
        standing = tick(timed.store, due, clock())
        assert len(jobs(timed)) == 1
        assert timed.admin.schedules.all() == before
        assert standing["a"].next == clock() + MINUTE * SECOND

    def test_a_later_tick_was_made(self, timed: Longshore, clock: ManualClock, due: list[Stored]) -> None:
        now = clock()
        clock.advance(MINUTE)
        timed.admin.schedules.tick()
        before = timed.admin.schedules.all()
        tick(timed.store, due, now)
        assert set(jobs(timed)) == set(ticks(clock, "a", 0, -MINUTE))
        assert timed.admin.schedules.all() == before

    def test_it_was_paused(self, timed: Longshore, clock: ManualClock, due: list[Stored]) -> None:
        timed.admin.schedules.pause("a")
        tick(timed.store, due, clock())
        (info,) = timed.admin.schedules.all()
        assert (info.paused, info.next, info.last, len(jobs(timed))) == (True, None, moment(clock()), 1)

    def test_it_was_changed(self, timed: Longshore, clock: ManualClock, due: list[Stored]) -> None:
        timed.admin.schedules.change("a", when=Every(7))
        tick(timed.store, due, clock())
        (info,) = timed.admin.schedules.all()
        assert (info.next, info.last) == (moment(Every(7).after(clock())), moment(clock()))

    def test_it_was_removed(self, timed: Longshore, clock: ManualClock, due: list[Stored]) -> None:
        assert timed.admin.schedules.remove("a")
        assert tick(timed.store, due, clock()) == {}
        assert timed.store.read(KIND) == []

    def test_who_removes_it_removes_what_was_seen(self, timed: Longshore, due: list[Stored]) -> None:
        timed.admin.schedules.change("a", most=5)
        (stale,) = due
        assert stale.schedule is not None
        assert timed.store.write([stale.removal(stale.schedule)]) == [None]
        assert timed.admin.schedules.get("a") is not None

    def test_one_that_cannot_make_its_job_leaves_the_others_alone(
        self, timed: Longshore, clock: ManualClock, beat: Any
    ) -> None:
        for name, word in (("a", "x"), ("b", "x" * 100), ("c", "x")):
            timed.admin.schedules.put(name, Every(MINUTE), beat.call(word))
        clock.advance(20)
        strict = Guard(timed.store.driver, max_payload=50)
        standing = tick(strict, seen(timed), clock())
        assert jobs(timed) == [tick_id("a", clock()), tick_id("c", clock())]
        assert set(standing) == {"a", "c"}
