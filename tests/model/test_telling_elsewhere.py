"""What runs tell from other processes: one of their own, and one that was stopped until it was late."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from longshore import Context, Longshore, Progress
from longshore.processes.child import Orders
from longshore.processes.supervisor import Child
from model import customs
from model.postal import values
from worker.gate import PATIENCE
from worker.test_processes import SHORT, stop_between_writes
from worker.words import Words


@pytest.fixture
def words(tmp_path: Path) -> Iterator[Words]:
    words = Words(tmp_path)
    yield words
    words.close()


def test_a_run_in_a_process_of_its_own_tells_as_any_other(shared_target: str) -> None:
    customs.app.use(shared_target)
    try:
        job = customs.travel.enqueue()
        customs.app.worker().run(until_empty=True)
        assert job.result(timeout=0) == 1, "the second run went on from the mark of the first"
        assert values(job.replies().so_far()) == [["begun at", 1]]
        assert job.info().progress == Progress(1, 2)
        assert job.info().tries == 0
    finally:
        customs.app.close()


def test_a_worker_that_was_stopped_while_its_job_was_rescued_moves_nothing(shared_target: str, words: Words) -> None:
    with Longshore(shared_target) as app:
        seen: list[Any] = []

        @app.task
        def creep(context: Context, pipe: str) -> str:
            seen.append(context.cursor.get())
            context.reply("rescued")
            return "rescued"

        job = creep.enqueue(words.path)
        child = Child(Orders("model.customs:app", SHORT, -1, tuple(sys.path), shared_target))
        try:
            words.hear_about("standing")
            stop_between_writes(child, app)
            with app.worker(slots=1, lease=SHORT.lease, heartbeat=SHORT.heartbeat, poll=60.0):
                assert job.result(timeout=PATIENCE) == "rescued"
            child.signal(signal.SIGCONT)
            words.hear_about("interrupted")
            words.open_gate()
            words.hear_about("refused")
            words.hear_about("refused")
        finally:
            child.signal(signal.SIGCONT)
            child.signal(signal.SIGKILL)
            child.end()
        assert seen == ["here"], "the rescuer's run began where the late one stood"
        assert values(list(job.replies(timeout=0))) == ["rescued"]
        assert app.store.select().jobs[0].cursor is None
        assert job.result(timeout=0) == "rescued"
