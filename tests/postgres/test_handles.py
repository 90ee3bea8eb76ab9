"""Live objects of the application, as the store and as ``tx``."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from typing import Any

import psycopg
import pytest
from psycopg.pq import TransactionStatus
from psycopg.rows import dict_row
from sqlalchemy import Engine, create_engine, text
from sqlalchemy.orm import Session

from longshore import registry
from longshore.contract import EVERY, Claim, NewJob, Write
from longshore.errors import ConfigurationError, InvalidValue
from longshore_sql.postgres.driver import PostgresDriver
from longshore_sql.sqlite.driver import SQLiteDriver

JOB = NewJob("a", "q", "t", b"")


@pytest.fixture
def engine(plain: str) -> Iterator[Engine]:
    engine = create_engine(plain.replace("postgresql://", "postgresql+psycopg://"))
    yield engine
    engine.dispose()


def ids(store: PostgresDriver) -> list[str]:
    return [job.id for job in store.select(EVERY).jobs]


class TestAsTheStore:
    def test_an_engine(self, engine: Engine, namespace: str) -> None:
        with closing(registry.connect(engine, namespace=namespace)) as store:
            assert isinstance(store, PostgresDriver)
            store.migrate()
            store.insert([JOB])
            assert [job.id for job in store.claim([Claim(queues=("q",))], holder="h", limit=1).jobs] == ["a"]
        with engine.connect() as connection:
            driver: Any = connection.connection.driver_connection
            assert driver.autocommit is False, "a connection came back to the pool other than it was"
            assert connection.execute(text("SHOW enable_seqscan")).scalar() == "on"

    def test_a_psycopg_connection(self, connection: psycopg.Connection[Any], namespace: str) -> None:
        connection.row_factory = dict_row
        with closing(registry.connect(connection, namespace=namespace)) as store:
            store.migrate()
            store.insert([JOB])
            assert [job.id for job in store.select(EVERY).jobs] == ["a"]
        assert not connection.closed
        assert connection.autocommit is False
        assert connection.execute("SELECT 1 AS one").fetchone() == {"one": 1}

    def test_a_connection_inside_a_transaction_is_refused(
        self, store: PostgresDriver, connection: psycopg.Connection[Any], namespace: str
    ) -> None:
        with closing(PostgresDriver.connect(connection, namespace=namespace)) as held:
            connection.execute("SELECT 1")
            with pytest.raises(ConfigurationError, match="inside a transaction"):
                held.select(EVERY)
            assert connection.info.transaction_status is TransactionStatus.INTRANS

    def test_an_engine_of_another_database_is_not_taken_for_one_of_this(self) -> None:
        engine = create_engine("sqlite:///:memory:")
        assert registry.driver_for(engine) is SQLiteDriver
        engine.dispose()

    def test_an_engine_with_another_library_is_refused(self) -> None:
        with pytest.raises(ConfigurationError, match="psycopg"):
            PostgresDriver.connect(create_engine("sqlite:///:memory:"))


class TestTransactions:
    def test_with_a_session(self, store: PostgresDriver, engine: Engine) -> None:
        with Session(engine) as session:
            store.insert([JOB], tx=session)
            assert ids(store) == []
            session.commit()
        assert ids(store) == ["a"]

    def test_with_a_session_that_is_rolled_back(self, store: PostgresDriver, engine: Engine) -> None:
        with Session(engine) as session:
            store.insert([JOB], tx=session)
            store.write([Write("kind", "key", b"1")], tx=session)
            session.rollback()
        assert ids(store) == []
        assert store.read("kind") == []

    def test_with_a_connection_on_which_nothing_was_done_yet(self, store: PostgresDriver, engine: Engine) -> None:
        with engine.connect() as connection:
            store.insert([JOB], tx=connection)
            connection.commit()
        assert ids(store) == ["a"]

    def test_with_psycopg(self, store: PostgresDriver, connection: psycopg.Connection[Any]) -> None:
        listener = store.listen(["queue:q"])
        connection.row_factory = dict_row
        with connection.transaction():
            store.insert([JOB], tx=connection)
            assert ids(store) == []
        assert ids(store) == ["a"]
        assert listener.wait(30), "a commit woke nobody"

    def test_what_the_application_wrote_goes_with_it(
        self, store: PostgresDriver, connection: psycopg.Connection[Any], namespace: str
    ) -> None:
        connection.execute(f"CREATE TABLE {namespace}_purchase (id int PRIMARY KEY)")
        connection.commit()
        connection.execute(f"INSERT INTO {namespace}_purchase VALUES (1)")
        store.insert([JOB], tx=connection)
        with pytest.raises(psycopg.errors.UniqueViolation):
            connection.execute(f"INSERT INTO {namespace}_purchase VALUES (1)")
        connection.rollback()
        assert ids(store) == []

    def test_a_crash_before_the_commit_leaves_nothing(
        self, store: PostgresDriver, connection: psycopg.Connection[Any], plain: str
    ) -> None:
        store.insert([JOB], tx=connection)
        with psycopg.connect(plain, autocommit=True) as admin:
            admin.execute("SELECT pg_terminate_backend(%s)", (connection.info.backend_pid,))
        with pytest.raises(psycopg.OperationalError):
            connection.commit()
        assert ids(store) == []

    def test_a_connection_in_no_transaction_is_refused(self, store: PostgresDriver, plain: str) -> None:
        with (
            psycopg.connect(plain, autocommit=True) as connection,
            pytest.raises(InvalidValue, match="execute BEGIN"),
        ):
            store.insert([JOB], tx=connection)

    @pytest.mark.parametrize("tx", [7, object()])
    def test_anything_else_is_refused(self, store: PostgresDriver, tx: object) -> None:
        with pytest.raises(ConfigurationError, match="psycopg"):
            store.insert([JOB], tx=tx)

    def test_nothing_is_set_on_the_applications_connection(
        self, store: PostgresDriver, connection: psycopg.Connection[Any]
    ) -> None:
        before = connection.execute("SELECT name, setting FROM pg_settings ORDER BY name").fetchall()
        store.insert([JOB], tx=connection)
        assert connection.execute("SELECT name, setting FROM pg_settings ORDER BY name").fetchall() == before
