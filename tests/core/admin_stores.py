"""An application on each store that what operators do is tested on, with tasks that end in every way."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from longshore import Discard, Fixed, Longshore, Retry
from longshore.admin import Fate
from longshore.contract import Claim, StoredJob
from longshore.testing.clock import ManualClock


@pytest.fixture
def app(target: Any, clock: ManualClock) -> Iterator[Longshore]:
    with Longshore(target, clock=clock) as app:
        register(app)
        yield app


def register(app: Longshore) -> None:
    @app.task
    def add(first: int, second: int = 1) -> int:
        return first + second

    @app.task(retry=Retry(max_attempts=2, delay=Fixed(30), jitter=0))
    def fail(word: str) -> None:
        raise ValueError(word)

    @app.task
    def discard(word: str) -> None:
        raise Discard(word)


def claim(app: Longshore, identity: str, *, holder: str = "anna", reserve: bool = False) -> StoredJob:
    """Takes a job as a worker does."""
    jobs = app.store.claim([Claim(id=identity, reserve=reserve)], holder=holder, limit=1).jobs
    assert [job.id for job in jobs] == [identity], f"expected {identity} to be free; it is {state(app, identity)}"
    return jobs[0]


def state(app: Longshore, identity: str) -> str:
    """The word for its state; missing: there is no such job."""
    job = app.admin.job(identity)
    return "missing" if job is None else job.shown_as


def verdicts(fates: list[Fate]) -> list[tuple[str, str]]:
    """Each id with what became of it."""
    return [(fate.id, fate.verdict.value) for fate in fates]


def add(app: Longshore, identity: str, **options: object) -> str:
    """Enqueues a call that succeeds."""
    return str(app.tasks["add"].options(id=identity, **options).enqueue(1).id)  # type: ignore[arg-type]


def fail(app: Longshore, identity: str, *, word: str = "no", task: str = "discard") -> str:
    """Enqueues a call that fails."""
    return str(app.tasks[task].options(id=identity).enqueue(word).id)
