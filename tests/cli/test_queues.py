"""``longshore queues`` and ``longshore locks``."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from cli.conftest import Say
from longshore import Longshore, State
from worker.gate import Gate


class TestList:
    def test_counts_pauses_and_limits(self, say: Say) -> None:
        say("enqueue", "add", "{}", "-q", "mail")
        say("queues", "pause", "still")
        say("queues", "limit", "narrow", "--running", "2", "--rate", "100/60")
        columns, mail, narrow, still = say("queues", "list").lines()
        assert (mail[0], mail[columns.index("pending")], mail[-2:]) == ("mail", "1", ["", ""])
        assert (narrow[0], narrow[-1]) == ("narrow", "2 at a time; 100 in 60 s, 10 at once")
        assert still[0] == "still"
        assert still[-2].endswith("Z")
        listed = {queue["name"]: queue for queue in say("queues", "list", "--json").json()}
        assert listed["mail"]["jobs"]["pending"] == 1
        assert (listed["mail"]["paused"], listed["mail"]["limit"]) == (None, None)
        assert listed["narrow"]["limit"]["rate"] == [100, 60.0]


class TestPause:
    def test_until_it_is_resumed(self, app: Longshore, say: Say) -> None:
        say("enqueue", "add", '{"first": 1}', "--id", "job", "-q", "mail")
        assert say("queues", "pause", "mail", "news").lines() == [["mail", "paused"], ["news", "paused"]]
        assert say("queues", "pause", "mail").lines() == [["mail", "already"]]
        app.worker(queues="mail").run(until_empty=True)
        assert app.job("job").info().state is State.PENDING
        assert say("queues", "resume", "mail", "far", "--json").json() == {"mail": "resumed", "far": "already"}
        app.worker(queues="mail").run(until_empty=True)
        assert app.job("job").info().state is State.SUCCEEDED


class TestLimit:
    def test_of_a_queue_and_of_a_task(self, app: Longshore, say: Say) -> None:
        assert say("queues", "limit", "mail", "--running", "0").lines() == [["mail", "limited"]]
        assert say("queues", "limit", "--task", "add", "--rate", "5/0.5", "--burst", "2").lines() == [
            ["add", "limited"]
        ]
        assert [line[:3] for line in say("queues", "limits").lines()[1:]] == [
            ["queue", "mail", "0 at a time"],
            ["task", "add", "5 in 0.5 s, 2 at once"],
        ]
        say("enqueue", "add", '{"first": 1}', "--id", "job", "-q", "mail")
        app.worker(queues="mail").run(until_empty=True)
        assert app.job("job").info().state is State.PENDING
        assert say("queues", "unlimit", "mail").lines() == [["mail", "no limit"]]
        assert say("queues", "unlimit", "mail") == (1, "", "longshore: mail has no limit\n")
        app.worker(queues="mail").run(until_empty=True)
        assert app.job("job").info().state is State.SUCCEEDED
        assert [limit["task"] for limit in say("queues", "limits", "--json").json()] == ["add"]

    @pytest.mark.parametrize(
        "words",
        [
            ("mail",),
            ("--running", "5"),
            ("mail", "--task", "add", "--running", "5"),
            ("mail", "--running", "-1"),
            ("mail", "--rate", "100"),
            ("mail", "--rate", "many/60"),
            ("mail", "--running", "5", "--burst", "5"),
        ],
        ids=" ".join,
    )
    def test_wrong_usage_changes_nothing(self, say: Say, words: tuple[str, ...]) -> None:
        assert say("queues", "limit", *words).code == 2
        assert say("queues", "limits", "--json").json() == []


class TestLocks:
    @pytest.fixture
    def gate(self) -> Iterator[Gate]:
        gate = Gate()
        yield gate
        gate.open()

    def test_listed_and_freed(self, app: Longshore, say: Say) -> None:
        one, other = app.lock("crane", holders=2), app.lock("crane", holders=2)
        one.acquire()
        other.acquire()
        owners = [["crane", lock.owner] for lock in (one, other)]
        assert sorted(line[:2] for line in say("locks", "list").lines()[1:]) == sorted(owners)
        assert [hold["job"] for hold in say("locks", "list", "--json").json()[0]["holds"]] == [None, None]
        assert say("locks", "free", "crane", "--owner", other.owner).lines() == [["crane", "freed"]]
        assert [line[1] for line in say("locks", "list").lines()[1:]] == [one.owner]
        assert say("locks", "free", "crane", "--owner", "nobody").error == "longshore: nobody does not hold crane\n"
        assert say("locks", "free", "crane", "--json").json() == {"name": "crane", "freed": True}
        assert say("locks", "free", "crane") == (1, "", "longshore: nobody holds the lock crane\n")

    def test_a_hold_names_its_run(self, app: Longshore, say: Say, gate: Gate) -> None:
        @app.task
        def lift() -> None:
            with app.lock("crane", lifetime=None):
                gate.stop_here()

        lift.options(id="lifting").enqueue()
        with app.worker():
            gate.arrived()
            columns, line = say("locks", "list").lines()
            assert line[columns.index("job")] == "lifting"
            gate.open()
