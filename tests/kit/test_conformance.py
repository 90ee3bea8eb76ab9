"""One command proves a driver, and says what it proved."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from longshore.contract import EVERY

REPOSITORY = Path(__file__).parent.parent.parent


def prove(*arguments: str) -> subprocess.CompletedProcess[str]:
    surroundings = os.environ | {"PYTHONPATH": f"{REPOSITORY}/src{os.pathsep}{REPOSITORY}/tests"}
    command = [sys.executable, "-m", "longshore.testing", *arguments]
    return subprocess.run(command, env=surroundings, capture_output=True, text=True, check=False, timeout=50)


def test_a_sound_driver_is_proven() -> None:
    proof = prove("memory://", "--layer", "transactions", "--layer", "promises", "-k", "refused or rolls_back")
    assert proof.returncode == 0, proof.stdout + proof.stderr
    assert "promised      WAKEUPS" in proof.stdout
    assert "not promised  DURABLE, SHARED, TRANSACTIONS" in proof.stdout
    assert "refused       TRANSACTIONS" in proof.stdout
    assert "TRANSACTIONS is not promised" in proof.stdout
    assert "races" not in proof.stdout


def test_what_failed_is_said_with_its_sentence() -> None:
    proof = prove("memory://", "--driver", "kit.broken.claims:IgnoresPriority", "-k", "priorities_come_first")
    assert proof.returncode == 1, proof.stdout + proof.stderr
    assert "FAILED promises: test_high_priorities_come_first" in proof.stdout
    assert "those of the highest priority are taken first" in proof.stdout
    assert "a claim ignored the priority" in proof.stdout


def test_programs_are_told_in_json() -> None:
    proof = prove("memory://", "--json", "--layer", "wakeups")
    assert proof.returncode == 0, proof.stdout + proof.stderr
    told = json.loads(proof.stdout)
    assert told["promised"] == ["WAKEUPS", "ONE_PLACE"]
    assert told["outcomes"]["passed"] == len([test for test in told["tests"] if test["outcome"] == "passed"]) > 5
    assert {test["layer"] for test in told["tests"]} == {"wakeups"}
    skipped = [test for test in told["tests"] if test["outcome"] == "skipped"]
    assert {test["reason"] for test in skipped} == {"SHARED is not promised", "TRANSACTIONS is not promised"}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["nobody://here"], "nobody"),
        (["memory://", "-k", "nothing_that_is_there"], "expected at least one test"),
        (["memory://", "--layer", "everything"], "invalid choice"),
        ([], "url"),
    ],
)
def test_bad_usage_is_told_apart(arguments: list[str], words: str) -> None:
    proof = prove(*arguments)
    assert proof.returncode == 2, proof.stdout + proof.stderr
    assert words in proof.stderr


def test_a_store_is_left_empty(tmp_path: Path) -> None:
    from longshore_sql.sqlite.driver import SQLiteDriver

    url = f"sqlite:///{tmp_path}/jobs.db"
    proof = prove(url, "--layer", "promises", "-k", "namespaces or take_no_more_bytes or second_migration")
    assert proof.returncode == 0, proof.stdout + proof.stderr
    for namespace in ("conformance", "conformance_beside"):
        store = SQLiteDriver.connect(url, namespace=namespace)
        assert store.select(EVERY).jobs == []
        store.close()


def test_the_kit_skips_for_no_other_reason(tmp_path: Path) -> None:
    suite = tmp_path / "test_lazy.py"
    suite.write_text(LAZY)
    options = ["--disable-plugin-autoload", "-p", "longshore.testing.plugin", "-p", "no:cacheprovider"]
    command = [sys.executable, "-m", "pytest", *options, "-q", str(suite)]
    finished = subprocess.run(
        [*command, "-k", "has_a_clock or wakes_who_listens or a_note_of_none"],
        env=os.environ | {"PYTHONPATH": str(REPOSITORY / "src")},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=50,
    )
    assert "2 skipped" in finished.stdout, finished.stdout + finished.stderr
    assert "1 error" in finished.stdout
    assert "may be skipped only for a feature that is not promised" in finished.stdout


LAZY = '''
"""A driver whose author has no server at hand, and one that skips what it does not like."""

import pytest
from longshore.contract import EVERY
from longshore.memory import MemoryDriver
from longshore.testing import ManualClock, fixtures
from longshore.testing.suite import DriverSuite


class TestLazy(DriverSuite):
    driver = MemoryDriver

    @pytest.fixture
    def target(self, request):
        if "a_note_of_none" in request.node.name:
            pytest.skip("no server")
        return "memory://"

    @pytest.fixture
    def store(self, connect, request):
        store = connect()
        if "wakes_who_listens" in request.node.name:
            store.features = fixtures.Features(0)
        return store

    @pytest.fixture
    def clock(self, request):
        if "has_a_clock" in request.node.name:
            exec(compile("import pytest; pytest.skip('too hard')", fixtures.__file__, "exec"))
        return ManualClock()
'''
