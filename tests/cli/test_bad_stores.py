"""What commands say of a store that is damaged, of another version, or no store at all."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from cli.conftest import APP, Say
from longshore import Longshore


@pytest.fixture
def hand(tmp_path: Path, app: Longshore) -> Iterator[sqlite3.Connection]:
    """Somebody's hand in the file."""
    connection = sqlite3.connect(tmp_path / "jobs.db", isolation_level=None)
    yield connection
    connection.close()


def test_damaged_jobs_are_listed_shown_and_removed_with_the_others(
    app: Longshore, say: Say, hand: sqlite3.Connection
) -> None:
    say("enqueue", "fail", '{"word": "no"}', "--app", APP, "--id", "ill")
    say("enqueue", "add", '{"first": 1}', "--app", APP, "--id", "well")
    app.worker(queues=["default", "sums"]).run(until_empty=True)
    hand.execute("UPDATE longshore_job SET notes = '{broken' WHERE id = 'ill'")
    hand.execute("UPDATE longshore_attempt SET record = X'FF'")
    assert [line[:2] for line in say("jobs", "list").lines()[1:]] == [["well", "succeeded"], ["ill", "failed"]]
    shown = say("jobs", "show", "ill")
    assert "notes is '{broken'" in shown.out
    assert "attempt 0: unreadable: what is stored of this attempt cannot be read" in shown.out
    assert say("failures", "list").lines()[1][0] == "ill"
    assert say("stats").code == 0
    assert say("jobs", "remove", "ill").out == "ill\tdone\n"


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("jobs", "list"), 1),
        (("worker", APP, "--until-empty"), 1),
        (("enqueue", "add", '{"first": 1}'), 1),
        (("health", "ready"), 1),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else None,
)
def test_a_schema_that_is_too_new_is_said_in_one_line(
    say: Say, hand: sqlite3.Connection, words: tuple[str, ...], code: int
) -> None:
    hand.execute("UPDATE longshore_meta SET value = 99 WHERE name IN ('version', 'readable_from')")
    said = say(*words)
    assert (said.code, said.out, said.error.count("\n")) == (code, "", 1)
    assert "update the longshore package" in said.error


def test_a_file_that_is_no_database_is_said_in_one_line(bare: Say, tmp_path: Path) -> None:
    file = tmp_path / "letter.db"
    file.write_text("Dear Sir or Madam, " * 200)
    said = bare("jobs", "list", "--url", f"sqlite:///{file}")
    assert (said.code, said.error.count("\n")) == (1, 1)
    assert "cannot be read: file is not a database" in said.error
    assert file.read_text().startswith("Dear Sir")
