"""Processes that are killed while they run jobs that others wait for."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from longshore import Call, Longshore, Options
from longshore.calls.call import Bonds
from longshore.processes.supervisor import Supervisor
from longshore.worker.settings import WorkerSettings
from worker.words import Words

pytestmark = pytest.mark.every_engine

SETTINGS = WorkerSettings(slots=1, lease=1.5, heartbeat=0.5, poll=60.0, drain=5.0, grace=1.0)


@pytest.fixture
def words(tmp_path: Path) -> Iterator[Words]:
    words = Words(tmp_path)
    yield words
    words.close()


@pytest.fixture
def shared(shared_target: str) -> Iterator[Longshore]:
    with Longshore(shared_target) as app:
        yield app


def test_a_killed_process_breaks_no_chain_line_or_group(shared: Longshore, words: Words, tmp_path: Path) -> None:
    """The first of a chain, the head of a line, and a member of a group each kill their process once."""

    def load(word: str, *, dies: bool = False, **bonds: object) -> Call[str]:
        fatal = str(tmp_path / f"{word} died") if dies else ""
        given = {"pipe": words.path, "word": word, "fatal": fatal}
        return shared.call_by_name("load", given, options=Options(bonds=Bonds(**bonds)))  # type: ignore[arg-type]

    chain = shared.chain(load("one", dies=True), load("two"), shared.call_by_name("gather", {"pipe": words.path}))
    line = [shared.enqueue(load(f"line{number}", dies=number == 0, key="k")) for number in range(3)]
    with shared.group("g", then=load("all")) as group:
        group.enqueue_many([load("member", dies=True), load("other")])
    ended = shared.job("group:g:done")

    heard: list[list[str]] = []
    with Supervisor("model.yard:app", processes=2, url=shared.store.driver.target, settings=SETTINGS):
        while not {"gathered", "line2", "all"} <= {line[0] for line in heard}:
            heard.append(words.hear(within=40.0))
        assert chain[-1].result(timeout=20) == ["two"]
        assert line[-1].result(timeout=20) == "line2"
        assert ended.result(timeout=20) == "all"
    said = [line[0] for line in heard]
    assert [said.count(word) for word in ("one", "line0", "member")] >= [2, 2, 2], "each ran again after its death"
    assert [said.count(word) for word in ("line1", "line2", "two", "all")].count(0) == 0
    order = [word for word in said if word.startswith("line")]
    assert order == sorted(order), "nothing overtakes a job whose process died"
    assert said.index("two") > max(place for place, word in enumerate(said) if word == "one")
    assert said.index("all") > max(place for place, word in enumerate(said) if word in ("member", "other"))
