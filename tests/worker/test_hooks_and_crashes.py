"""What a process that dies in a hook leaves behind, as docs/design/crash-windows.md says; hooks in another process."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from longshore import Job, Longshore, State
from longshore.holders import end_lease, rescue
from longshore.processes.child import Orders
from longshore.processes.supervisor import Child
from longshore.worker.settings import WorkerSettings
from worker import hooked
from worker.gate import PATIENCE

SETTINGS = WorkerSettings(slots=1, poll=60, drain=5, grace=1)
ENQUEUE = """
import sys
from worker.hooked import app, sail
target, folder = sys.argv[1:]
with app.elsewhere(target):
    sail.options(id="one", notes={"folder": folder}).enqueue(folder)
"""


@pytest.fixture
def job(shared: Longshore, tmp_path: Path) -> Job[int]:
    """A job of the application with hooks."""
    call = hooked.sail.options(id="one", notes={"folder": str(tmp_path)}).call(str(tmp_path))
    job: Job[int] = shared.enqueue(call)
    return job


def die_at(folder: Path, word: str) -> None:
    folder.joinpath("dies").write_text(word)


def said(folder: Path) -> list[str]:
    return folder.joinpath("said").read_text().split("\n")[:-1]


def run_until_it_dies(app: Longshore) -> None:
    """Works in a process, until that dies; then its jobs are free at once."""
    child = Child(Orders("worker.hooked:app", SETTINGS, -1, tuple(sys.path), app.store.driver.target))
    try:
        child.process.wait(PATIENCE)
    finally:
        child.signal(signal.SIGKILL)
        child.end()
    for worker in app.admin.workers():
        end_lease(app.store, worker.name)
        rescue(app.store, worker.name, by="test", lease=60_000_000)


def work_here(app: Longshore) -> None:
    with hooked.app.elsewhere(app.store.driver.target):
        hooked.app.worker(slots=1).run(until_empty=True)


def test_who_dies_before_anything_is_settled_runs_again_hooks_too(
    shared: Longshore, job: Job[int], tmp_path: Path
) -> None:
    die_at(tmp_path, "worked")
    run_until_it_dies(shared)
    assert job.info().crashes == 1
    work_here(shared)
    assert job.result(timeout=PATIENCE) == 1
    assert said(tmp_path) == ["sail", "worked", "sail", "worked", "success 1"]


def test_who_dies_after_it_was_settled_does_not_tell_again(shared: Longshore, job: Job[int], tmp_path: Path) -> None:
    die_at(tmp_path, "success 1")
    run_until_it_dies(shared)
    assert job.info().state is State.SUCCEEDED
    work_here(shared)
    assert said(tmp_path) == ["sail", "worked", "success 1"]


def test_who_dies_after_a_call_was_stored_has_stored_it(shared: Longshore, tmp_path: Path) -> None:
    die_at(tmp_path, "enqueued")
    command = [sys.executable, "-c", ENQUEUE, shared.store.driver.target, str(tmp_path)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    assert subprocess.run(command, env=environment, timeout=PATIENCE).returncode == -signal.SIGKILL
    assert shared.job("one").info().state is State.PENDING
    assert said(tmp_path) == ["enqueued"]


def test_hooks_go_around_a_run_in_a_process_of_its_own(shared: Longshore, tmp_path: Path) -> None:
    tmp_path.joinpath("worker").write_text(str(os.getpid()))
    with hooked.app.elsewhere(shared.store.driver.target):
        job = hooked.sail_apart.options(notes={"folder": str(tmp_path)}).enqueue(str(tmp_path), 5)
        hooked.app.worker(slots=1).run(until_empty=True)
        assert job.result(timeout=PATIENCE) == 6
    assert said(tmp_path) == ["enqueued", "sail True", "worked", "success 6"]
