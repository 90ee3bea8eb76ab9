"""The page for those who come from another queue: every row is there, and what it says works."""

from __future__ import annotations

import os
import re
import runpy
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from conftest import Serve
from stores import fresh_store

PAGE = Path(__file__).parents[1] / "docs" / "coming-from.md"
ROWS = re.compile(r"^\| ([A-Z]\w*\d+) \| (.+?) \| (.+) \|$", re.MULTILINE)
CODE = re.compile(r"`([^`]+)`")
SYSTEMS = {"A": 28, "B": 34, "C": 9, "D": 59, "E": 13}
"""How many promises each of the systems has that Longshore succeeds."""


def setting() -> str:
    """What stands before the tables."""
    found = re.search(r"^```python\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    assert found is not None
    return found[1]


def cells() -> dict[str, str]:
    """The code of each row."""
    found = {}
    for name, _, here in ROWS.findall(PAGE.read_text()):
        code = CODE.match(here)
        assert code is not None, f"{name} does not begin with code: {here}"
        assert name not in found, f"{name} stands there twice"
        found[name] = code[1]
    return found


PYTHON = {name: code for name, code in cells().items() if not code.startswith("longshore ")}
COMMANDS = {name: code for name, code in cells().items() if code.startswith("longshore ")}


def test_every_promise_has_a_row() -> None:
    wanted = [f"{system}{number}" for system, last in SYSTEMS.items() for number in range(1, last + 1)]
    assert [name for name in cells() if re.fullmatch(r"[A-E]\d+", name)] == wanted


def on_real_servers(code: str, folder: Path, serve: Serve) -> str:
    """The code of a row, its servers being those of the tests, with a namespace for the row alone."""
    for place, engine in {"redis://localhost": "redis", "postgresql://localhost/app": "postgres"}.items():
        if place in code:
            options = r"\g<1>" if "?" in code else ""
            fresh = fresh_store(engine, folder, serve)
            code = re.sub(rf"{place}(?:\?([^\"]+))?", f"{fresh}&{options}".rstrip("&"), code)
    return code


@pytest.mark.parametrize("name", PYTHON)
def test_the_code_of_a_row_runs(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shared_server: Serve
) -> None:
    monkeypatch.chdir(tmp_path)
    script = tmp_path / "row.py"
    code = on_real_servers(PYTHON[name], tmp_path, shared_server)
    script.write_text(f"{setting()}\n{code}\n")
    runpy.run_path(str(script))["app"].close()


@pytest.mark.timeout(180)
def test_the_commands_run(tmp_path: Path) -> None:
    (tmp_path / "tasks.py").write_text(setting().replace("memory://", "sqlite:///jobs.db"))
    script = "\n".join(
        [
            "import sys, tasks",
            "from longshore.cli import main",
            f"for words in {[shlex.split(command)[1:] for command in COMMANDS.values()]!r}:",
            "    try:",
            "        main(words)",
            "    except SystemExit as ended:",
            "        assert not ended.code, (words, ended.code)",
        ]
    )
    environment = os.environ | {"LONGSHORE_URL": "sqlite:///jobs.db", "LONGSHORE_APP": "tasks:app"}
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=150
    )
    assert done.returncode == 0, done.stderr
