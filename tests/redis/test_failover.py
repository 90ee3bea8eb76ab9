"""A primary that dies under load, and the replica that the Sentinels put in its place."""

from __future__ import annotations

import os
import signal
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from itertools import count

import pytest

from conftest import miss
from engines import NoServer
from engines.process import LocalServer
from engines.topologies import Watched, ask, clustered, watched
from faults.insisting import insisted
from longshore import Context, Longshore, State
from longshore.contract import Change, Claim, NewJob, Outcome, Where, Write
from longshore.errors import StoreError, Unavailable
from longshore_redis.driver import RedisDriver

CLAIMS = [Claim(queues=("q",))]
PATIENCE = 40.0
Connect = Callable[..., RedisDriver]


@pytest.fixture
def own_harbour() -> Iterator[Callable[[int], Watched]]:
    """A primary, so many replicas and three Sentinels, which the test may kill."""
    with ExitStack() as stack:

        def get(replicas: int) -> Watched:
            try:
                return stack.enter_context(watched(replicas=replicas))
            except NoServer as problem:
                miss(str(problem))

        yield get


@contextmanager
def frozen(server: LocalServer) -> Iterator[None]:
    """The server does nothing for the time of the block."""
    os.kill(server.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(server.pid, signal.SIGCONT)


class Producers:
    """Threads that enqueue one job after the other, and remember which were acknowledged."""

    def __init__(self, app: Longshore, threads: int) -> None:
        self.acknowledged: list[str] = []
        self._app = app
        self._more = threading.Condition()
        self._ends = threading.Event()
        self._threads = [threading.Thread(target=self._produce) for _ in range(threads)]
        for thread in self._threads:
            thread.start()

    def await_more(self, more: int) -> None:
        """Returns when so many more were acknowledged."""
        with self._more:
            wanted = len(self.acknowledged) + more
            assert self._more.wait_for(lambda: len(self.acknowledged) >= wanted, PATIENCE), "nobody can enqueue"

    def end(self) -> None:
        self._ends.set()
        for thread in self._threads:
            thread.join()

    def _produce(self) -> None:
        while not self._ends.is_set():
            try:
                job = self._app.enqueue(self._app.call_by_name("load"))
            except StoreError:
                continue  # Not acknowledged: it may be there or not.
            with self._more:
                self.acknowledged.append(job.id)
                self._more.notify_all()


def test_with_wait_replicas_nothing_acknowledged_is_lost(own_harbour: Callable[[int], Watched]) -> None:
    """The primary is killed under load of producers and workers; they go on by themselves with the one that follows."""
    harbour = own_harbour(2)
    runs: Counter[tuple[str, int, str]] = Counter()
    with Longshore(harbour.url, wait_replicas=1) as app:

        @app.task
        def load(context: Context) -> None:
            runs[context.run] += 1

        with app.worker(slots=4, poll=0.5):
            producers = Producers(app, 2)
            try:
                producers.await_more(100)
                harbour.primary.kill()
                harbour.await_another_primary()
                producers.await_more(100)
            finally:
                producers.end()
            handles = [app.job(name) for name in producers.acknowledged]
            assert {handle.wait(timeout=PATIENCE).state for handle in handles} == {State.SUCCEEDED}
    assert {name for name, _, _ in runs} >= set(producers.acknowledged)
    assert max(runs.values()) == 1, "one run was begun twice"


def test_without_wait_replicas_claims_may_be_forgotten_but_no_fence_is_broken(
    own_harbour: Callable[[int], Watched],
) -> None:
    """What a failover forgets is handed out again: never under the same name, not even to the same holder."""
    harbour = own_harbour(1)
    store = RedisDriver.connect(harbour.url)
    store.migrate()
    store.insert([NewJob(f"{number}", "q", "t", b"") for number in range(20)])
    store.write([Write("k", "a", b"1")])
    assert ask(harbour.primary, "WAIT", 1, 30_000) == 1
    cut_off(harbour)
    taken = store.claim(CLAIMS, holder="h", limit=10).jobs
    versions = store.write([Write("k", "a", b"2"), Write("k", "b", b"2", version=0)])
    assert len(taken) == 10
    harbour.primary.kill()
    harbour.await_another_primary()
    again = insisted(lambda: store.claim(CLAIMS, holder="h", limit=20).jobs)
    assert {job.id for job in again} >= {job.id for job in taken}, "nothing was forgotten, so nothing is shown here"
    assert not {(job.id, job.generation) for job in again} & {(job.id, job.generation) for job in taken}
    late = [Change(job.id, State.SUCCEEDED, generation=job.generation, holder="h", settles=True) for job in taken]
    assert {answer.outcome for answer in store.update(late)} == {Outcome.REFUSED}, "a forgotten run settled another"
    assert {job.state for job in store.select(Where(holder="h")).jobs} == {State.RUNNING}
    stale = [Write("k", "a", b"3", version=versions[0]), Write("k", "b", b"3", version=versions[1])]
    store.write([Write("k", "a", b"other"), Write("k", "b", b"other")])
    assert store.write(stale) == [None, None], "a version was handed out twice"
    store.close()


def names() -> Iterator[str]:
    """Namespaces without end."""
    return (f"n{number}" for number in count())


def cut_off(harbour: Watched) -> None:
    """From now on the replica hears nothing of its primary, which asks for no password."""
    (replica,) = harbour.replicas
    ask(replica, "CONFIG", "SET", "masterauth", "which nobody asks for")
    ask(harbour.primary, "CLIENT", "KILL", "TYPE", "replica")


def test_on_a_cluster_the_replica_takes_the_slot_over(connect: Connect) -> None:
    """The node that holds the namespace dies: with `wait_replicas` its replica has all, and the driver finds it."""
    with ExitStack() as stack:
        try:
            cluster = stack.enter_context(clustered(with_replica=True))
        except NoServer as problem:
            miss(str(problem))
        namespace = next(name for name in names() if cluster.owner_of(f"{{longshore:{name}}}") is cluster.nodes[0])
        store = connect(cluster.url, namespace=namespace, wait_replicas=1)
        store.migrate()
        listener = store.listen(["queue:q"])
        store.insert([NewJob(f"{number}", "q", "t", b"") for number in range(10)])
        taken = store.claim(CLAIMS, holder="h", limit=5).jobs
        cluster.nodes[0].kill()
        after = insisted(lambda: connect(cluster.url, namespace=namespace))  # No replica is left to wait for.
        settle = [Change(job.id, State.SUCCEEDED, generation=1, holder="h", settles=True) for job in taken]
        assert {answer.outcome for answer in insisted(lambda: after.update(settle))} == {Outcome.MOVED}
        again = after.claim(CLAIMS, holder="h", limit=10).jobs
        assert len(again) == 5
        assert min(job.generation for job in again) > 1
        while listener.wait(0):
            pass
        after.insert([NewJob("late", "q", "t", b"")])
        assert listener.wait(PATIENCE), "nobody is woken by the new owner of the slot"
        listener.close()


def test_too_few_replicas_are_told_and_the_call_can_be_sent_again(
    connect: Connect, harbour: Watched, namespace: str
) -> None:
    store = connect(harbour.url, namespace=namespace, wait_replicas=1, timeout=1)
    store.migrate()
    with frozen(harbour.replicas[0]):
        with pytest.raises(Unavailable, match=r"0 of 1 replicas have what was written after 0\.5 s") as caught:
            store.insert([NewJob("a", "q", "t", b"")])
        assert caught.value.unknown
        with pytest.raises(Unavailable, match="0 of 1 replicas"):
            store.insert([NewJob("a", "q", "t", b"")])
    plenty = connect(harbour.url, namespace=namespace, wait_replicas=1)
    assert [answer.state for answer in plenty.insert([NewJob("a", "q", "t", b"")])] == [State.PENDING]
    more = connect(harbour.url, namespace=namespace, wait_replicas=2, timeout=1)
    with pytest.raises(Unavailable, match="1 of 2 replicas"):
        more.claim(CLAIMS, holder="h", limit=1)
    assert [job.id for job in plenty.select(Where(holder="h")).jobs] == ["a"], (
        "what a claim took is found by its holder"
    )
