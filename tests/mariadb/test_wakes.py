"""How who listens is woken: by an interruption of his sleep in the server."""

from __future__ import annotations

import statistics
import threading
import time
from collections.abc import Callable
from contextlib import closing
from queue import SimpleQueue
from typing import Any

import pymysql
import pytest

from engines import Server
from longshore import Longshore
from longshore.contract import Features, NewJob
from longshore_sql.mysql.driver import MySQLDriver
from tests.mariadb.plain import asked, opened

TOPIC = "queue:q"
PATIENCE = 30


def board(connection: pymysql.Connection[Any], namespace: str) -> set[tuple[Any, ...]]:
    connection.rollback()
    return set(asked(connection, f"SELECT listener, topic FROM {namespace}_ear"))


def test_the_board_says_who_listens_to_what(store, connection, namespace: str) -> None:
    listener, other = store.listen([TOPIC, "more"]), store.listen([TOPIC])
    number = store._ears._identity
    assert board(connection, namespace) == {(number, TOPIC), (number, "more")}
    listener.close()
    assert board(connection, namespace) == {(number, TOPIC)}
    other.close()
    assert board(connection, namespace) == set()


def test_who_was_rung_between_two_sleeps_is_interrupted_again(store, connect, connection, namespace: str) -> None:
    """He is marked, and comes to know before the end of his next sleep."""
    listener, other = store.listen([TOPIC]), connect()
    rounds: list[float] = []
    for _ in range(5):
        # The mark is there and the interruption was lost: so it is for who was just between two sleeps.
        asked(connection, f"UPDATE {namespace}_ear SET rung = 1")
        connection.commit()
        began = time.monotonic()
        other.wake([TOPIC])
        assert listener.wait(PATIENCE)
        rounds.append(time.monotonic() - began)
    assert min(rounds) < 1.0


def test_lines_of_those_who_died_are_struck_off(store, connect, connection, namespace: str) -> None:
    """Who wakes one that is not there any more removes his line; so does who begins to listen, after a while."""
    asked(connection, f"INSERT INTO {namespace}_ear (listener, topic, seen) VALUES (4000000000, %s, 0)", TOPIC)
    connection.commit()
    listener = store.listen([TOPIC])
    assert {number for number, _ in board(connection, namespace)} == {store._ears._identity}
    asked(connection, f"INSERT INTO {namespace}_ear (listener, topic, seen) VALUES (4000000000, %s, 9e9)", TOPIC)
    connection.commit()
    store.wake([TOPIC])
    assert listener.wait(PATIENCE)
    store._bell.close()
    assert {number for number, _ in board(connection, namespace)} == {store._ears._identity}


def test_a_commit_that_takes_its_time_wakes_when_it_comes(store, connection) -> None:
    listener = store.listen([TOPIC])
    store.insert([NewJob("a", "q", "t", b"")], tx=connection)
    assert not listener.wait(0.2), "a job that is not committed woke somebody"
    connection.commit()
    assert listener.wait(PATIENCE), "a commit woke nobody"


def test_what_was_rolled_back_is_awaited_no_longer(store, connection) -> None:
    listener = store.listen([TOPIC])
    store.insert([NewJob("a", "q", "t", b"")], tx=connection)
    connection.rollback()
    watch, pause = store._bell._watch, threading.Event()
    ends = time.monotonic() + PATIENCE
    while watch.patience() is not None:
        assert time.monotonic() < ends, "who awaits a commit never gives up"
        pause.wait(0.01)
    assert not listener.wait(0.05)


def test_without_a_way_to_interrupt_nothing_is_promised(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Behind a proxy the connection's number is not the one it was greeted with: then who listens asks at intervals."""
    monkeypatch.setattr(pymysql.Connection, "thread_id", lambda connection: 1)
    with closing(MySQLDriver.connect(url)) as store:
        assert Features.WAKEUPS not in store.features
        store.migrate()
        listener = store.listen([TOPIC])
        store.insert([NewJob("a", "q", "t", b"")])
        assert not listener.wait(0.05)
        listener.close()


@pytest.mark.timed
def test_who_is_idle_asks_little(own_server: Callable[[str], Server]) -> None:
    """A worker with nothing to do: at most ten statements in a second, over more than a heartbeat."""
    server = own_server("mariadb")
    pause = threading.Event()
    with Longshore(server.url) as app, closing(opened(server.url)) as connection, app.worker(heartbeat=8.0):
        pause.wait(4)
        before, began = questions(connection), time.monotonic()
        pause.wait(9)
        assert (questions(connection) - before) / (time.monotonic() - began) <= 10


@pytest.mark.timed
def test_a_job_is_picked_up_soon(url: str) -> None:
    """From the call that enqueues it to its first line: at most 60 ms in half of the cases."""
    began: SimpleQueue[float] = SimpleQueue()
    with Longshore(url) as app, Longshore(url) as producer:

        @app.task
        def begin() -> None:
            began.put(time.monotonic())

        call = producer.call_by_name("begin")
        producer.enqueue(call)
        with app.worker():
            began.get(timeout=PATIENCE)
            took: list[float] = []
            for _ in range(20):
                enqueued = time.monotonic()
                producer.enqueue(call)
                took.append(began.get(timeout=PATIENCE) - enqueued)
    assert statistics.median(took) <= 0.06


def questions(connection: pymysql.Connection[Any]) -> int:
    return int(asked(connection, "SHOW GLOBAL STATUS LIKE 'Questions'")[0][1])
