"""A process that is killed at any instant loses nothing it was told, and leaves a sound file."""

from __future__ import annotations

import random
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from longshore.contract import State, Where
from longshore_sql.sqlite.driver import SQLiteDriver

PROGRAM = Path(__file__).parent / "busy.py"
ROUNDS = 5


def killed_after(lines: int, *arguments: str) -> list[list[str]]:
    """What a process reported until it was killed, some time after so many lines."""
    command = [sys.executable, str(PROGRAM), *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        reports = [process.stdout.readline() for _ in range(lines)]
        process.kill()
        rest = process.stdout.read()
    complete = "".join(reports) + rest[: rest.rfind("\n") + 1]
    return [line.split() for line in complete.splitlines()]


def all_jobs(store: SQLiteDriver, where: Where) -> set[str]:
    found: set[str] = set()
    after: str | None = ""
    while after is not None:
        page = store.select(where, limit=1_000, after=after or None, body=False)
        found |= {job.id for job in page.jobs}
        after = page.after
    return found


@pytest.mark.parametrize("seed", range(ROUNDS))
def test_what_was_acknowledged_is_there_after_a_kill(connect, path: Path, seed: int) -> None:
    store = connect()
    store.migrate()
    lines = random.Random(seed).randint(3, 40)
    reports = killed_after(lines, f"sqlite:///{path}", f"{seed}")
    inserted = {identity for verb, *ids in reports if verb == "inserted" for identity in ids}
    finished = {identity for verb, *ids in reports if verb == "finished" for identity in ids}
    claimed = [identity for verb, *ids in reports if verb == "claimed" for identity in ids]
    assert inserted <= all_jobs(store, Where())
    assert finished <= all_jobs(store, Where(states=[State.SUCCEEDED]))
    assert len(claimed) == len(set(claimed)), "a job was given out twice"
    held = all_jobs(store, Where(holder="busy"))
    assert set(claimed) - finished <= held | all_jobs(store, Where(states=[State.SUCCEEDED]))
    with sqlite3.connect(path) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        orphans = "SELECT count(*) FROM longshore_parent WHERE child NOT IN (SELECT id FROM longshore_job)"
        assert connection.execute(orphans).fetchone() == (0,)
    connection.close()
