"""A server that stands alone: no transactions, and listeners that poll."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from longshore import Longshore
from longshore.contract import Claim, Features, NewJob
from longshore.errors import Unsupported
from longshore.ids import IdMaker
from longshore.registry import connect
from longshore.testing.promises.refusals import RefusalPromises
from longshore_mongo.driver import MongoDriver


@pytest.fixture
def url(lone_url: str) -> str:
    return f"{lone_url}?namespace=t{IdMaker()().lower()}"


@pytest.fixture
def lone(url: str) -> Iterator[MongoDriver]:
    store = MongoDriver.connect(url)
    store.migrate()
    yield store
    store.close()


class TestRefusals(RefusalPromises):
    driver = MongoDriver

    @pytest.fixture
    def target(self, url: str) -> str:
        return url


def test_it_says_what_it_does_not_promise(lone: MongoDriver, url: str) -> None:
    assert lone.features == Features.DURABLE | Features.SHARED | Features.ONE_PLACE
    with pytest.raises(Unsupported, match="TRANSACTIONS"):
        connect(url, require=Features.TRANSACTIONS)
    with pytest.raises(Unsupported, match="WAKEUPS"):
        connect(url, require=Features.WAKEUPS)
    with pytest.raises(Unsupported, match="replica set"):
        lone.insert([NewJob("a", "q", "t", b"")], tx=object())


def test_a_listener_that_polls_hears_of_inserts_and_hints(lone: MongoDriver, url: str) -> None:
    other = MongoDriver.connect(url)
    listener = other.listen(["queue:q", "topic"])
    for call in (lambda: lone.insert([NewJob("a", "q", "t", b"")]), lambda: lone.wake(["topic"])):
        call()
        assert listener.wait(30)
    lone.wake(["another"])
    assert not listener.wait(0.1)
    listener.close()
    other.close()


def test_what_two_reach_for_goes_to_one(lone: MongoDriver, url: str) -> None:
    lone.insert([NewJob(f"{number}", "q", "t", b"") for number in range(10)])
    one = lone.claim([Claim(queues=("q",))], holder="one", limit=6).jobs
    two = lone.claim([Claim(queues=("q",))], holder="two", limit=6).jobs
    assert (len(one), len(two)) == (6, 4)
    assert {job.id for job in one} & {job.id for job in two} == set()


def test_a_worker_runs_jobs_that_are_enqueued_elsewhere(url: str) -> None:
    with Longshore(url) as app:

        @app.task
        def double(number: int) -> int:
            return 2 * number

        with app.worker(slots=2, poll=60.0):
            assert double.enqueue(4).result(timeout=30) == 8
