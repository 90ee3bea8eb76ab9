"""What a process has fetched and not settled when it ends."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from longshore import Longshore
from longshore.holders import KIND

PROGRAM = Path(__file__).with_name("fetches_and_ends.py")


@pytest.fixture
def app(shared_target: Any) -> Longshore:
    app = Longshore(shared_target)
    app.enqueue_many([app.call_by_name("elsewhere") for _ in range(2)])
    return app


def run(url: str, end: str) -> str:
    command = [sys.executable, "-W", "error", str(PROGRAM), url, end]
    finished = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert "Traceback" not in finished.stderr, finished.stderr
    return finished.stdout


def stored(app: Longshore) -> list[tuple[str, int]]:
    return sorted((job.state.name, job.attempt) for job in app.store.select().jobs)


@pytest.mark.parametrize("end", ["returns", "raises"])
def test_it_is_handed_back_at_once(app: Longshore, shared_target: Any, end: str) -> None:
    run(shared_target, end)
    assert stored(app) == [("PENDING", 0), ("PENDING", 0)]
    assert app.store.read(KIND) == [], "a lease is left"
    app.close()


def test_a_forked_child_hands_nothing_back(app: Longshore, shared_target: Any) -> None:
    assert run(shared_target, "forks") == "['RESERVED', 'RUNNING']\n"
    assert stored(app) == [("PENDING", 0), ("PENDING", 0)]
    app.close()


def test_of_one_that_dies_it_stays_for_a_rescue(app: Longshore, shared_target: Any) -> None:
    run(shared_target, "dies")
    assert stored(app) == [("RESERVED", 0), ("RUNNING", 1)]
    assert len(app.store.read(KIND)) == 1
    app.close()
