"""Newer code brings the tables up to date while older code works with them."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psycopg
import pytest

from longshore import Longshore, State
from longshore.contract import EVERY, Change, Claim, NewJob
from longshore.errors import Unavailable
from longshore_sql.postgres.driver import PostgresDriver
from longshore_sql.schema import VERSION
from postgres.newer import newer

SCHEMAS = Path(__file__).parent / "schemas"
PATIENCE = 30.0
WAITS = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'CREATE INDEX CONCURRENTLY%%' || %s || '_%%'"


def old_tables(connection: psycopg.Connection[Any], namespace: str, version: int) -> None:
    """Makes the tables as an older version made them."""
    script = (SCHEMAS / f"{version}.sql").read_text().replace("longshore_", f"{namespace}_")
    connection.execute(script)
    connection.commit()


def tables(connection: psycopg.Connection[Any], namespace: str) -> dict[str, list[Any]]:
    """All columns, indexes, constraints and sequences, without the namespace."""
    queries = {
        "columns": "SELECT table_name, column_name, data_type, collation_name, is_nullable, column_default "
        "FROM information_schema.columns WHERE table_name LIKE %s",
        "indexes": "SELECT indexname, indexdef FROM pg_indexes WHERE tablename LIKE %s",
        "constraints": "SELECT conname, pg_get_constraintdef(pg_constraint.oid) FROM pg_constraint "
        "JOIN pg_class ON pg_class.oid = conrelid WHERE relname LIKE %s",
        "sequences": "SELECT sequencename, data_type::text FROM pg_sequences WHERE sequencename LIKE %s",
        "broken": "SELECT relname FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid "
        "WHERE NOT indisvalid AND relname LIKE %s",
    }
    found = {name: connection.execute(query, (f"{namespace}\\_%",)).fetchall() for name, query in queries.items()}
    connection.commit()
    return {name: sorted(str(row).replace(namespace, "n") for row in rows) for name, rows in found.items()}


def waits_for_it(connection: psycopg.Connection[Any], namespace: str) -> bool:
    """Whether somebody builds an index of this namespace."""
    (number,) = connection.execute(WAITS, (namespace,)).fetchone() or (0,)
    connection.commit()
    return bool(number)


def until(condition: Callable[[], bool]) -> None:
    """Waits for what only the server can tell."""
    ends, pause = time.monotonic() + PATIENCE, threading.Event()
    while not condition():
        assert time.monotonic() < ends
        pause.wait(0.01)


@pytest.fixture
def created(connect, url: str, namespace: str, connection) -> dict[str, list[Any]]:
    """The tables as newer code creates them."""
    other = url.replace(namespace, f"{namespace}c")
    newer(connect, f"{namespace}c", target=other).migrate()
    return tables(connection, f"{namespace}c")


@pytest.mark.parametrize("version", range(1, VERSION + 1))
def test_an_old_store_comes_to_the_same_as_a_new_one(
    connect, connection, url: str, namespace: str, version: int
) -> None:
    """Each version that was released is kept beside this test, as it created its tables."""
    old_tables(connection, namespace, version)
    connect().migrate()
    connect(url.replace(namespace, f"{namespace}c")).migrate()
    assert tables(connection, namespace) == tables(connection, f"{namespace}c")


def test_the_examples_of_a_store_are_released_versions() -> None:
    assert sorted(file.name for file in SCHEMAS.iterdir()) == [f"{number}.sql" for number in range(1, VERSION + 1)]


def test_a_worker_of_the_older_code_goes_on_while_newer_code_migrates(
    connect, connection, url: str, namespace: str, created
) -> None:
    """And after that both work side by side: what one stores the other runs."""
    old_tables(connection, namespace, VERSION)
    enough, ends = threading.Event(), []
    with Longshore(url) as app:

        @app.task
        def count(number: int) -> int:
            ends.append(number)
            if len(ends) > 50:
                enough.set()
            return number

        jobs = app.enqueue_many([count.call(number) for number in range(600)])
        with app.worker(slots=4, poll=0.5):
            assert enough.wait(PATIENCE)
            after = newer(connect, namespace)
            after.migrate()
            assert tables(connection, namespace) == created
            fields = {"digest": b"", "codec": app.store.select(EVERY, limit=1).jobs[0].codec}
            after.insert([NewJob("of the newer", "default", "count", b'{"number":-1}', **fields)])
            assert app.job("of the newer").wait(timeout=PATIENCE).state is State.SUCCEEDED
            assert [job.wait(timeout=PATIENCE).state for job in jobs] == [State.SUCCEEDED] * len(jobs)
        assert sorted(ends) == list(range(-1, 600)), "a job ran twice, or never"
        app.enqueue(count.options(queue="q").call(3))
        taken = after.claim([Claim(queues=("q",))], holder="newer", limit=1).jobs
        done = Change(taken[0].id, State.SUCCEEDED, generation=1, holder="newer", settles=True)
        assert after.update([done])[0].state is State.SUCCEEDED
        assert app.job(taken[0].id).info().state is State.SUCCEEDED


def test_while_an_index_is_built_others_write(connect, store: PostgresDriver, connection, namespace: str) -> None:
    """It waits for a transaction that stays open, for longer than `lock_timeout`, and keeps nobody waiting."""
    newer(connect, namespace, steps=1).migrate()
    after = newer(connect, namespace, lock_timeout=0.2)
    with ThreadPoolExecutor() as pool:
        with connect().transaction() as tx:
            store.insert([NewJob("open", "q", "t", b"")], tx=tx)
            building = pool.submit(after.migrate)
            until(lambda: waits_for_it(connection, namespace))
            ends = time.monotonic() + 0.5
            store.insert([NewJob("a", "q", "t", b"")])
            assert [job.id for job in store.claim([Claim(queues=("q",))], holder="h", limit=5).jobs] == ["a"]
            until(lambda: time.monotonic() > ends)
            assert not building.done()
        building.result(PATIENCE)


def test_an_index_whose_builder_died_is_built_anew(
    connect, store: PostgresDriver, connection, namespace: str, created
) -> None:
    newer(connect, namespace, steps=1).migrate()
    after = newer(connect, namespace)
    end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'CREATE INDEX CONCURRENTLY%%' || %s"
    with ThreadPoolExecutor() as pool, connect().transaction() as tx:
        store.insert([NewJob("a", "q", "t", b"")], tx=tx)
        building = pool.submit(after.migrate)
        until(lambda: waits_for_it(connection, namespace))
        connection.execute(end, (f"{namespace}_%",))
        connection.commit()
        with pytest.raises(Unavailable):
            building.result(PATIENCE)
    assert tables(connection, namespace)["broken"], "the index was left half-built"
    store.insert([NewJob("b", "q", "t", b"")])
    after.migrate()
    assert tables(connection, namespace) == created


def test_many_who_migrate_at_once_take_each_step_once(
    connect, store: PostgresDriver, connection, namespace: str, created
) -> None:
    with ThreadPoolExecutor(4) as pool:
        for migrating in [pool.submit(newer(connect, namespace).migrate) for _ in range(4)]:
            migrating.result(PATIENCE)
    assert tables(connection, namespace) == created


def test_a_step_that_cannot_lock_a_table_keeps_others_waiting_no_longer_than_lock_timeout(
    connect, store: PostgresDriver, connection, namespace: str, created
) -> None:
    after = newer(connect, namespace, lock_timeout=0.2)
    before = tables(connection, namespace)
    with connect().transaction() as tx:
        store.insert([NewJob("open", "q", "t", b"")], tx=tx)
        with pytest.raises(Unavailable) as caught:
            after.migrate()
        assert caught.value.unknown is False
        assert tables(connection, namespace) == before
    after.migrate()
    assert tables(connection, namespace) == created
