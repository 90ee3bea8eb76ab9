"""What only MariaDB does in several steps, ended after each of them."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

import pymysql
import pytest

from longshore.contract import Claim, NewJob, Write
from longshore.errors import SchemaError
from longshore_sql.mysql.driver import MySQLDriver
from longshore_sql.mysql.wakes import CommitWatch
from tests.mariadb.plain import asked, opened

TOPIC = "queue:q"
PATIENCE = 30.0
DIED = 9


class Died(Exception):
    """What stands for the end of a process."""


class DoomedCursor:
    """Ends its process, as it were, after so many statements."""

    def __init__(self, cursor: Any, statements: int) -> None:
        self._cursor = cursor
        self._left = statements

    def __getattr__(self, name: str) -> Any:
        return getattr(self._cursor, name)

    def execute(self, text: str, values: Sequence[Any] = ()) -> Any:
        if not self._left:
            raise Died
        self._left -= 1
        return self._cursor.execute(text, values)


class DoomedMigration(MySQLDriver):
    """Dies while it makes the tables."""

    statements = 0

    def _migrate(self, cursor: Any) -> None:
        super()._migrate(DoomedCursor(cursor, self.statements))


@pytest.mark.parametrize("statements", [1, 8, 12])
def test_who_died_while_he_made_the_tables_leaves_nothing_in_the_way(url: str, connect, statements: int) -> None:
    """Each table is committed by itself; the version comes last."""
    doomed = DoomedMigration.connect(url)
    doomed.statements = statements
    with pytest.raises(Died):
        doomed.migrate()
    doomed.close()
    store = connect()
    with pytest.raises(SchemaError, match="run migrate"):
        store.read("kind")
    store.migrate()
    store.insert([NewJob("a", "q", "t", b"")])
    store.write([Write("kind", "key", b"1")])


def test_who_died_before_he_interrupted_is_heard_at_the_end_of_the_sleep(
    store: MySQLDriver, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """He has marked who is to wake up."""

    def wake_and_die() -> None:
        monkeypatch.setattr("longshore_sql.mysql.wakes.interrupt", lambda *given: os._exit(DIED))
        MySQLDriver.connect(url).wake([TOPIC])
        threading.Event().wait(PATIENCE)

    listener = store.listen([TOPIC])
    assert in_a_child(wake_and_die) == DIED
    assert listener.wait(PATIENCE), "who was marked never heard of it"


def test_who_dies_between_the_commit_and_the_look_leaves_a_job_that_is_found(store: MySQLDriver, url: str) -> None:
    """Nobody is woken; the job is there for whoever looks."""

    def store_and_die() -> None:
        own, application = MySQLDriver.connect(url), opened(url)
        watch = CommitWatch("nothing")
        watch.committed = lambda cursor: os._exit(DIED)  # type: ignore[method-assign]
        own._bell._watch = watch
        own.insert([NewJob("a", "q", "t", b"")], tx=application)
        application.commit()
        threading.Event().wait(PATIENCE)

    assert in_a_child(store_and_die) == DIED
    assert await_job(store) == ["a"]


def test_lines_of_a_listener_that_was_killed_are_struck_off(
    store: MySQLDriver, url: str, connection: pymysql.Connection[Any], namespace: str
) -> None:
    """By the next who rings for one of its topics, as soon as the server knows that it is gone."""

    def listen_and_die() -> None:
        MySQLDriver.connect(url).listen([TOPIC])
        os._exit(DIED)

    assert in_a_child(listen_and_die) == DIED
    assert lines(connection, namespace) == 1
    ends, pause = time.monotonic() + PATIENCE, threading.Event()
    while lines(connection, namespace):
        assert time.monotonic() < ends, "the line of a listener that was killed stays"
        store.wake([TOPIC])
        pause.wait(0.05)


def lines(connection: pymysql.Connection[Any], namespace: str) -> int:
    """How many there are on the board."""
    return int(asked(connection, f"SELECT count(*) FROM {namespace}_ear")[0][0])


def await_job(store: MySQLDriver) -> list[str]:
    """What is claimed as soon as the server has done what a process asked for that is no more."""
    ends, pause = time.monotonic() + PATIENCE, threading.Event()
    while time.monotonic() < ends:
        if jobs := store.claim([Claim(("q",))], holder="h", limit=1).jobs:
            return [job.id for job in jobs]
        pause.wait(0.02)
    return []


def in_a_child(act: Callable[[], None]) -> int:
    """The exit code of a process that does so."""
    child = os.fork()
    if child == 0:
        with suppress(BaseException):
            act()
        os._exit(1)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
