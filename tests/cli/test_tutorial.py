"""The tutorial, followed to the letter: each file is written, each command typed, in the order of the page."""

from __future__ import annotations

import os
import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from longshore import Longshore, State

PAGE = Path(__file__).parents[2].joinpath("docs", "tutorial.md").read_text()
BLOCK = re.compile(r"^```(python|sh)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


class Reader:
    """Somebody with two terminals."""

    def __init__(self, folder: Path) -> None:
        self.said: dict[str, str] = {}
        self._folder = folder
        self._environment = {name: value for name, value in os.environ.items() if not name.startswith("LONGSHORE_")}
        self._worker: subprocess.Popen[bytes] | None = None

    def follow(self, language: str, text: str) -> None:
        if language == "python":
            name = text.partition("\n")[0].removeprefix("# ")
            self._folder.joinpath(name).write_text(text)
            return
        for line in text.splitlines():
            self._type(shlex.split(line))

    def _type(self, words: list[str]) -> None:
        if words[0] == "export":
            name, _, value = words[1].partition("=")
            self._environment[name] = value
            return
        command = [sys.executable, *(["-m", "longshore"] if words[0] == "longshore" else []), *words[1:]]
        if words[:2] == ["longshore", "worker"] and "--until-empty" not in words:
            self.stop_the_worker()
            self._worker = subprocess.Popen(command, cwd=self._folder, env=self._environment)
            return
        done = subprocess.run(
            command, cwd=self._folder, env=self._environment, capture_output=True, text=True, timeout=60
        )
        assert (done.returncode, done.stderr) == (0, ""), f"{' '.join(words)}: {done.stderr}"
        self.said[" ".join(words)] = done.stdout

    def stop_the_worker(self) -> None:
        """Ctrl-C in the second terminal."""
        if self._worker is not None:
            with suppress(ProcessLookupError):
                self._worker.send_signal(signal.SIGINT)
            assert self._worker.wait(60) == 0
            self._worker = None


@pytest.fixture
def reader(tmp_path: Path) -> Iterator[Reader]:
    reader = Reader(tmp_path)
    yield reader
    reader.stop_the_worker()


@pytest.mark.slow
@pytest.mark.timeout(180)
def test_a_reader_who_follows_the_tutorial_sees_what_it_says(reader: Reader, tmp_path: Path) -> None:
    for language, text in BLOCK.findall(PAGE):
        reader.follow(language, text)
    said = reader.said
    assert "and pending" in said["python order.py"]
    assert "pending" in said["longshore jobs list --app tasks:app"]
    assert "succeeded" in said["longshore jobs list"]
    assert said["python ask.py"].startswith("words in all: ")
    assert said["python bank.py"].splitlines()[0] == "savings is well"
    assert "LookupError: there is no such account" in said["python bank.py"]
    assert "no-account\tfailed" in said["longshore failures list"]
    assert said["longshore jobs show no-account"].count("attempt ") == 3
    assert said["python later.py"] == "scheduled\n"
    assert "in-an-hour\tscheduled" in said["longshore jobs list --note customer=7"]
    assert said["longshore jobs cancel in-an-hour"] == "in-an-hour\tdone\n"
    with Longshore(f"sqlite:///{tmp_path}/jobs.db") as app:
        counts = app.counts()
        assert (counts[State.FAILED], counts[State.CANCELLED], counts[State.PENDING]) == (1, 1, 0)
