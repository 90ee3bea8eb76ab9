"""Connections that break, and a server that goes away and comes back."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg
import pytest

from engines import Server
from longshore.contract import EVERY, By, Change, Claim, Features, NewJob, Outcome, State, Where, Write
from longshore.errors import Unavailable
from longshore_sql.postgres.driver import PostgresDriver

CLAIMS = [Claim(queues=("q",), reserve=True)]
AT_ONCE = [Claim(queues=("q",))]
ENDS = [Change("a", State.CANCELLED, states=frozenset({State.PENDING, State.CANCELLED}), generation=0)]
CALLS: dict[str, Callable[[PostgresDriver], Any]] = {
    "migrate": lambda store: store.migrate(),
    "clear": lambda store: store.clear(),
    "insert": lambda store: store.insert([NewJob("b", "q", "t", b"", group="g")]),
    "claim": lambda store: store.claim(CLAIMS, holder="h", limit=1),
    "update": lambda store: store.update([Change("a", State.CANCELLED)]),
    "exchange": lambda store: store.exchange([Change("a", fields={"priority": 3})], CLAIMS, holder="h", limit=1),
    "claim at once": lambda store: store.claim(AT_ONCE, holder="h", limit=1),
    "update at once": lambda store: store.update(ENDS),
    "exchange at once": lambda store: store.exchange(ENDS, AT_ONCE, holder="h", limit=1),
    "select": lambda store: store.select(EVERY),
    "count": lambda store: store.count(By.QUEUE_STATE),
    "delete": lambda store: store.delete(Where(ids=["a"])),
    "read": lambda store: store.read("kind"),
    "write": lambda store: store.write([Write("kind", "key", b"1")]),
}


def break_all(plain: str, application: str) -> None:
    """Ends every connection of an application, as a failing network or an operator would."""
    with psycopg.connect(plain, autocommit=True) as admin:
        ended = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = %s"
        admin.execute(ended, (application,))


@pytest.mark.parametrize("method", CALLS)
def test_a_connection_that_broke_is_replaced(connect, plain: str, namespace: str, method: str) -> None:
    """The call that finds it broken is unavailable; the next one works."""
    store = connect(application_name=namespace)
    store.migrate()
    store.insert([NewJob("a", "q", "t", b"")])
    break_all(plain, namespace)
    with pytest.raises(Unavailable):
        CALLS[method](store)
    CALLS[method](store)


ALONE = {"read", "select", "count", "claim at once", "update at once", "exchange at once"}
"""Who has no moment between a last statement and a commit: nothing is stored, or it is done by one trip."""


@pytest.mark.parametrize("method", sorted(CALLS.keys() - ALONE - {"migrate"}))
def test_a_connection_that_breaks_in_the_middle_leaves_nothing(
    connect, plain: str, namespace: str, method: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the last statement and the commit: what is stored is as it was, and the call can be sent again."""
    store, other = connect(application_name=namespace), connect()
    store.migrate()
    store.insert([NewJob("a", "q", "t", b"")])
    store.write([Write("kind", "key", b"0")])
    before = other.select(EVERY).jobs, other.read("kind")
    between = store._between

    def cut(cursor: Any, begin: str) -> Any:
        entered = between(cursor, begin)
        leave = entered.__exit__

        class Cut:
            def __enter__(self) -> None:
                entered.__enter__()

            def __exit__(self, *raised: Any) -> Any:
                break_all(plain, namespace)
                return leave(*raised)

        return Cut()

    monkeypatch.setattr(store, "_between", cut)
    with pytest.raises(Unavailable):
        CALLS[method](store)
    monkeypatch.undo()
    assert (other.select(EVERY).jobs, other.read("kind")) == before
    CALLS[method](store)


def test_a_connection_that_is_in_use_when_the_driver_is_closed_is_closed_after_it(
    connect, plain: str, namespace: str
) -> None:
    store, other = connect(application_name=namespace), connect()
    store.migrate()
    store.insert([NewJob("a", "q", "t", b"")])
    with ThreadPoolExecutor() as pool, psycopg.connect(plain, autocommit=True) as admin:
        with other.transaction() as tx:
            other.update([Change("a", fields={"priority": 1})], tx=tx)
            waiting = pool.submit(store.update, [Change("a", fields={"priority": 2})])
            locked = "SELECT count(*) FROM pg_stat_activity WHERE application_name = %s AND wait_event_type = 'Lock'"
            until(lambda: admin.execute(locked, (namespace,)).fetchone() == (1,))
            store.close()
        assert waiting.result(30)[0].outcome is Outcome.MOVED
        left = "SELECT count(*) FROM pg_stat_activity WHERE application_name = %s"
        until(lambda: admin.execute(left, (namespace,)).fetchone() == (0,))


def until(condition: Callable[[], bool]) -> None:
    """Waits for what only the server can tell."""
    ends, pause = time.monotonic() + 30, threading.Event()
    while not condition():
        assert time.monotonic() < ends
        pause.wait(0.01)


def test_who_listens_hears_again_after_a_cut(connect, plain: str, namespace: str) -> None:
    """A cut wakes, since what was said meanwhile was not heard; afterwards wake-ups come as before."""
    store, other = connect(application_name=namespace), connect()
    listener = store.listen(["queue:q"])
    break_all(plain, namespace)
    assert listener.wait(30), "a cut was not told"
    other.wake(["queue:q"])
    assert listener.wait(30), "nothing was heard after a cut"


def test_a_server_that_restarts(own_server: Callable[[str], Server]) -> None:
    """While it is away every call is unavailable; afterwards the same driver works, and nothing is lost."""
    server = own_server("postgres")
    store = PostgresDriver.connect(server.url)
    store.migrate()
    listener = store.listen(["queue:q"])
    store.insert([NewJob("a", "q", "t", b"")])
    server.kill()
    for call in ("select", "insert", "claim"):
        with pytest.raises(Unavailable):
            CALLS[call](store)
    server.restart()
    assert listener.wait(30)
    assert [job.id for job in store.select(EVERY).jobs] == ["a"]
    assert [job.id for job in CALLS["claim"](store).jobs] == ["a"]
    store.close()


def test_a_server_that_cannot_be_reached() -> None:
    with pytest.raises(Unavailable) as caught:
        PostgresDriver.connect("postgresql://user:s3cret@127.0.0.1:9/none?connect_timeout=2")
    assert caught.value.unknown is False
    assert "s3cret" not in str(caught.value)


def test_a_server_that_does_not_flush_promises_less(own_server: Callable[[str], Server]) -> None:
    server = own_server("postgres")
    with psycopg.connect(server.url, autocommit=True) as admin:
        admin.execute("ALTER SYSTEM SET synchronous_commit = off")
        admin.execute("SELECT pg_reload_conf()")
    server.restart()
    store = PostgresDriver.connect(server.url)
    assert Features.DURABLE not in store.features
    store.close()
