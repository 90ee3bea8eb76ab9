"""The page of the command line: it names each command, and its example does what it says."""

from __future__ import annotations

import re
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer
from typer.main import get_command

from cli.conftest import Say
from longshore import Longshore, State
from longshore.cli.commands import commands

DOCS = Path(__file__).parents[2] / "docs"
PAGE = DOCS.joinpath("command-line.md").read_text()


def names(command: object, before: str) -> Iterator[str]:
    inner = getattr(command, "commands", None)
    if inner is None:
        yield before
    for name, each in (inner or {}).items():
        yield from names(each, f"{before} {name}")


def blocks(language: str) -> list[str]:
    found = re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    assert found
    return found


def test_the_page_lists_every_command_and_no_other() -> None:
    assert isinstance(commands, typer.Typer)
    listed = re.findall(r"^\| `(longshore [a-z ]+)` \|", PAGE, re.MULTILINE)
    assert sorted(listed) == sorted(names(get_command(commands), "longshore"))


def test_pages_name_commands_that_there_are() -> None:
    assert isinstance(commands, typer.Typer)
    known = {tuple(name.split()) for name in names(get_command(commands), "longshore")}
    pages = [*DOCS.glob("*.md"), DOCS.parent / "README.md", DOCS.parent / "CHANGELOG.md"]
    named = [
        (page.name, ("longshore", *words.split()))
        for page in pages
        for words in re.findall(r"`longshore ([a-z]+(?: [a-z]+)?)", page.read_text())
    ]
    groups = {words[:2] for words in known}
    assert len(named) > 50
    # After a command stands an argument; a group stands alone.
    assert not [(page, words) for page, words in named if not {words, words[:2]} & known and words not in groups]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where the example's module is imported from."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    yield tmp_path
    sys.modules.pop("tasks", None)


def test_the_example_does_what_it_says(bare: Say, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder.joinpath("tasks.py").write_text(blocks("python")[0])
    exported, *commands = blocks("sh")[0].splitlines()
    monkeypatch.setenv(*exported.removeprefix("export ").split("=", 1))
    said = [bare(*shlex.split(line)[1:]) for line in commands]
    assert [(each.code, each.error) for each in said] == [(0, "")] * len(said)
    shown = "".join(each.out for each in said)
    assert "ZeroDivisionError: float division by zero" in shown
    assert shown.endswith("live\n")
    with Longshore(f"sqlite:///{folder}/jobs.db") as app:
        assert app.counts() | {State.SUCCEEDED: 1, State.FAILED: 1, State.CANCELLED: 1} == app.counts()
        assert app.job("half").info().attempt == 2


def test_the_example_of_groups_limits_and_schedules_does_what_it_says(app: Longshore, say: Say) -> None:
    for line in blocks("sh")[1].splitlines():
        assert say(*shlex.split(line)[1:]).code == 0, line
    assert app.counts()[State.CANCELLED] == 2
    assert app.admin.groups(ended=True)[0].called
    assert app.job("group:thirds:done").info().state is State.PENDING
    assert [(each.name, each.paused) for each in app.admin.schedules.all()] == [("nightly", True)]
    assert [limit.running for limit in app.admin.limits()] == [4]
