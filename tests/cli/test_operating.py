"""Commands on a store as a whole, and what all commands have in common."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from cli.conftest import APP, Say
from longshore import Longshore
from longshore.contract import Claim
from longshore.holders import Doing, Lease

TESTS = Path(__file__).parent.parent
READING = [
    ("jobs", "list"),
    ("failures", "list"),
    ("stats",),
    ("history",),
    ("workers",),
    ("queues", "list"),
    ("queues", "limits"),
    ("schedules", "list"),
    ("groups", "list"),
    ("locks", "list"),
    ("drivers",),
    ("health", "live"),
]


def lease(app: Longshore, *queues: str) -> Lease:
    held = Lease(60, queues=queues, tasks=lambda: ["add"], doing=lambda: Doing(slots=2))
    held.begin(app.store)
    return held


class TestStats:
    def test_jobs_queues_workers_and_what_nobody_takes(self, app: Longshore, say: Say) -> None:
        lease(app, "default")
        for task, queue in (("add", "default"), ("add", "far"), ("strange", "default")):
            assert say("enqueue", task, "{}", "-q", queue).code == 0
        shown = say("stats", "--json").json()
        assert (shown["pending"], shown["workers"], shown["idle_workers"]) == (3, 1, 1)
        assert (shown["enqueued"], shown["since"][10]) == (3, "T")
        assert (shown["locks"], shown["schedules"], shown["paused_schedules"]) == (0, 0, 0)
        assert shown["queues"]["far"]["pending"] == 1
        assert [(each["task"], each["queue"], each["known"]) for each in shown["unserved"]] == [
            ("strange", "default", False),
            ("add", "far", True),
        ]
        said = say("stats").out
        assert "pending\t3" in said
        assert "queue far: 1 pending" in said
        assert "unserved: 1 of strange in default: no living worker knows it" in said

    def test_history_has_24_hours(self, app: Longshore, say: Say) -> None:
        say("enqueue", "fail", '{"word": "no"}', "--app", APP)
        app.worker().run(until_empty=True)
        hours = say("history", "--json").json()
        assert len(hours) == 24
        assert sum(hour["failed"] for hour in hours) == 1
        assert len(say("history").lines()) == 25


class TestWorkers:
    def test_who_lives_and_what_they_hold(self, app: Longshore, say: Say) -> None:
        say("enqueue", "add", '{"first": 1}', "--id", "job")
        holder = lease(app, "default").holder
        app.store.claim([Claim(id="job")], holder=holder, limit=1)
        (worker,) = say("workers", "--json").json()
        assert (worker["name"], worker["alive"], worker["slots"]) == (holder, True, 2)
        assert [(job["id"], job["state"]) for job in worker["holds"]] == [("job", "running")]
        assert say("workers").lines()[1][:2] == [holder, "yes"]

    def test_top_shows_queues_and_runs(self, app: Longshore, say: Say) -> None:
        say("enqueue", "add", '{"first": 1}', "--id", "job", "-q", "far")
        app.store.claim([Claim(id="job")], holder="anna", limit=1)
        said = say("top", "--times", "2", "--interval", "0.1")
        assert said.code == 0
        assert said.out.count("1 running, 0 pending") == 2
        assert "far" in said.out
        assert "job" in said.out


class TestPurge:
    def test_what_is_given_up(self, app: Longshore, say: Say) -> None:
        say("enqueue", "add", "{}", "-q", "far")
        say("enqueue", "add", "{}")
        assert say("purge", "-q", "far").out == "1 jobs are abandoned\n"
        assert say("purge", "--all", "--json").json() == {"abandoned": 1}

    def test_all_is_to_be_said(self, say: Say) -> None:
        assert say("purge").code == 2
        assert say("purge", "--all", "-q", "far").code == 2


class TestHealth:
    def test_live_when_the_store_answers(self, say: Say) -> None:
        assert say("health", "live") == (0, "live\n", "")

    def test_ready_when_a_living_worker_serves_the_queues(self, app: Longshore, say: Say) -> None:
        assert say("health", "ready") == (1, "", "longshore: no worker lives\n")
        lease(app, "default", "mail")
        assert say("health", "ready", "-q", "mail").code == 0
        said = say("health", "ready", "-q", "mail", "-q", "far", "--json")
        assert (said.code, json.loads(said.out)["problem"]) == (1, "no living worker serves far")

    def test_not_ready_without_a_schema(self, bare: Say, tmp_path: Path) -> None:
        said = bare("health", "ready", "--url", f"sqlite:///{tmp_path}/fresh.db")
        assert said.code == 1
        assert "migrate" in said.error


class TestAllCommands:
    @pytest.mark.parametrize("words", READING, ids=" ".join)
    def test_reading_ones_give_json(self, say: Say, words: tuple[str, ...]) -> None:
        assert say(*words, "--json").json() is not None
        assert say(*words).code == 0

    @pytest.mark.parametrize(
        ("words", "code"),
        [
            ((), 2),
            (("fly",), 2),
            (("jobs", "list", "--limit", "many"), 2),
            (("jobs", "list", "--limit", "0"), 2),
            (("jobs", "list", "--fast"), 2),
            (("health", "merry"), 2),
            (("stats", "--url", "nothing://"), 2),
            (("stats", "--app", "no_such_module:app"), 2),
            (("stats", "--app", "cli.harbour:add"), 2),
            (("stats", "--app", "cli.sunken:app"), 2),
            (("--help",), 0),
            (("jobs", "retry", "--help"), 0),
        ],
        ids=str,
    )
    def test_exit_codes(self, say: Say, words: tuple[str, ...], code: int) -> None:
        said = say(*words)
        assert said.code == code, said
        assert bool(said.out) is (code == 0 or not words)
        if words and code:
            assert said.error.startswith("longshore: ")
            assert said.error.count("\n") == 1

    def test_a_store_or_an_application_is_needed(self, bare: Say, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv("LONGSHORE_URL", raising=False)
        monkeypatch.delenv("LONGSHORE_APP", raising=False)
        said = bare("stats")
        assert said.code == 2
        assert "LONGSHORE_URL" in said.error

    def test_no_password_shows(self, bare: Say) -> None:
        said = bare("stats", "--url", "sqlit://user:secret@host/?password=secret")
        assert said.code == 2
        assert "secret" not in said.error

    def test_drivers_say_what_they_promise(self, bare: Say) -> None:
        found = {driver["scheme"]: driver for driver in bare("drivers", "--json").json()}
        assert "transactions" in found["sqlite"]["features"]
        assert found["memory"]["class"] == "longshore.memory.MemoryDriver"


def test_a_process_of_its_own(app: Longshore, url: str) -> None:
    environment = os.environ | {"LONGSHORE_URL": url, "LONGSHORE_APP": APP}

    def longshore(*words: str) -> tuple[int, str, str]:
        done = subprocess.run(
            [sys.executable, "-m", "longshore", *words], cwd=TESTS, env=environment, capture_output=True, text=True
        )
        return done.returncode, done.stdout, done.stderr

    code, identity, error = longshore("enqueue", "add", '{"first": 41}')
    assert (code, error) == (0, "")
    assert longshore("jobs", "foreground", identity.strip()) == (0, "42\n", "")
    assert longshore("jobs", "show", "nobody") == (1, "", "longshore: there is no job nobody\n")
    assert longshore("jobs", "fly")[0] == 2


def test_the_library_imports_none_of_it() -> None:
    script = (
        "import sys; import longshore, longshore.admin, longshore.app; "
        "print([name for name in sys.modules if name.split('.')[0] in ('typer', 'rich') or 'longshore.cli' in name])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("[]\n", "")
