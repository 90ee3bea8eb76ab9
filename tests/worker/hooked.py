"""An application whose hooks say that they were called, and kill their process where they are told to, once."""

from __future__ import annotations

import os
import signal
from pathlib import Path

from longshore import Context, Longshore
from longshore.hooks import Enqueued, Settled, Starting, Worked

app = Longshore("memory://")


def tell(folder: str, word: str) -> None:
    """Notes a word, and dies if that is the one at which this folder says to."""
    with Path(folder, "said").open("a") as said:
        said.write(f"{word}\n")
    deadly = Path(folder, "dies")
    if deadly.exists() and deadly.read_text() == word:
        deadly.unlink()
        os.kill(os.getpid(), signal.SIGKILL)


@app.task
def sail(folder: str, number: int = 0) -> int:
    tell(folder, "sail")
    return number


@app.task(executor="process")
def sail_apart(folder: str, number: int = 0) -> int:
    tell(folder, f"sail {os.getpid() != int(Path(folder, 'worker').read_text())}")
    return number


@app.hooks.post_enqueue
def note_enqueued(enqueued: Enqueued) -> None:
    tell(str(enqueued.options.notes["folder"]), "enqueued")


@app.hooks.pre_work
def add_one(starting: Starting) -> None:
    starting.arguments["number"] = starting.arguments.get("number", 0) + 1


@app.hooks.post_work
def note_worked(worked: Worked) -> None:
    tell(folder_of(worked.context), "worked")


@app.hooks.on_success
def note_success(settled: Settled) -> None:
    tell(str(settled.notes["folder"]), f"success {settled.result}")


def folder_of(context: Context) -> str:
    """Where a run says what it does."""
    (job,) = app.admin.jobs(ids=context.job_id).jobs
    return str(job.notes["folder"])
