"""What was enqueued: found by task, arguments and options; a message shows what is there."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from longshore import Longshore, State
from longshore.durations import moment
from longshore.errors import InvalidValue
from longshore.testing import Harness


def ids(found: list[Any]) -> list[str]:
    return [job.id for job in found]


@pytest.fixture
def greet(app: Longshore, jobs: Harness) -> Any:
    greet = app.tasks["greet"]
    greet.options(id="ada", priority=5, delay=60, notes={"customer": 7}, max_attempts=2).enqueue("Ada")
    greet.options(id="bob", queue="slow", expires=30).enqueue("Bob", title="Sir ")
    app.tasks["agreet"].options(id="cleo").enqueue("Ada")
    return greet


class TestAllEnqueued:
    def test_without_a_filter_all_oldest_first(self, jobs: Harness, greet: Any) -> None:
        assert ids(jobs.all_enqueued()) == ["ada", "bob", "cleo"]

    def test_by_task_or_its_name(self, jobs: Harness, greet: Any) -> None:
        assert ids(jobs.all_enqueued(greet)) == ids(jobs.all_enqueued("greet")) == ["ada", "bob"]
        assert jobs.all_enqueued("other") == []

    def test_by_arguments_defaults_count(self, jobs: Harness, greet: Any) -> None:
        assert ids(jobs.all_enqueued(greet, {"name": "Bob"})) == ["bob"]
        assert ids(jobs.all_enqueued(greet, {"title": ""})) == ["ada"]
        assert ids(jobs.all_enqueued(greet, {"name": "Bob", "title": "Sir "})) == ["bob"]
        assert ids(jobs.all_enqueued(None, {"name": "Ada"})) == ["ada", "cleo"]
        assert jobs.all_enqueued(greet, {"name": "Bob", "title": ""}) == []

    def test_arguments_come_back_as_they_were(self, app: Longshore, jobs: Harness) -> None:
        @app.task
        def read(path: Path, *rest: int, **more: int) -> None: ...

        read.enqueue(Path("a"), 1, 2, key=3)
        (found,) = jobs.all_enqueued(read, {"path": Path("a")})
        assert found.arguments == {"path": Path("a"), "rest": [1, 2], "more": {"key": 3}}
        assert found.info.task == "read"

    def test_those_of_an_unknown_task(self, app: Longshore, jobs: Harness) -> None:
        app.enqueue(app.call_by_name("elsewhere", {"a": [1]}))
        assert [job.arguments for job in jobs.all_enqueued("elsewhere", {"a": [1]})] == [{"a": [1]}]
        assert jobs.all_enqueued("elsewhere", {"b": [1]}) == []

    @pytest.mark.parametrize(
        ("asked", "expected"),
        [
            ({"id": "bob"}, ["bob"]),
            ({"queue": "slow"}, ["bob"]),
            ({"priority": 5}, ["ada"]),
            ({"delay": timedelta(minutes=1)}, ["ada"]),
            ({"delay": 0}, ["bob", "cleo"]),
            ({"expires": 30}, ["bob"]),
            ({"max_attempts": 2}, ["ada"]),
            ({"notes": {"customer": 7}}, ["ada"]),
            ({"states": State.SUCCEEDED}, []),
            ({"priority": 5, "queue": "slow"}, []),
        ],
        ids=str,
    )
    def test_by_each_option(self, jobs: Harness, greet: Any, asked: Any, expected: list[str]) -> None:
        assert ids(jobs.all_enqueued(**asked)) == expected

    def test_by_what_binds_jobs_together(self, app: Longshore, jobs: Harness, greet: Any) -> None:
        bound = app.tasks["agreet"].options(id="bound", after=["ada", "bob"], key="customer:7", group="all")
        job = bound.enqueue("Ada")
        app.tasks["agreet"].options(id="other", after=[job], key="customer:8", group="none").enqueue("Ada")
        assert ids(jobs.all_enqueued(after="ada")) == ids(jobs.all_enqueued(after="bob")) == ["bound"]
        assert ids(jobs.all_enqueued(after=job)) == ["other"]
        assert ids(jobs.all_enqueued(key="customer:7")) == ids(jobs.all_enqueued(group="all")) == ["bound"]

    def test_by_moments(self, jobs: Harness, greet: Any) -> None:
        now = moment(jobs.clock())
        assert ids(jobs.all_enqueued(at=now + timedelta(minutes=1))) == ["ada"]
        assert ids(jobs.all_enqueued(expires=now + timedelta(seconds=30))) == ["bob"]

    def test_since(self, jobs: Harness, greet: Any) -> None:
        jobs.advance(10)
        later = moment(jobs.clock())
        greet.options(id="late").enqueue("Ada")
        assert ids(jobs.all_enqueued(greet, since=5)) == ids(jobs.all_enqueued(greet, since=later)) == ["late"]
        assert ids(jobs.all_enqueued(greet, since=10)) == ["ada", "bob", "late"]

    def test_those_that_have_ended_if_asked_for(self, jobs: Harness, greet: Any) -> None:
        jobs.drain()
        assert ids(jobs.all_enqueued()) == ["ada"]
        assert ids(jobs.all_enqueued(states=State)) == ["ada", "bob", "cleo"]

    def test_what_could_never_be_is_refused(self, jobs: Harness, greet: Any) -> None:
        with pytest.raises(InvalidValue, match="arguments of greet: name, title; got nmae"):
            jobs.all_enqueued(greet, {"nmae": "Ada"})
        with pytest.raises(InvalidValue, match="it has none; got context"):
            jobs.refute_enqueued("snooze_once", {"context": 1})
        with pytest.raises(InvalidValue, match=r"priority.*; got urgency"):
            jobs.refute_enqueued(greet, urgency=5)  # type: ignore[call-arg]
        with pytest.raises(InvalidValue, match="time zone"):
            jobs.all_enqueued(at=datetime(2030, 1, 1))  # noqa: DTZ001

    def test_a_moment_that_is_of_no_job(self, jobs: Harness, greet: Any) -> None:
        assert jobs.all_enqueued(at=datetime(2001, 1, 1, tzinfo=UTC)) == []


class TestAssertions:
    def test_what_is_there_is_given(self, jobs: Harness, greet: Any) -> None:
        assert ids(jobs.assert_enqueued(greet, {"name": "Ada"}, priority=5)) == ["ada"]
        assert ids(jobs.assert_enqueued(greet, count=2)) == ["ada", "bob"]
        jobs.assert_enqueued(greet, {"name": "Cleo"}, count=0)
        jobs.refute_enqueued(greet, {"name": "Cleo"})

    def test_a_message_shows_what_was_expected_and_what_is_there(self, jobs: Harness, greet: Any) -> None:
        jobs.drain("default")
        with pytest.raises(AssertionError) as failed:
            jobs.assert_enqueued(greet, {"name": "Cleo"}, queue="mail")
        assert str(failed.value).splitlines() == [
            "expected a job of greet(name='Cleo'), queue='mail' to be enqueued, found 0; there is:",
            "  agreet(name='Ada'): succeeded, queue='default', priority=0",
            "  greet(name='Bob', title='Sir '): pending, queue='slow', priority=0",
            "  greet(name='Ada'): scheduled, queue='mail', priority=5, due in 60 s",
        ]

    def test_a_number_of_them(self, jobs: Harness, greet: Any) -> None:
        with pytest.raises(AssertionError, match="expected 3 jobs of greet to be enqueued, found 2"):
            jobs.assert_enqueued(greet, count=3)

    def test_what_should_not_be_there(self, jobs: Harness, greet: Any) -> None:
        with pytest.raises(AssertionError, match=r"expected no job of greet to be enqueued, found 2; there is:\n  "):
            jobs.refute_enqueued(greet)
        with pytest.raises(AssertionError, match="expected no job of any task"):
            jobs.refute_enqueued()

    def test_an_empty_store(self, jobs: Harness) -> None:
        with pytest.raises(AssertionError, match="there is: nothing"):
            jobs.assert_enqueued("greet")
        jobs.refute_enqueued()

    def test_secret_arguments_are_not_shown_and_much_is_cut(self, app: Longshore, jobs: Harness) -> None:
        @app.task(secret=["password"])
        def log_in(password: str) -> None: ...

        for _ in range(21):
            log_in.enqueue("tulip")
        with pytest.raises(AssertionError) as failed:
            jobs.refute_enqueued(log_in)
        assert "tulip" not in str(failed.value)
        assert str(failed.value).count("log_in(password=***)") == 20
        assert str(failed.value).endswith("\n  …")
