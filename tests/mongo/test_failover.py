"""A primary that leaves its office, or dies, under load of producers and of workers' calls."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from engines.mongo_sets import Members
from longshore.contract import Change, Claim, Driver, NewJob, Outcome, State, StoredJob, Where
from longshore.guard import Guard
from longshore_mongo.driver import MongoDriver

CLAIMS = [Claim(queues=("q",))]
PATIENCE = 60.0
ENOUGH = 60


class Load:
    """Producers and workers, each with a connection of its own, that go on through whatever happens."""

    def __init__(self, url: str) -> None:
        self.acknowledged: list[str] = []
        self.settled: list[str] = []
        self.runs: Counter[tuple[str, int]] = Counter()
        self._url = url
        self._more = threading.Condition()
        self._ends = threading.Event()
        self._failures: list[Exception] = []
        works = [self._produce, self._produce, self._work, self._work]
        self._threads = [threading.Thread(target=self._go_on, args=(work, f"{at}")) for at, work in enumerate(works)]
        for thread in self._threads:
            thread.start()

    def await_more(self) -> None:
        """Returns when many more jobs were stored and settled."""
        with self._more:
            stored, settled = len(self.acknowledged) + ENOUGH, len(self.settled) + ENOUGH
            is_enough = self._more.wait_for(
                lambda: (len(self.acknowledged) >= stored and len(self.settled) >= settled) or bool(self._failures),
                PATIENCE,
            )
        assert is_enough, "nobody goes on"
        assert not self._failures

    def end(self) -> None:
        self._ends.set()
        for thread in self._threads:
            thread.join(PATIENCE)
        assert not self._failures

    def _go_on(self, work: Callable[[Guard, str], None], name: str) -> None:
        store = MongoDriver.connect(self._url)
        try:
            work(Guard(store, patience=PATIENCE), name)
        except Exception as error:  # noqa: BLE001  # it is told to the test
            self._failures.append(error)
        finally:
            store.close()

    def _produce(self, store: Guard, name: str) -> None:
        number = 0
        while not self._ends.is_set():
            names = [f"{name} {number} {place}" for place in range(3)]
            store.insert([NewJob(each, "q", "t", b"p") for each in names])
            number += 1
            with self._more:
                self.acknowledged += names
                self._more.notify_all()

    def _work(self, store: Guard, name: str) -> None:
        while not self._ends.is_set():
            for jobs in taken(store, name):
                for job in jobs:
                    self.runs[job.id, job.generation] += 1
                answers = store.update([finished(job) for job in jobs])
                assert {answer.outcome for answer in answers} <= {Outcome.MOVED, Outcome.REPEATED}
                with self._more:
                    self.settled += [job.id for job in jobs]
                    self._more.notify_all()


def taken(store: Guard, holder: str) -> Iterator[list[StoredJob]]:
    """What a claim brings; if its answer is lost, what it took is found by its holder, as the core does."""
    try:
        yield store.claim(CLAIMS, holder=holder, limit=3).jobs
    except Exception as error:
        if type(error).__name__ != "Unavailable":
            raise
    yield store.select(Where(holder=holder)).jobs


def finished(job: StoredJob) -> Change:
    return Change(job.id, State.SUCCEEDED, generation=job.generation, holder=job.holder, settles=True)


def drain(store: Driver) -> None:
    """Ends whatever is left."""
    guard = Guard(store, patience=PATIENCE)
    for holder in ("2", "3"):
        guard.update([finished(job) for job in guard.select(Where(holder=holder), limit=1_000).jobs])
    while jobs := guard.claim(CLAIMS, holder="rest", limit=500).jobs:
        guard.update([finished(job) for job in jobs])


@contextmanager
def under_load(members: Members) -> Iterator[Load]:
    """Load before and after what happens in the block; then nothing acknowledged is lost, and nothing was doubled."""
    store = MongoDriver.connect(members.url)
    Guard(store, patience=PATIENCE).migrate()
    load = Load(members.url)
    try:
        load.await_more()
        yield load
        load.await_more()
    finally:
        load.end()
    drain(store)
    stored = {job.id: job for job in Guard(store, patience=PATIENCE).each(Where())}
    store.close()
    assert set(load.acknowledged) <= stored.keys(), "acknowledged jobs are lost"
    assert {job.state for job in stored.values()} == {State.SUCCEEDED}
    assert {job.generation for job in stored.values()} == {1}, "a job that was taken was taken again"
    assert set(load.settled) <= stored.keys()


@pytest.mark.slow
@pytest.mark.timeout(180)
def test_a_step_down_loses_and_doubles_nothing(members: Members) -> None:
    with under_load(members):
        members.step_down()


@pytest.mark.slow
@pytest.mark.timeout(180)
def test_a_primary_that_is_killed_loses_and_doubles_nothing(members: Members) -> None:
    with under_load(members):
        primary = members.primary()
        primary.kill()
        members.primary()
        primary.restart()
