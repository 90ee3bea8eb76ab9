"""The kit finds what is wrong with a driver, and finds nothing wrong where nothing is."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

from kit.broken.table import DEFECTS, Defect

# The first test that asks for it waits for the whole run of the kit.
pytestmark = [pytest.mark.timeout(300), pytest.mark.timed]

REPOSITORY = Path(__file__).parent.parent.parent
SUITES = Path(__file__).parent / "broken" / "suites.py"
SOUND = "TestSound"
PYTEST = [sys.executable, "-m", "pytest", "-q", "--tb=short", "-W", "error", "-p", "no:cacheprovider"]
PYTEST += ["-c", os.devnull, "--rootdir", str(REPOSITORY), "-o", f"pythonpath={REPOSITORY}/tests {REPOSITORY}/src"]
PYTEST += ["--disable-plugin-autoload", "-p", "longshore.testing.plugin"]

Found = dict[tuple[str, str], str]
"""By class and test: what was said when it failed; empty when it passed."""


@pytest.fixture(scope="session")
def found(tmp_path_factory) -> Found:
    """What the kit says of each spoilt driver, and of the sound one."""
    report = tmp_path_factory.mktemp("kit") / "report.xml"
    wanted = [f"{SUITES}::Test{defect.driver.__name__}::{defect.test}" for defect in DEFECTS]
    wanted += [f"{SUITES}::{SOUND}::{test}" for test in dict.fromkeys(defect.test for defect in DEFECTS)]
    options = [f"--junitxml={report}", "--longshore-backlog=1000", "--longshore-seed=1", "--longshore-examples=60"]
    finished = subprocess.run(
        [*PYTEST, *options, *wanted], cwd=REPOSITORY, capture_output=True, text=True, check=False, timeout=280
    )
    assert report.exists(), finished.stdout + finished.stderr
    cases = ElementTree.parse(report).iter("testcase")
    answers = {(case.attrib["classname"].rpartition(".")[2], case.attrib["name"]): said(case) for case in cases}
    assert len(answers) == len(wanted), finished.stdout + finished.stderr
    return answers


def said(case: ElementTree.Element) -> str:
    """What a test said; a skip says something, too."""
    return "\n".join(f"{part.tag}: {part.attrib.get('message', '')}\n{part.text}" for part in case)


@pytest.mark.parametrize("defect", DEFECTS, ids=lambda defect: f"{defect.driver.__name__}-{defect.test}")
def test_a_defect_is_found_for_its_own_reason(found: Found, defect: Defect) -> None:
    words = found[f"Test{defect.driver.__name__}", defect.test]
    assert words.startswith("failure: "), f"{defect.driver.__name__} was not found by {defect.test}: {words}"
    message = words.partition("\n")[0]
    assert defect.words in words, f"found for another reason: {message}"


# A driver that promises more than the sound one is tested by tests that skip the sound one.
NOT_FOR_THE_SOUND = ("DURABLE", "SHARED", "TRANSACTIONS")


@pytest.mark.parametrize("test", sorted({defect.test for defect in DEFECTS}))
def test_the_sound_driver_has_none_of_them(found: Found, test: str) -> None:
    words = found[SOUND, test]
    allowed = any(f"{feature} is not promised" in words for feature in NOT_FOR_THE_SOUND)
    assert words == "" or allowed, f"the memory driver fails {test}: {words}"


def test_there_are_enough_of_them() -> None:
    assert len({defect.driver for defect in DEFECTS}) >= 22
