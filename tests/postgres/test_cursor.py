"""The cursor of our own connections: what it sends, what it brings back, and what it raises."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import psycopg
import pytest

from longshore.contract import EVERY, NewJob
from longshore_sql.postgres import cursor as cursor_module
from longshore_sql.postgres.cursor import PreparedCursor


@pytest.fixture
def cursor(plain: str) -> Iterator[PreparedCursor]:
    with psycopg.connect(plain, autocommit=True) as connection:
        cursor = PreparedCursor(connection)
        cursor.execute("CREATE TEMP TABLE given (number int PRIMARY KEY, name text, value bytea)")
        yield cursor


INSERT = "INSERT INTO given VALUES (%s, %s, %s)"
ALL = "SELECT number, name, value FROM given ORDER BY number"


def status(cursor: PreparedCursor) -> int:
    found: int = cursor.connection.pgconn.transaction_status
    return found


@pytest.mark.parametrize(
    "row", [(1, "a'\\\t%", b"\0\xff\\x"), (-2, "", b""), (3, None, None), (4, "😀", b"a" * 3_000_000)], ids=str
)
def test_values_come_back_as_they_went(cursor: PreparedCursor, row: tuple[Any, ...]) -> None:
    assert cursor.execute(INSERT, row).rowcount == 1
    assert cursor.execute(ALL).fetchall() == [row]
    assert cursor.execute("SELECT value FROM given WHERE value = %s", (bytearray(row[2] or b""),)).fetchall() in (
        [(row[2],)],
        [],
    )


def test_rows_are_fetched_one_by_one_and_then_the_rest(cursor: PreparedCursor) -> None:
    cursor.executemany(INSERT, [(number, None, None) for number in range(5)])
    assert cursor.rowcount == 5
    cursor.execute("SELECT number FROM given ORDER BY number")
    assert (cursor.fetchone(), cursor.fetchone()) == ((0,), (1,))
    assert list(cursor) == [(2,), (3,), (4,)]
    assert (cursor.fetchone(), cursor.fetchall()) == (None, [])


def test_what_is_posted_runs_before_what_is_executed(cursor: PreparedCursor) -> None:
    cursor.post(INSERT, (1, "first", None))
    cursor.post("UPDATE given SET name = %s", ("second",))
    assert cursor.execute(ALL).fetchall() == [(1, "second", None)]


def test_what_is_posted_runs_before_many(cursor: PreparedCursor) -> None:
    cursor.post(INSERT, (1, None, None))
    cursor.executemany("UPDATE given SET name = %s WHERE number = %s", [("a", 1), ("b", 1)])
    assert cursor.execute(ALL).fetchall() == [(1, "b", None)]


def test_nobody_waits_for_what_follows(cursor: PreparedCursor, connection: psycopg.Connection[Any]) -> None:
    connection.execute("SELECT pg_advisory_xact_lock(7)")
    cursor.follow("INSERT INTO given SELECT 2 FROM (SELECT pg_advisory_xact_lock(7)) AS passed")
    assert cursor.execute(INSERT, (1, None, None)).rowcount == 1
    connection.rollback()
    assert cursor.execute("SELECT number FROM given ORDER BY number").fetchall() == [(1,), (2,)]


@pytest.mark.parametrize("first", [1, 2])
def test_what_follows_stands_alone_whichever_fails(cursor: PreparedCursor, first: int) -> None:
    cursor.execute(INSERT, (2, None, None))
    cursor.follow(INSERT, (3 - first, None, None))
    if first == 2:
        with pytest.raises(psycopg.errors.UniqueViolation):
            cursor.execute(INSERT, (first, None, None))
    else:
        cursor.execute(INSERT, (first, None, None))
    assert cursor.execute("SELECT number FROM given ORDER BY number").fetchall() == [(1,), (2,)]
    assert cursor.is_at_rest


def test_others_use_the_connection_once_what_followed_is_read(cursor: PreparedCursor) -> None:
    cursor.follow("SELECT 7")
    cursor.execute(INSERT, (1, None, None))
    cursor.settle()
    assert cursor.connection.execute("SELECT number FROM given").fetchall() == [(1,)]


def test_the_first_that_fails_is_raised_and_nothing_after_it_is_done(cursor: PreparedCursor) -> None:
    cursor.execute(INSERT, (1, None, None))
    cursor.post("BEGIN")
    cursor.post(INSERT, (1, None, None))
    with pytest.raises(psycopg.errors.UniqueViolation, match="duplicate key"):
        cursor.execute("SELECT 1 / 0")
    assert status(cursor) == psycopg.pq.TransactionStatus.INERROR
    cursor.execute("ROLLBACK")
    assert cursor.execute("SELECT 7").fetchall() == [(7,)]


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("SELECT * FROM nowhere", psycopg.errors.UndefinedTable),
        ("SELECT 1 / 0", psycopg.errors.DivisionByZero),
        ("DO $$BEGIN RAISE 'own' USING ERRCODE = 'LS001'; END$$", psycopg.DatabaseError),
    ],
)
def test_an_error_leaves_the_connection_as_it_was(cursor: PreparedCursor, text: str, kind: type[psycopg.Error]) -> None:
    with pytest.raises(kind):
        cursor.execute(text)
    assert status(cursor) == psycopg.pq.TransactionStatus.IDLE
    assert cursor.execute("SELECT '%%', %s::int", (1,)).fetchall() == [("%", 1)]


def test_a_connection_that_is_cut_is_an_operational_error(
    cursor: PreparedCursor, connection: psycopg.Connection[Any]
) -> None:
    connection.execute("SELECT pg_terminate_backend(%s)", (cursor.connection.info.backend_pid,))
    for _ in range(2):
        with pytest.raises(psycopg.OperationalError):
            cursor.execute("SELECT 1")


def test_only_so_many_statements_stay_prepared(cursor: PreparedCursor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cursor_module, "_MOST_PREPARED", 3)
    for number in (1, 2, 3, 1, 4, 5, 1, 2):
        assert cursor.execute(f"SELECT {number}").fetchall() == [(number,)]
    kept = cursor.execute("SELECT statement FROM pg_prepared_statements ORDER BY name").fetchall()
    assert [text for (text,) in kept] == ["SELECT 1", "SELECT 2", kept[-1][0]]


def test_a_handler_of_a_signal_ends_the_wait_and_the_connection_is_given_up(
    connect: Callable[..., Any], interrupted: Callable[[Callable[[], Any]], None]
) -> None:
    store = connect()
    with pytest.raises(KeyboardInterrupt), store._source.cursor() as cursor:
        interrupted(lambda: cursor.execute("SELECT pg_sleep(60)"))
    assert cursor.connection.closed
    assert store.now() > 0


def test_what_was_posted_is_never_sent_for_somebody_else(
    connect: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who is interrupted before anything was sent leaves no BEGIN behind, in which the next job would be lost."""
    store = connect()
    store.migrate()
    with monkeypatch.context() as patched:
        patched.setattr(PreparedCursor, "execute", interrupt)
        with pytest.raises(KeyboardInterrupt):
            store.read("kind")
    store.insert([NewJob("a", "q", "t", b"")])
    assert [job.id for job in connect().select(EVERY).jobs] == ["a"]


def test_who_is_interrupted_within_a_pipeline_leaves_it_to_nobody(
    connect: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    store = connect()
    store.migrate()

    def then_interrupted(cursor: PreparedCursor, sent: Any, *, send: Any = PreparedCursor._sent_together) -> Any:
        send(cursor, sent)
        cursor._server.enter_pipeline_mode()
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(PreparedCursor, "_sent_together", then_interrupted)
        with pytest.raises(KeyboardInterrupt):
            store.read("kind")
    assert store.read("kind") == []


def interrupt(*_: Any) -> None:
    raise KeyboardInterrupt


@pytest.fixture
def interrupted(plain: str) -> Callable[[Callable[[], Any]], None]:
    """Sends this process an interrupt once somebody sleeps in the server."""
    import os
    import signal
    import threading

    asleep = "SELECT 1 FROM pg_stat_activity WHERE query = 'SELECT pg_sleep(60)' AND state = 'active'"

    def interrupt() -> None:
        with psycopg.connect(plain, autocommit=True) as watching:
            while watching.execute(asleep).fetchone() is None:
                pass
        os.kill(os.getpid(), signal.SIGINT)

    def run(call: Callable[[], Any]) -> None:
        thread = threading.Thread(target=interrupt)
        thread.start()
        try:
            call()
        finally:
            thread.join()

    return run
