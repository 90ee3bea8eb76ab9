"""The command line, run in this process or in its own, on an SQLite file."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from cli.harbour import app as harbour
from longshore import Longshore
from longshore.cli import main

APP = "cli.harbour:app"


class Said(NamedTuple):
    """What a command said, and its exit code."""

    code: int
    out: str
    error: str

    def json(self) -> Any:
        assert self.code == 0, self.error
        return json.loads(self.out)

    def lines(self) -> list[list[str]]:
        """The fields of each line of the answer."""
        return [line.split("\t") for line in self.out.splitlines()]


Say = Callable[..., Said]


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/jobs.db"


@pytest.fixture
def app(url: str) -> Iterator[Longshore]:
    """The store behind the commands, with a schema."""
    with Longshore(url) as app:
        app.store.now()
        for name, task in harbour.tasks.items():
            app.tasks[name] = task
        yield app


@pytest.fixture
def bare(capsys: pytest.CaptureFixture[str]) -> Say:
    """Runs a command with nothing but its words."""

    def say(*words: str) -> Said:
        with pytest.raises(SystemExit) as ended:
            main(words)
        captured = capsys.readouterr()
        assert isinstance(ended.value.code, int)
        return Said(ended.value.code, captured.out, captured.err)

    return say


@pytest.fixture
def say(bare: Say, app: Longshore, url: str, monkeypatch: pytest.MonkeyPatch) -> Say:
    """Runs a command on the store."""
    monkeypatch.setenv("LONGSHORE_URL", url)
    monkeypatch.delenv("LONGSHORE_APP", raising=False)
    return bare
