"""``--url`` given more than once: several stores, also for worker processes and their supervisor."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from longshore import Job, Longshore, Options, State
from multi.berth import named_for_each, number_in_each
from worker.gate import PATIENCE
from worker.test_processes import DOCK
from worker.words import Words

TESTS = Path(__file__).parent.parent


@pytest.fixture
def words(tmp_path: Path) -> Iterator[Words]:
    words = Words(tmp_path)
    yield words
    words.close()


@pytest.fixture
def urls(files: list[str]) -> list[str]:
    return [word for url in files for word in ("--url", url)]


def in_each(app: Longshore, task: str, each: int, **arguments: Any) -> list[Job[Any]]:
    """Enqueues so many jobs into each store."""
    names = [name for some in named_for_each(app, each).values() for name in some]
    return app.enqueue_many([app.call_by_name(task, arguments, options=Options(id=name)) for name in names])


def longshore(*words: str, **environment: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "longshore", *words],
        cwd=TESTS,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, **environment},
    )


def said(process: subprocess.Popen[str]) -> str:
    """What it said until it ended well."""
    with process:
        try:
            out, _ = process.communicate(timeout=PATIENCE)
        finally:
            process.kill()
    assert process.returncode == 0, out
    return out


def test_jobs_come_into_all_and_are_run(files: list[str], urls: list[str]) -> None:
    with Longshore(files) as app:
        jobs = in_each(app, "nothing", 5, number=1)
        mine = said(longshore("enqueue", "nothing", '{"number": 7}', *urls)).strip()
        jobs.append(app.job(mine))
        assert sum(number_in_each(app).values()) == 11
        assert said(longshore("worker", DOCK, *urls, "--processes", "2", "--until-empty")) == ""
        assert {job.info().state for job in jobs} == {State.SUCCEEDED}
        assert app.job(mine).result(timeout=0) == 7


def test_the_variable_names_several(files: list[str]) -> None:
    with Longshore(files) as app:
        in_each(app, "nothing", 1, number=1)
        assert "2" in said(longshore("stats", LONGSHORE_URL=" ".join(files))).split()


def test_what_a_killed_child_had_in_either_is_run_again_at_once(
    files: list[str], urls: list[str], words: Words
) -> None:
    """Its supervisor ends its lease in each store: nobody waits for a minute."""
    with Longshore(files) as app:
        jobs = in_each(app, "stay", 3, pipe=words.path, word="a")
        process = longshore("worker", DOCK, *urls, "--processes", "1", "--slots", "6")
        with process:
            try:
                pids = {words.hear()[-1] for _ in jobs}
                os.kill(int(pids.pop()), signal.SIGKILL)
                again = {words.hear()[-1] for _ in jobs}
                assert len(again) == 1
                words.open_gate()
                for job in jobs:
                    job.result(timeout=PATIENCE)
            finally:
                process.terminate()
                process.communicate(timeout=PATIENCE)
        assert {job.info().crashes for job in jobs} == {1}
