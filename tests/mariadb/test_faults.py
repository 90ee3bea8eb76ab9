"""Connections that break, and a server that goes away and comes back."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import Any

import pymysql
import pytest

from engines import Server
from longshore.contract import EVERY, By, Change, Claim, Features, NewJob, Outcome, State, Where, Write
from longshore.errors import Unavailable
from longshore_sql.mysql.driver import MySQLDriver
from tests.mariadb.plain import asked, opened

CLAIMS = [Claim(queues=("q",))]
PATIENCE = 30
CALLS: dict[str, Callable[[MySQLDriver], Any]] = {
    "migrate": lambda store: store.migrate(),
    "clear": lambda store: store.clear(),
    "now": lambda store: store.now(),
    "insert": lambda store: store.insert([NewJob("b", "q", "t", b"")]),
    "claim": lambda store: store.claim(CLAIMS, holder="h", limit=1),
    "update": lambda store: store.update([Change("a", State.CANCELLED)]),
    "exchange": lambda store: store.exchange([Change("a", fields={"priority": 3})], CLAIMS, holder="h", limit=1),
    "select": lambda store: store.select(EVERY),
    "count": lambda store: store.count(By.QUEUE_STATE),
    "delete": lambda store: store.delete(Where(ids=["a"])),
    "read": lambda store: store.read("kind"),
    "write": lambda store: store.write([Write("kind", "key", b"1")]),
}


def break_pool(store: MySQLDriver, connection: pymysql.Connection[Any]) -> None:
    """Ends the connection that a store has in its pool, as a failing network or an operator would."""
    with store._source.lent() as lent:
        number = lent.thread_id()
    asked(connection, f"KILL {number}")


@pytest.mark.parametrize("method", CALLS)
def test_a_connection_that_broke_is_replaced(store, connection, method: str) -> None:
    """The call that finds it broken is unavailable; the next one works."""
    store.insert([NewJob("a", "q", "t", b"")])
    break_pool(store, connection)
    with pytest.raises(Unavailable):
        CALLS[method](store)
    CALLS[method](store)


def test_who_listens_hears_again_after_a_cut(store, connect, connection) -> None:
    """A cut wakes, since what was said meanwhile was not heard; afterwards wake-ups come as before."""
    listener, other = store.listen(["queue:q"]), connect()
    asked(connection, f"KILL {store._ears._identity}")
    assert listener.wait(PATIENCE), "a cut was not told"
    other.wake(["queue:q"])
    assert listener.wait(PATIENCE), "nothing was heard after a cut"


def test_a_server_that_restarts(own_server: Callable[[str], Server]) -> None:
    """While it is away every call is unavailable; afterwards the same driver works, and nothing is lost."""
    server = own_server("mariadb")
    with closing(MySQLDriver.connect(server.url)) as store:
        store.migrate()
        listener = store.listen(["queue:q"])
        store.insert([NewJob("a", "q", "t", b"")])
        server.kill()
        for call in ("select", "insert", "claim"):
            with pytest.raises(Unavailable):
                CALLS[call](store)
        server.restart()
        assert listener.wait(PATIENCE)
        assert [job.id for job in store.select(EVERY).jobs] == ["a"]
        assert [job.id for job in CALLS["claim"](store).jobs] == ["a"]


def test_a_server_that_is_killed_under_load_loses_nothing_that_it_answered(own_server: Callable[[str], Server]) -> None:
    """What was inserted, and what was settled, stands; a call that was not answered is sent again, and is known."""
    server = own_server("mariadb")
    with closing(MySQLDriver.connect(server.url)) as store:
        store.migrate()
        store.insert([NewJob(f"{number:04}", "q", "t", b"x") for number in range(400)])
        halfway = threading.Event()

        def insert() -> list[str]:
            return [name for number in range(150) if (name := inserted(store, f"new {number}", number, halfway))]

        def drain(holder: str) -> list[str]:
            return [name for _ in range(60) for name in drained(store, holder)]

        with ThreadPoolExecutor() as pool:
            working = [pool.submit(insert), *(pool.submit(drain, holder) for holder in ("anna", "bert"))]
            assert halfway.wait(PATIENCE)
            server.kill()
            server.restart()
            names, *done = [one.result(PATIENCE * 4) for one in working]
        stored = {job.id: job.state for job in walk(store)}
        assert set(names) <= stored.keys(), "an insert that was answered is lost"
        ended = [name for part in done for name in part]
        assert len(ended) == len(set(ended)), "a job was settled twice"
        assert {stored[name] for name in ended} <= {State.SUCCEEDED}, "an end that was answered is lost"


def inserted(store: MySQLDriver, name: str, number: int, halfway: threading.Event) -> str:
    """The name of a job, once it is stored."""
    if number == 75:
        halfway.set()
    persistently(lambda: store.insert([NewJob(name, "other", "t", b"x")]))
    return name


def drained(store: MySQLDriver, holder: str) -> list[str]:
    """Jobs that were claimed and settled."""
    try:
        jobs = store.claim(CLAIMS, holder=holder, limit=5).jobs
    except Unavailable:
        return []  # Whatever it took is held by nobody who knows of it.
    changes = [Change(job.id, State.SUCCEEDED, generation=job.generation, holder=holder, settles=True) for job in jobs]
    answers = persistently(lambda: store.update(changes))
    assert {answer.outcome for answer in answers} <= {Outcome.MOVED, Outcome.REPEATED}
    return [job.id for job in jobs]


def persistently(call: Callable[[], Any]) -> Any:
    """Sends a call until it is answered."""
    pause = threading.Event()
    for _ in range(PATIENCE * 20):
        try:
            return call()
        except Unavailable:
            pause.wait(0.05)
    raise AssertionError("the server never came back")


def walk(store: MySQLDriver) -> list[Any]:
    """All jobs."""
    page = store.select(EVERY, limit=1_000)
    assert page.after is None
    return page.jobs


def test_a_server_that_cannot_be_reached() -> None:
    with pytest.raises(Unavailable) as caught:
        MySQLDriver.connect("mariadb://user:s3cret@127.0.0.1:9/none?connect_timeout=2")
    assert caught.value.unknown is False
    assert "s3cret" not in str(caught.value)


def test_a_server_that_does_not_flush_promises_less(own_server: Callable[[str], Server]) -> None:
    server = own_server("mariadb")
    with closing(opened(server.url)) as connection:
        asked(connection, "SET GLOBAL innodb_flush_log_at_trx_commit = 2")
    with closing(MySQLDriver.connect(server.url)) as store:
        assert Features.DURABLE not in store.features
