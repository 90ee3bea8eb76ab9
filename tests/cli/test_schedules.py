"""``longshore schedules``."""

from __future__ import annotations

import pytest

from cli.conftest import APP, Say
from longshore import Cron, Every, Longshore, State


def put(say: Say, *more: str) -> None:
    said = say(
        "schedules", "put", "nightly", "add", '{"first": 4}', "--cron", "30 3 * * *", "-z", "Europe/Berlin", *more
    )
    assert said.code == 0, said.error


class TestPut:
    def test_it_is_shown_with_when_it_ticks(self, app: Longshore, say: Say) -> None:
        put(say, "--missed", "all", "--most", "5", "-q", "night", "-p", "7", "--max-attempts", "2", "--note", "of=cli")
        stored = app.admin.schedules.get("nightly")
        assert stored is not None
        assert (stored.when, stored.missed, stored.most) == (Cron("30 3 * * *", "Europe/Berlin"), "all", 5)
        assert (stored.queue, stored.priority, stored.max_attempts, stored.notes) == ("night", 7, 2, {"of": "cli"})
        listed = say("schedules", "list", "--json").json()
        assert [(each["name"], each["when"], each["paused"]) for each in listed] == [
            ("nightly", "30 3 * * * Europe/Berlin", False)
        ]
        columns, line = say("schedules", "list").lines()
        assert line[columns.index("next")].endswith("30:00Z")
        assert "when: 30 3 * * * Europe/Berlin\n" in say("schedules", "show", "nightly").out
        assert say("schedules", "show", "nightly", "--json").json()["task"] == "add"

    def test_with_the_application_the_call_is_the_tasks_own(self, app: Longshore, say: Say) -> None:
        said = say("schedules", "put", "hourly", "add", '{"first": 4}', "--every", "3600", "--app", APP)
        name, following = said.lines()[0]
        assert (name, following[-7:]) == ("hourly", ":00:00Z")
        stored = app.admin.schedules.get("hourly")
        assert stored is not None
        assert (stored.when, stored.queue, stored.priority) == (Every(3600.0), "sums", 3)
        assert say("schedules", "put", "hourly", "add", '{"first": "x"}', "--every", "60", "--app", APP).code == 2

    @pytest.mark.parametrize(
        "words",
        [
            (),
            ("--cron", "never"),
            ("--cron", "@daily", "--every", "5"),
            ("--cron", "@daily", "-z", "Europe/Atlantis"),
            ("--every", "0"),
            ("--every", "60", "--missed", "never"),
            ("--every", "60", "--most", "0"),
        ],
        ids=" ".join,
    )
    def test_wrong_usage_stores_nothing(self, say: Say, words: tuple[str, ...]) -> None:
        said = say("schedules", "put", "nightly", "add", "{}", *words)
        assert (said.code, said.out) == (2, "")
        assert said.error.startswith("longshore: ")
        assert say("schedules", "list", "--json").json() == []


class TestOperate:
    def test_pause_resume_remove(self, say: Say) -> None:
        put(say)
        assert say("schedules", "pause", "nightly").lines() == [["nightly", "paused"]]
        shown = say("schedules", "show", "nightly", "--json").json()
        assert (shown["paused"], shown["next"]) == (True, None)
        assert say("schedules", "resume", "nightly").lines() == [["nightly", "resumed"]]
        assert say("schedules", "show", "nightly", "--json").json()["next"] is not None
        said = say("schedules", "remove", "nightly", "nobody")
        assert (said.code, said.lines()) == (1, [["nightly", "removed"], ["nobody", "missing"]])
        assert say("schedules", "show", "nightly") == (1, "", "longshore: there is no schedule nightly\n")

    def test_change_keeps_the_rest(self, app: Longshore, say: Say) -> None:
        put(say)
        assert say("schedules", "change", "nightly", "--every", "60", "--missed", "skip", "--grace", "5").code == 0
        stored = app.admin.schedules.get("nightly")
        assert stored is not None
        assert (stored.when, stored.missed, stored.grace, stored.task) == (Every(60.0), "skip", 5.0, "add")
        assert say("schedules", "change", "nightly", "--most", "9").code == 0
        stored = app.admin.schedules.get("nightly")
        assert stored is not None
        assert (stored.when, stored.most) == (Every(60.0), 9)
        assert say("schedules", "change", "nightly").code == 2
        assert say("schedules", "change", "nobody", "--most", "9").code == 1

    def test_run_now(self, app: Longshore, say: Say) -> None:
        put(say)
        job = app.job(say("schedules", "run", "nightly").out.strip())
        app.worker().run(until_empty=True)
        assert job.info().state is State.SUCCEEDED
        assert say("schedules", "run", "nightly", "--json").json()["id"] != job.id
        assert say("schedules", "run", "nobody") == (1, "", "longshore: there is no schedule nobody\n")
