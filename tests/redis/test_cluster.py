"""On a real Cluster of three nodes: the kit, namespaces side by side, and a slot that moves while at work."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from engines.topologies import Cluster, ask
from longshore.contract import Claim, NewJob
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
