"""Live objects of the application that are handed in, or given as ``tx``."""

from __future__ import annotations

import os
import sqlite3
import threading
from pathlib import Path

import pytest
import sqlalchemy
from sqlalchemy.orm import Session
from sqlalchemy.pool import QueuePool

from longshore.contract import Change, Claim, Features, NewJob, State, Where, Write
from longshore.errors import ConfigurationError, InvalidValue, SchemaError, Unavailable
from longshore_sql.sqlite.driver import SQLiteDriver

JOB = NewJob("a", "queue", "task", b"payload")
HANDLES = ["engine", "connection", "sqlite3", "sqlite3 in autocommit"]


@pytest.fixture(params=HANDLES)
def handle(request: pytest.FixtureRequest, path: Path):
    if request.param.startswith("sqlite3"):
        level = None if "autocommit" in request.param else ""
        connection = sqlite3.connect(path, check_same_thread=False, isolation_level=level)
        yield connection
        connection.close()
        return
    engine = sqlalchemy.create_engine(f"sqlite:///{path}")
    if request.param == "engine":
        yield engine
    else:
        with engine.connect() as connection:
            yield connection
    engine.dispose()


def settings(handle) -> list[object]:
    if isinstance(handle, sqlalchemy.Engine):
        with handle.connect() as connection:
            return settings(connection)
    raw = handle if isinstance(handle, sqlite3.Connection) else handle.connection.driver_connection
    pragmas = ("journal_mode", "synchronous", "busy_timeout", "foreign_keys", "cache_size")
    values = [raw.execute(f"PRAGMA {pragma}").fetchone()[0] for pragma in pragmas]
    return [*values, raw.isolation_level, raw.row_factory, raw.text_factory]


def test_a_handle_serves_and_stays_as_it_was(handle, connect) -> None:
    before = settings(handle)
    store = connect(handle)
    store.migrate()
    store.insert([JOB])
    (job,) = store.claim([Claim(("queue",))], holder="holder", limit=1).jobs
    store.update([Change("a", State.SUCCEEDED, {"result": b"7"}, None, job.generation, "holder", settles=True)])
    assert store.select(Where()).jobs[0].result == b"7"
    assert store.write([Write("kind", "key", b"1")]) == [1]
    store.close()
    assert settings(handle) == before, "a handle was reconfigured, or closed"


def test_the_target_of_a_handle_reaches_the_same_store(handle, connect) -> None:
    store = connect(handle, namespace="own")
    store.migrate()
    store.insert([JOB])
    again = connect(store.target)
    assert again.select(Where(ids=["a"])).jobs
    assert "namespace=own" in store.target


def test_a_handle_promises_durability_only_when_its_commits_reach_the_disk(path: Path, connect) -> None:
    with sqlite3.connect(path) as connection:
        assert Features.DURABLE in connect(connection).features
        connection.execute("PRAGMA synchronous = NORMAL")
        assert Features.DURABLE not in connect(connection).features
    connection.close()


def test_every_handle_is_named() -> None:
    assert SQLiteDriver.handles == tuple(
        f"{kind.__module__}.{kind.__qualname__}"
        for kind in (sqlite3.Connection, sqlalchemy.Engine, sqlalchemy.Connection)
    )


def test_an_engines_pool_gets_its_connections_back(path: Path, connect) -> None:
    engine = sqlalchemy.create_engine(f"sqlite:///{path}", poolclass=QueuePool, pool_size=1, max_overflow=0)
    store = connect(engine)
    store.migrate()
    store.insert([JOB])
    assert engine.pool.checkedout() == 0
    engine.dispose()


def test_a_connection_inside_a_transaction_is_asked_for_as_tx(connect, store, path: Path) -> None:
    connection = sqlite3.connect(path)
    driver = connect(connection)
    connection.execute("INSERT INTO longshore_meta VALUES ('mine', 1)")
    with pytest.raises(ConfigurationError, match="give it as tx"):
        driver.insert([JOB])
    driver.insert([JOB], tx=connection)
    connection.rollback()
    connection.close()
    assert not store.select(Where()).jobs


def test_a_connection_of_one_thread_says_so_in_another(connect, path: Path, store) -> None:
    connection = sqlite3.connect(path)
    driver = connect(connection)
    caught: list[Exception] = []

    def use() -> None:
        try:
            driver.select(Where())
        except ConfigurationError as error:
            caught.append(error)

    thread = threading.Thread(target=use)
    thread.start()
    thread.join()
    connection.close()
    assert "check_same_thread=False" in str(caught[0])


def test_an_own_row_factory_does_not_disturb(connect, path: Path) -> None:
    connection = sqlite3.connect(path)
    connection.row_factory = sqlite3.Row
    store = connect(connection)
    store.migrate()
    store.insert([JOB])
    assert store.select(Where()).jobs[0].id == "a"
    connection.close()


@pytest.mark.parametrize("wrong", [object(), sqlalchemy.create_mock_engine("sqlite://", lambda *_: None)])
def test_another_kind_of_handle_is_refused(connect, wrong: object) -> None:
    with pytest.raises(ConfigurationError, match="expected"):
        connect(wrong)


def test_a_database_in_memory_is_refused(connect) -> None:
    connection = sqlite3.connect(":memory:")
    with pytest.raises(ConfigurationError, match="memory://"):
        connect(connection)
    connection.close()


class TestTx:
    """What is given as ``tx`` commits and rolls back with the application's own statements."""

    @pytest.fixture
    def engine(self, path: Path, store: SQLiteDriver):
        engine = sqlalchemy.create_engine(f"sqlite:///{path}")
        with engine.begin() as connection:
            connection.exec_driver_sql("CREATE TABLE invoice (number INTEGER)")
        yield engine
        engine.dispose()

    def test_a_session(self, engine, store: SQLiteDriver) -> None:
        with Session(engine) as session:
            session.execute(sqlalchemy.text("INSERT INTO invoice VALUES (1)"))
            assert store.insert([JOB], tx=session)[0].state is State.PENDING
            session.rollback()
        assert not store.select(Where()).jobs
        with Session(engine) as session, session.begin():
            store.insert([JOB], tx=session)
            session.execute(sqlalchemy.text("INSERT INTO invoice VALUES (1)"))
            store.write([Write("kind", "key", b"1")], tx=session)
        assert len(store.select(Where()).jobs) == len(store.read("kind")) == 1

    def test_a_connection(self, engine, store: SQLiteDriver) -> None:
        with engine.connect() as connection:
            store.insert([JOB], tx=connection)
            connection.rollback()
            assert not store.select(Where()).jobs
            store.insert([JOB], tx=connection)
            assert not store.select(Where()).jobs, "it is seen before the commit"
            connection.commit()
        assert store.select(Where()).jobs

    @pytest.mark.parametrize("begins", ["by itself", "by hand"])
    def test_sqlite3(self, path: Path, store: SQLiteDriver, begins: str) -> None:
        connection = sqlite3.connect(path, isolation_level="" if begins == "by itself" else None)
        for end, expected in (("ROLLBACK", 0), ("COMMIT", 1)):
            if begins == "by hand":
                connection.execute("BEGIN")
            store.insert([JOB], tx=connection)
            assert connection.in_transaction
            connection.execute(end)
            assert len(store.select(Where()).jobs) == expected
        connection.close()

    def test_a_connection_that_is_in_no_transaction_is_refused(self, path: Path, store: SQLiteDriver) -> None:
        connection = sqlite3.connect(path, isolation_level=None)
        with pytest.raises(InvalidValue, match="execute BEGIN"):
            store.insert([JOB], tx=connection)
        connection.close()
        assert not store.select(Where()).jobs

    def test_something_else_is_refused(self, store: SQLiteDriver) -> None:
        with pytest.raises(ConfigurationError, match="SQLAlchemy"):
            store.insert([JOB], tx=object())

    def test_a_run_completes_in_the_applications_transaction(self, engine, store: SQLiteDriver) -> None:
        store.insert([JOB])
        (job,) = store.claim([Claim(("queue",))], holder="holder", limit=1).jobs
        change = Change("a", State.SUCCEEDED, {}, None, job.generation, "holder", settles=True)
        with engine.connect() as connection:
            store.update([change], tx=connection)
            connection.rollback()
        assert store.select(Where()).jobs[0].state is State.RUNNING
        with engine.begin() as connection:
            store.update([change], tx=connection)
        assert store.select(Where()).jobs[0].state is State.SUCCEEDED

    def test_a_snapshot_that_is_too_old_to_write_fails_and_changes_nothing(
        self, path: Path, store: SQLiteDriver
    ) -> None:
        connection = sqlite3.connect(path, isolation_level=None, timeout=0)
        connection.execute("BEGIN")
        connection.execute("SELECT * FROM longshore_job").fetchall()
        store.insert([NewJob("b", "queue", "task", b"")])
        with pytest.raises(Unavailable) as caught:
            store.insert([JOB], tx=connection)
        assert not caught.value.unknown
        connection.close()

    def test_a_database_without_tables_says_so(self, tmp_path: Path, connect) -> None:
        other = sqlite3.connect(tmp_path / "other.db")
        with pytest.raises(SchemaError, match="run migrate"):
            connect(f"sqlite:///{tmp_path}/other.db").insert([JOB], tx=other)
        other.close()


def test_a_child_of_fork_opens_its_own(store: SQLiteDriver, path: Path) -> None:
    store.insert([JOB])
    lock = store._in_line()
    child = os.fork()
    if child == 0:
        ended = 1
        try:
            store.insert([NewJob("child", "queue", "task", b"")])
            ended = int(store._in_line() is lock)
        finally:
            os._exit(ended)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    store.insert([NewJob("parent", "queue", "task", b"")])
    assert {job.id for job in store.select(Where()).jobs} == {"a", "child", "parent"}


def test_a_child_of_fork_is_not_stopped_by_a_call_that_was_under_way(store: SQLiteDriver) -> None:
    with store._transaction():
        child = os.fork()
        if child == 0:
            os._exit(0 if store.select(Where()).jobs == [] else 1)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
