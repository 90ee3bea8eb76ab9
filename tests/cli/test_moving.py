"""``longshore move``, ``copy``, ``dump`` and ``load``."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from cli.conftest import Say
from longshore import Longshore, State
from longshore.testing.samples import take


@pytest.fixture
def other(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/other.db"


@pytest.fixture
def there(other: str, app: Longshore) -> Iterator[Longshore]:
    with Longshore(other) as there:
        there.tasks.update(app.tasks)
        yield there


@pytest.fixture
def filled(app: Longshore) -> Longshore:
    app.enqueue(app.call_by_name("add", {"first": 1}))
    app.worker(queues="sums").run(until_empty=True)
    app.enqueue(app.call_by_name("add", {"first": 2}))
    app.admin.pause_queue("still")
    return app


class TestMove:
    def test_everything_and_late_producers(
        self, filled: Longshore, there: Longshore, say: Say, url: str, other: str
    ) -> None:
        said = say("move", url, other, "--verify")
        assert said.code == 0, said.error
        assert said.out.splitlines()[0] == f"2 jobs moved to {other} (1 pending, 1 succeeded)"
        assert there.counts()[State.PENDING] == 1
        late = say("enqueue", "add", '{"first": 3}')
        assert late.code == 1
        assert late.error.startswith(f"longshore: the jobs of this store have moved to {other}")
        assert say("move", url, other, "--json").json()["jobs"] == {}

    def test_what_runs_is_named_and_the_move_can_be_given_up(
        self, filled: Longshore, there: Longshore, say: Say, url: str, other: str
    ) -> None:
        assert take(filled.store.driver, queues=("sums",))
        said = say("move", url, other, "--wait", "0")
        assert (said.code, said.out.splitlines()[-1]) == (1, "1 still run at the source: move again to take them along")
        aborted = say("move", url, other, "--abort")
        assert aborted.out.splitlines()[0] == f"0 jobs are back in their queues at {url}, which takes jobs again"
        assert say("enqueue", "add", '{"first": 3}').code == 0
        assert say("move", url, other, "--abort", "--json").json() == {"returned": 0, "arrived": 0}

    def test_onto_itself(self, filled: Longshore, say: Say, url: str) -> None:
        said = say("move", url, url)
        assert said.code == 2
        assert "expected two stores" in said.error


class TestCopy:
    def test_rests_until_it_is_released(
        self, filled: Longshore, there: Longshore, say: Say, url: str, other: str
    ) -> None:
        said = say("copy", url, other, "--verify")
        assert said.out.splitlines()[0] == f"2 jobs copied to {other} (1 pending, 1 succeeded)"
        assert said.out.splitlines()[-1] == (
            f"what has not ended rests: longshore copy {url} {other} --release lets it run"
        )
        assert there.worker(queues="sums").run(until_empty=True).succeeded == 0
        assert say("copy", url, other, "--release").out == "1 jobs and 0 schedules run from now on\n"
        assert there.worker(queues="sums").run(until_empty=True).succeeded == 1
        assert filled.counts()[State.PENDING] == 1


class TestFiles:
    def test_there_and_back(
        self, filled: Longshore, there: Longshore, say: Say, url: str, other: str, tmp_path: Path
    ) -> None:
        file = tmp_path / "jobs.jsonl"
        assert say("dump", url, str(file)).out.startswith(f"2 jobs written to {file} (1 pending, 1 succeeded)")
        assert say("dump", url, str(file), "--json").json()["jobs"] == {"succeeded": 1, "pending": 1}
        said = say("load", str(file), other, "--verify", "--json").json()
        assert said["jobs"] == {"succeeded": 1, "pending": 1}
        assert say("load", str(file), other, "--release", "--json").json() == {"jobs": 1, "schedules": 0}
        assert [each.queue for each in there.admin.paused_queues()] == ["still"]
        file.write_text("nonsense\n")
        broken = say("load", str(file), other)
        assert (broken.code, "line 1: it is no line of a dump" in broken.error) == (2, True)
