"""Time-outs in the application's own transaction, and on our own connections."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from typing import Any

import psycopg
import pytest

from longshore import Longshore
from longshore.contract import Change, Claim, NewJob, UniqueScope, Write
from longshore.errors import StoreError, Unavailable
from longshore_sql.postgres.driver import PostgresDriver

CALLS: dict[str, Callable[[PostgresDriver, Any], Any]] = {
    "the same id": lambda store, tx: store.insert([NewJob("a", "q", "t", b"")], tx=tx),
    "the same unique key": lambda store, tx: store.insert(
        [NewJob("b", "q", "t", b"", unique_key="u", unique_scope=UniqueScope.END)], tx=tx
    ),
    "the same job": lambda store, tx: store.update([Change("old", fields={"priority": 2})], tx=tx),
    "the same record": lambda store, tx: store.write([Write("kind", "key", b"2")], tx=tx),
}
SETTINGS = {"lock_timeout": "100ms", "statement_timeout": "100ms"}


@contextmanager
def held(store: PostgresDriver, plain: str) -> Iterator[None]:
    """Somebody's transaction that stays open, with a job, a unique key, a change and a record."""
    with psycopg.connect(plain) as other:
        store.insert([NewJob("a", "q", "t", b"", unique_key="u")], tx=other)
        store.update([Change("old", fields={"priority": 1})], tx=other)
        store.write([Write("kind", "key", b"1")], tx=other)
        yield
        other.rollback()


@pytest.fixture
def filled(connect) -> PostgresDriver:
    """A store whose calls wait half a second at most."""
    store: PostgresDriver = connect(lock_timeout=0.5)
    store.migrate()
    store.insert([NewJob("old", "q", "t", b"")])
    return store


@pytest.mark.parametrize("call", CALLS)
def test_who_waits_for_another_s_transaction_gives_up_after_lock_timeout(filled, plain: str, call: str) -> None:
    """In a transaction of our own nothing was done, and the same call succeeds later."""
    with held(filled, plain), pytest.raises(Unavailable) as caught:
        CALLS[call](filled, None)
    assert caught.value.unknown is False
    CALLS[call](filled, None)


@pytest.mark.parametrize("call", CALLS)
def test_also_in_the_application_s_transaction(filled, plain: str, connection, call: str) -> None:
    """Where the application has no time-out of its own; the transaction has failed then, and nothing is repeated."""
    connection.execute("SELECT 1")
    with held(filled, plain), pytest.raises(Unavailable) as caught:
        CALLS[call](filled, connection)
    assert caught.value.unknown is False
    with pytest.raises(StoreError, match="roll it back"):
        CALLS[call](filled, connection)
    connection.rollback()
    CALLS[call](filled, connection)
    connection.commit()


def test_also_on_a_live_connection_that_is_the_store(filled, plain: str, connection, namespace: str) -> None:
    """For the time of a call."""
    with held(filled, plain), closing(PostgresDriver.connect(connection, namespace=namespace)) as store:
        with pytest.raises(Unavailable):
            CALLS["the same id"](store, None)
        assert connection.execute("SHOW lock_timeout").fetchone() == ("0",)


@pytest.mark.parametrize("setting", SETTINGS)
def test_the_application_s_own_time_outs_are_kept(connect, plain: str, connection, setting: str) -> None:
    store = connect(lock_timeout=60)
    store.migrate()
    store.insert([NewJob("old", "q", "t", b"")])
    connection.execute(f"SET {setting} = '{SETTINGS[setting]}'")
    connection.commit()
    with held(store, plain), pytest.raises(Unavailable) as caught:
        CALLS["the same id"](store, connection)
    assert caught.value.unknown is False
    connection.rollback()
    assert connection.execute(f"SHOW {setting}").fetchone() == (SETTINGS[setting],)


def test_after_a_call_the_application_s_transaction_waits_as_long_as_before(filled, connection) -> None:
    filled.insert([NewJob("a", "q", "t", b"")], tx=connection)
    assert connection.execute("SHOW lock_timeout").fetchone() == ("0",)
    connection.commit()
    assert connection.execute("SHOW lock_timeout").fetchone() == ("0",)


def test_an_application_whose_transaction_timed_out_enqueues_again(url: str, plain: str, connection) -> None:
    with Longshore(url, lock_timeout=0.2) as app:
        call = app.call_by_name("load")
        store: Any = app.store.driver
        store.insert([NewJob("old", "q", "t", b"")])
        with held(store, plain), pytest.raises(Unavailable):
            CALLS["the same job"](store, connection)
        connection.rollback()
        job = app.enqueue(call, tx=connection)
        connection.commit()
        assert [taken.id for taken in store.claim([Claim(queues=("default",))], holder="h", limit=1).jobs] == [job.id]


def test_a_session_that_idled_too_long_in_its_transaction_has_done_nothing(filled, connection) -> None:
    connection.execute("SET idle_in_transaction_session_timeout = '50ms'")
    connection.commit()
    filled.insert([NewJob("a", "q", "t", b"")], tx=connection)
    pause = threading.Event()
    with ThreadPoolExecutor() as pool:
        gone = pool.submit(lambda: [pause.wait(0.02) for _ in iter(lambda: is_there(filled, connection), False)])
        gone.result(30)
    with pytest.raises(Unavailable):
        filled.insert([NewJob("b", "q", "t", b"")], tx=connection)
    assert [job.id for job in filled.select().jobs] == ["old"]


def is_there(store: PostgresDriver, connection: psycopg.Connection[Any]) -> bool:
    """Whether the server still has the session of a connection."""
    with store._source.lent() as other:
        found = "SELECT 1 FROM pg_stat_activity WHERE pid = %s"
        return other.execute(found, (connection.info.backend_pid,)).fetchone() is not None
