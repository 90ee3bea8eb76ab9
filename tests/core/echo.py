"""A task that gives back what it was called with, and what its jobs are stored with."""

from __future__ import annotations

from typing import Any

from longshore import Job, Longshore


def register_echo(app: Longshore) -> None:
    """Registers the task ``echo``."""

    @app.task
    def echo(word: str, number: int = 1, *rest: int) -> list[str | int]:
        return [word, number, *rest]


def arguments_of(app: Longshore, job: Job[Any]) -> dict[str, Any]:
    """The arguments that a job was stored with; it is cancelled."""
    with app.fetch(job.info().queue, wait=0) as fetch:
        (fetched,) = fetch.take()
        assert fetched.id == job.id
        arguments = dict(fetched.arguments())
        fetched.cancel()
    return arguments
