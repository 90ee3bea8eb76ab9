"""Two who meet: enders of two parents, an ender and a producer, givers of one turn. One of the two sees the other."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import pytest

from longshore import Longshore, State
from longshore.contract import Change, StoredJob, Where
from longshore.following import ended, follow
from longshore.testing.together import together

pytestmark = pytest.mark.every_engine

ROUNDS = 15


@pytest.fixture
def clients(app: Longshore) -> Iterator[list[Longshore]]:
    """Two, with a connection each."""
    with Longshore(app.store.driver.target) as other:
        for each in (app, other):

            @each.task
            def load() -> None: ...

        yield [app, other]


def end(client: Longshore, identity: str) -> None:
    """Ends a job and follows, as every ender does."""
    (job,) = client.store.select(Where(ids=[identity]), body=False).jobs
    follow(client.store, [ended(job, client.store.update([Change(identity, State.SUCCEEDED)])[0])])


def stored(client: Longshore, identity: str) -> StoredJob:
    return client.store.select(Where(ids=[identity])).jobs[0]


def test_enders_of_the_last_two_parents(clients: list[Longshore]) -> None:
    load = clients[0].tasks["load"]
    for _ in range(ROUNDS):
        parents = [load.enqueue() for _ in clients]
        child = load.options(after=parents).enqueue()
        together(*[partial(end, client, parent.id) for client, parent in zip(clients, parents, strict=True)])
        assert child.info().state is State.PENDING
        assert not any(stored(clients[0], parent.id).releases for parent in parents)


def test_an_ender_and_a_producer(clients: list[Longshore]) -> None:
    for _ in range(ROUNDS):
        parent = clients[0].tasks["load"].enqueue()
        produce = clients[1].tasks["load"].options(after=parent).enqueue
        _, child = together(partial(end, clients[0], parent.id), produce)
        assert child.info().state is State.PENDING


def test_who_leaves_a_turn_and_who_comes_to_wait_for_it(clients: list[Longshore]) -> None:
    for number in range(ROUNDS):
        key = f"k{number}"
        holder = clients[0].tasks["load"].options(key=key).enqueue()
        come = clients[1].tasks["load"].options(key=key).enqueue
        _, follower = together(partial(end, clients[0], holder.id), come)
        assert follower.info().state is State.PENDING


def test_an_ender_and_a_person_who_cancels_the_child(clients: list[Longshore]) -> None:
    for _ in range(ROUNDS):
        parent = clients[0].tasks["load"].enqueue()
        child = clients[0].tasks["load"].options(after=parent).enqueue()
        grandchild = clients[0].tasks["load"].options(after=child).enqueue()
        together(partial(end, clients[0], parent.id), partial(clients[1].admin.cancel, child.id))
        assert [job.info().state for job in (child, grandchild)] == [State.CANCELLED] * 2
