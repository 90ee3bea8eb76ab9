"""An application whose jobs are in another store for a while."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from longshore import Features, Longshore, Task
from longshore.contract import Driver
from longshore.errors import StoreFull, TooLarge
from longshore.memory import MemoryDriver
from longshore.memory_store import MemoryStore
from longshore.testing.clock import ManualClock


@pytest.fixture
def app(target: Any) -> Iterator[Longshore]:
    with Longshore(target, max_payload=100) as app:
        yield app


@pytest.fixture
def work(app: Longshore) -> Task[[str], None]:
    @app.task
    def work(word: str) -> None: ...

    return work


def ids(app: Longshore) -> list[str]:
    return [job.id for job in app.store.select().jobs]


def test_jobs_go_there_until_the_end_of_the_block(app: Longshore, work: Task[[str], None]) -> None:
    before = work.enqueue("a")
    with app.elsewhere(MemoryStore()):
        there = work.enqueue("b")
        assert ids(app) == [there.id]
    assert ids(app) == [before.id]


def test_a_store_that_cannot_be_made_ready_is_closed(memory: MemoryStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody else would: the next use opens another."""
    closed: list[Driver] = []

    def fail(self: Driver) -> None:
        raise StoreFull("no room for the schema")

    def close(self: Driver) -> None:
        closed.append(self)

    monkeypatch.setattr(MemoryDriver, "migrate", fail)
    monkeypatch.setattr(MemoryDriver, "close", close)
    with pytest.raises(StoreFull), Longshore(memory) as app:
        _ = app.store
    assert len(closed) == 1


def test_the_way_back_is_found_after_an_error_too(app: Longshore, work: Task[[str], None]) -> None:
    with pytest.raises(TooLarge), app.elsewhere(MemoryStore()):
        work.enqueue("a" * 200)
    assert work.enqueue("b").id in ids(app)


def test_a_worker_works_there_by_the_clock_that_was_given(
    app: Longshore, work: Task[[str], None], clock: ManualClock
) -> None:
    with app.elsewhere(MemoryStore(), clock=clock):
        job = work.options(delay=60).enqueue("a")
        app.worker().run(until_empty=True)
        assert job.info().shown_as == "scheduled"
        clock.advance(60)
        app.worker().run(until_empty=True)
        assert job.info().shown_as == "succeeded"


def test_that_store_need_not_promise_what_the_own_must() -> None:
    app = Longshore("sqlite:///never.db", require=Features.DURABLE)
    with app.elsewhere(MemoryStore()):
        assert ids(app) == []
