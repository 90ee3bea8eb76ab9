"""What stores promise where writers lock rows: a claim passes over them and says so, and workers ask again."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from typing import Any

import pytest

from longshore.contract import SECOND, Change, Claim, Driver, NewJob
from longshore.guard import Guard
from longshore.testing.clock import ManualClock
from worker.faulty import FaultyApp, LineDriver
from worker.gate import PATIENCE

_KEEPS = {"priority": 0}


class LinedApp(FaultyApp):
    """Its own calls go over the line too."""

    @cached_property
    def store(self) -> Guard:
        return Guard(LineDriver(super().store.driver, self.line))


class LockedRows:
    """Inherit from this beside an engine's fixtures: ``url`` of an empty store, and ``connect`` that opens it."""

    @pytest.fixture
    def store(self, connect: Callable[..., Driver], clock: ManualClock) -> Driver:
        """A connection to it whose time is the test's."""
        store = connect(clock=clock)
        store.migrate()
        return store

    @pytest.fixture
    def clock(self) -> ManualClock:
        """The clock of `store`."""
        return ManualClock()

    @pytest.mark.parametrize(
        "claim",
        [
            Claim(queues=("q",), tasks=frozenset({"t"})),
            Claim(queues=("other", "q")),
            Claim(queues=("q",), tasks=frozenset({"t"}), min_priority=0),
            Claim(id="a"),
        ],
        ids=["task", "queues", "priority", "id"],
    )
    def test_a_claim_with_empty_hands_says_that_others_are_at_what_is_due(self, store: Driver, claim: Claim) -> None:
        store.insert([NewJob("a", "q", "t", b"")])
        with store.transaction() as tx:
            store.update([Change("a", fields=_KEEPS)], tx=tx)
            passed = store.claim([claim], holder="h", limit=1)
        assert (passed.jobs, passed.passed_over) == ([], True)
        taken = store.claim([claim], holder="h", limit=1)
        assert ([job.id for job in taken.jobs], taken.passed_over) == (["a"], False)
        nothing = store.claim([claim], holder="h", limit=1)
        assert (nothing.jobs, nothing.passed_over, nothing.next_due) == ([], False, None)

    def test_also_of_what_stands_aside(self, store: Driver) -> None:
        mine, others = (Claim(queues=("q",), tasks=frozenset({task})) for task in ("t", "other"))
        store.insert([NewJob("a", "q", "t", b""), NewJob("b", "q", "t", b"")])
        assert store.claim([others], holder="h", limit=1).jobs == []
        with store.transaction() as tx:
            store.update([Change(name, fields={"notes": {"seen": 1}}) for name in ("a", "b")], tx=tx)
            assert store.claim([mine], holder="h", limit=1).passed_over
            assert not store.claim([others], holder="h", limit=1).passed_over
        assert [job.id for job in store.claim([mine], holder="h", limit=2).jobs] == ["a", "b"]

    def test_also_of_what_has_become_due_meanwhile(self, store: Driver, clock: ManualClock) -> None:
        claim = Claim(queues=("q",))
        store.insert([NewJob("a", "q", "t", b"", delay=SECOND)])
        assert not store.claim([claim], holder="h", limit=1).passed_over
        with store.transaction() as tx:
            store.update([Change("a", fields=_KEEPS)], tx=tx)
            clock.advance(2)
            passed = store.claim([claim], holder="h", limit=1)
        assert (passed.jobs, passed.passed_over) == ([], True)
        assert [job.id for job in store.claim([claim], holder="h", limit=1).jobs] == ["a"]

    def test_not_of_jobs_that_it_does_not_want(self, store: Driver) -> None:
        store.insert([NewJob("a", "q", "t", b""), NewJob("b", "later", "t", b"", delay=SECOND)])
        with store.transaction() as tx:
            store.update([Change("a", fields=_KEEPS)], tx=tx)
            unwanted = [Claim(queues=("later",)), Claim(queues=("q",), min_priority=1), Claim(id="b")]
            for claim in unwanted:
                assert not store.claim([claim], holder="h", limit=1).passed_over, claim

    def test_a_worker_asks_again_and_does_not_take_the_store_for_empty(self, url: Any) -> None:
        done: list[str] = []
        with FaultyApp(url) as app:

            @app.task
            def load() -> None:
                done.append("load")

            job = load.enqueue()
            store = app.store.driver
            with ThreadPoolExecutor() as pool:
                with store.transaction() as tx:
                    store.update([Change(job.id, fields=_KEEPS)], tx=tx)
                    working = pool.submit(app.worker(poll=60.0).run, until_empty=True)
                    app.line.await_calls("claim", 3)
                    assert not working.done()
                assert working.result(PATIENCE).succeeded == 1
        assert done == ["load"]

    def test_a_fetch_asks_again(self, url: Any) -> None:
        with LinedApp(url) as app:
            job = app.enqueue(app.call_by_name("load"))
            store = app.store.driver
            with ThreadPoolExecutor() as pool, app.fetch("default", wait=PATIENCE) as fetch:
                with store.transaction() as tx:
                    store.update([Change(job.id, fields=_KEEPS)], tx=tx)
                    taking = pool.submit(fetch.take)
                    app.line.await_calls("claim", 10)  # Once in 5 s otherwise.
                    assert not taking.done()
                assert [taken.id for taken in taking.result(PATIENCE)] == [job.id]
