"""On a real Cluster of three nodes: the kit, namespaces side by side, and a slot that moves while at work."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest

from engines.topologies import Cluster, ask
from longshore import Longshore
from longshore.contract import By, Change, Claim, NewJob, Outcome, State, Where
from longshore.errors import Unavailable
from longshore.testing.promises import Promises
from longshore.testing.wakeups import WakeUps
from longshore_redis.driver import RedisDriver

CLAIMS = [Claim(queues=("q",))]
Connect = Callable[..., RedisDriver]


class TestOnACluster(Promises, WakeUps):
    driver = RedisDriver

    @pytest.fixture
    def target(self, cluster: Cluster, namespace: str) -> str:
        return f"{cluster.url}?namespace={namespace}"


def on_each_node(cluster: Cluster) -> dict[int, str]:
    """A namespace for each node, by the number of the node."""
    found: dict[int, str] = {}
    number = 0
    while len(found) < len(cluster.nodes):
        number += 1
        found.setdefault(cluster.nodes.index(cluster.owner_of(f"{{longshore:n{number}}}:")), f"n{number}")
    return found


def test_namespaces_on_different_nodes_work_side_by_side(connect: Connect, cluster: Cluster) -> None:
    stores = {number: connect(cluster.url, namespace=name) for number, name in on_each_node(cluster).items()}
    listeners = {number: store.listen(["queue:q"]) for number, store in stores.items()}
    for number, store in stores.items():
        store.migrate()
        store.clear()
        store.migrate()
        store.insert([NewJob(f"{number}", "q", "t", b"")])
        assert listeners[number].wait(30), "nobody was woken on this node"
        listeners[number].close()
    for number, store in stores.items():
        assert [job.id for job in store.claim(CLAIMS, holder="h", limit=9).jobs] == [f"{number}"]
        keys = ask(cluster.nodes[number], "KEYS", f"{store._root}*")
        assert keys, "this namespace is not where its slot is"


def test_namespaces_on_all_nodes_are_one_store_of_several(cluster: Cluster, namespace: str) -> None:
    numbers = range(60)
    names = [f"{namespace[:20]}{name}" for name in map(str, range(1_000))]
    of_node: dict[int, str] = {}
    for name in names:
        of_node.setdefault(cluster.nodes.index(cluster.owner_of(f"{{longshore:{name}}}:")), name)
    with Longshore([f"{cluster.url}?namespace={name}" for name in of_node.values()]) as app:

        @app.task
        def double(number: int) -> int:
            return 2 * number

        jobs = app.enqueue_many([double.call(number) for number in numbers])
        keyed = app.enqueue_many([double.options(key=f"k{number % 5}").call(number) for number in range(20)])
        assert len({job.id.partition("@")[2] for job in jobs}) == len(cluster.nodes)
        app.worker(slots=4).run(until_empty=True)
        assert [job.result(timeout=30) for job in jobs] == [2 * number for number in numbers]
        assert {job.info().state for job in keyed} == {State.SUCCEEDED}


class Work:
    """A thread that inserts, claims and settles one job after the other, and notes what was acknowledged."""

    def __init__(self, store: RedisDriver) -> None:
        self.settled: list[str] = []
        self.refused: list[Unavailable] = []
        self._store = store
        self._noted = threading.Condition()
        self._ends = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def end(self) -> None:
        self._ends.set()
        self._thread.join()

    def await_more(self, noted: list[Any], more: int) -> None:
        """Returns when so many more were noted."""
        wanted = len(noted) + more
        with self._noted:
            assert self._noted.wait_for(lambda: len(noted) >= wanted, 30), "the work does not go on"

    def _run(self) -> None:
        number = 0
        while not self._ends.is_set():
            number += 1
            for step in (self._insert, self._claim, self._settle):
                self._insist(step, f"{number:06}")
            with self._noted:
                self.settled.append(f"{number:06}")
                self._noted.notify_all()

    def _insist(self, step: Callable[[str], bool], name: str) -> None:
        while True:
            try:
                assert step(name)
                return
            except Unavailable as error:
                with self._noted:
                    self.refused.append(error)
                    self._noted.notify_all()

    def _insert(self, name: str) -> bool:
        return bool(self._store.insert([NewJob(name, "q", "t", b"")]))

    def _claim(self, name: str) -> bool:
        self._store.claim(CLAIMS, holder="h", limit=1)
        held = self._store.select(Where(holder="h")).jobs
        return [job.id for job in held] == [name]

    def _settle(self, name: str) -> bool:
        (answer,) = self._store.update([Change(name, State.SUCCEEDED, holder="h")])
        return answer.state is State.SUCCEEDED


def test_a_slot_that_moves_while_at_work(connect: Connect, cluster: Cluster, namespace: str) -> None:
    """While it is on its way nothing runs anywhere, since half of the keys would be missing; then the work goes on."""
    store = connect(cluster.url, namespace=namespace)
    store.migrate()
    listener = store.listen(["queue:q"])
    source = cluster.owner_of(store._root)
    target = next(node for node in cluster.nodes if node is not source)
    work = Work(store)
    try:
        work.await_more(work.settled, 20)
        assert not work.refused
        cluster.begin_move(store._root, source, target)
        work.await_more(work.refused, 1)
        done = len(work.settled)
        while cluster.move_keys(store._root, source, target, 3):
            work.await_more(work.refused, 1)
        assert len(work.settled) == done
        assert all(error.unknown is False for error in work.refused), "what was refused may have been done"
        cluster.end_move(store._root, target)
        work.await_more(work.settled, 20)
    finally:
        work.end()
    assert cluster.owner_of(store._root) is target
    assert {job.state for job in store.select(Where(ids=work.settled)).jobs} == {State.SUCCEEDED}
    assert store.count(By.QUEUE_STATE) == {("q", State.SUCCEEDED): len(work.settled)}
    while listener.wait(0):
        pass
    store.insert([NewJob("a", "q", "t", b"")])
    assert listener.wait(30), "nobody was woken after the slot had moved"
    listener.close()


def test_another_driver_that_has_not_heard_of_the_move_follows(
    connect: Connect, cluster: Cluster, namespace: str
) -> None:
    store, other, third = (connect(cluster.url, namespace=namespace) for _ in range(3))
    store.migrate()
    other.insert([NewJob("a", "q", "t", b"")])
    source = cluster.owner_of(store._root)
    target = next(node for node in cluster.nodes if node is not source)
    cluster.begin_move(store._root, source, target)
    while cluster.move_keys(store._root, source, target, 100):
        pass
    cluster.end_move(store._root, target)
    assert [job.id for job in other.claim(CLAIMS, holder="h", limit=1).jobs] == ["a"]
    settle = Change("a", State.SUCCEEDED, holder="h")
    assert store.update([settle])[0].outcome is Outcome.MOVED
    third.clear()
    assert store.select(Where()).jobs == [], "the node that has the keys no more was cleared"
