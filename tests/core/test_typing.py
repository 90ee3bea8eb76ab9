"""The public API as a type checker sees it: right uses pass, each wrong one is an error of its kind."""

from __future__ import annotations

import re
from collections import defaultdict
from pathlib import Path

import pytest
from mypy import api

USES = sorted(Path(__file__).parent.glob("typing_uses*.py"))
REPOSITORY = Path(__file__).parents[2]
REPORTED = re.compile(r"typing_uses\w*\.py:(?P<line>\d+): error: .*  \[(?P<code>[a-z-]+)\]$")
EXPECTED = re.compile(r"# E: (?P<codes>.*)$")


def expected(uses: Path) -> dict[int, set[str]]:
    """The kinds of errors by line that the marks ask for."""
    lines = enumerate(uses.read_text().splitlines(), start=1)
    return {line: set(match["codes"].split(", ")) for line, text in lines if (match := EXPECTED.search(text))}


@pytest.mark.parametrize("uses", USES, ids=lambda uses: uses.stem)
def test_right_uses_pass_and_each_wrong_one_is_an_error_of_its_kind(uses: Path) -> None:
    report, trouble, _ = api.run(["--strict", "--config-file", str(REPOSITORY / "pyproject.toml"), str(uses)])
    assert not trouble
    found: defaultdict[int, set[str]] = defaultdict(set)
    for line in report.splitlines():
        match = REPORTED.search(line)
        assert match or "error:" not in line, f"an error elsewhere: {line}"
        if match:
            found[int(match["line"])].add(match["code"])
    assert dict(found) == expected(uses), report
