"""The fixtures as an application's author has them, each run by a pytest of its own; and what they do without."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

APPLICATION = """
from longshore import Longshore

app = Longshore("sqlite:///theirs.db")
lines = []

@app.task
def greet(name: str) -> str:
    lines.append(name)
    return f"Hello {name}"
"""
TESTS = """
from tasks import greet, lines

def test_first(longshore_jobs):
    job = greet.enqueue("Ada")
    longshore_jobs.assert_enqueued(greet, {"name": "Ada"})
    longshore_jobs.drain()
    assert job.result(timeout=0) == "Hello Ada"

def test_second(longshore_jobs, longshore_app):
    longshore_jobs.refute_enqueued()
    assert longshore_app is longshore_jobs.app is greet.app
    longshore_jobs.assert_enqueued(greet)
"""
OWN_FIXTURE = """
import pytest
from tasks import app, greet

@pytest.fixture
def longshore_app():
    return app

def test_it(longshore_jobs):
    greet.enqueue("Ada")
    assert len(longshore_jobs.drain()) == 1
"""


def run(folder: Path, test: str, *options: str) -> str:
    folder.joinpath("tasks.py").write_text(APPLICATION)
    folder.joinpath("test_tasks.py").write_text(test)
    folder.joinpath("pytest.ini").write_text("[pytest]\npythonpath = .\n")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *options]
    finished = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=60)
    assert not finished.stderr
    return finished.stdout


def test_each_test_has_a_store_of_its_own_and_a_message_says_what_is_there(tmp_path: Path) -> None:
    output = run(tmp_path, TESTS, "-o", "longshore_app=tasks:app")
    assert "1 failed, 1 passed" in output, output
    assert "expected a job of greet to be enqueued, found 0; there is: nothing" in output
    assert not tmp_path.joinpath("theirs.db").exists(), "the application's own store was opened"


def test_the_application_may_come_from_a_fixture(tmp_path: Path) -> None:
    assert "1 passed" in run(tmp_path, OWN_FIXTURE)


def test_without_an_application_it_is_said_where_to_name_it(tmp_path: Path) -> None:
    assert "set longshore_app = module:attribute in pytest's configuration" in run(tmp_path, TESTS)


def test_what_users_import_needs_neither_pytest_nor_hypothesis() -> None:
    program = (
        "import sys, longshore.testing\n"
        "print(sorted({'pytest', '_pytest', 'hypothesis', 'longshore.testing.suite'} & sys.modules.keys()))"
    )
    finished = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert finished.stdout == "[]\n", finished.stderr
