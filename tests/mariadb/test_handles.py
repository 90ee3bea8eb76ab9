"""Live objects of the application, as the store and as ``tx``."""

from __future__ import annotations

import ssl
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import Any

import pymysql
import pytest
from pymysql.cursors import DictCursor
from sqlalchemy import Engine, create_engine, text
from sqlalchemy.orm import Session

from longshore import registry
from longshore.contract import EVERY, Change, Claim, Insertion, NewJob, Write
from longshore.errors import ConfigurationError, InvalidValue, Unavailable
from longshore.states import FINISH, move
from longshore_sql.mysql.driver import MySQLDriver
from longshore_sql.sqlite.driver import SQLiteDriver
from tests.mariadb.conftest import Connect
from tests.mariadb.plain import asked, opened

JOB = NewJob("a", "q", "t", b"")
PATIENCE = 30


def ids(store: MySQLDriver) -> list[str]:
    return [job.id for job in store.select(EVERY).jobs]


def test_a_connection_keeps_no_certificates_of_authorities_that_it_does_not_check(store: MySQLDriver) -> None:
    with closing(store._source.opened()) as connection:
        assert connection.ctx.verify_mode is ssl.CERT_NONE
        assert connection.ctx.cert_store_stats()["x509_ca"] == 0


class TestAsTheStore:
    def test_an_engine(self, engine: Engine, namespace: str) -> None:
        with closing(registry.connect(engine, namespace=namespace)) as store:
            assert isinstance(store, MySQLDriver)
            store.migrate()
            listener = store.listen(["queue:q"])
            store.insert([JOB])
            assert listener.wait(PATIENCE)
            assert [job.id for job in store.claim([Claim(queues=("q",))], holder="h", limit=1).jobs] == ["a"]
        with engine.connect() as connection:
            assert connection.execute(text("SELECT @@tx_isolation, @@autocommit")).one() == ("REPEATABLE-READ", 0)

    def test_a_connection(self, connection: pymysql.Connection[Any], namespace: str) -> None:
        before = asked(connection, "SELECT @@tx_isolation, @@autocommit, @@sql_mode, @@innodb_lock_wait_timeout")
        connection.rollback()
        with closing(registry.connect(connection, namespace=namespace)) as store:
            store.migrate()
            store.insert([JOB])
            assert [job.id for job in store.select(EVERY).jobs] == ["a"]
            with store.transaction() as tx:
                store.insert([NewJob("b", "q", "t", b"")], tx=tx)
            assert ids(store) == ["b", "a"]
        assert (
            asked(connection, "SELECT @@tx_isolation, @@autocommit, @@sql_mode, @@innodb_lock_wait_timeout") == before
        )

    def test_a_connection_inside_a_transaction_is_refused(
        self, store: MySQLDriver, connection: pymysql.Connection[Any], namespace: str
    ) -> None:
        with closing(MySQLDriver.connect(connection, namespace=namespace)) as held:
            asked(connection, f"SELECT * FROM {namespace}_meta")
            with pytest.raises(ConfigurationError, match="inside a transaction"):
                held.select(EVERY)

    def test_an_engine_of_another_database_is_not_taken_for_one_of_this(self) -> None:
        engine = create_engine("sqlite:///:memory:")
        assert registry.driver_for(engine) is SQLiteDriver
        engine.dispose()

    def test_an_engine_with_another_library_is_refused(self) -> None:
        with pytest.raises(ConfigurationError, match="mysqldb"):
            MySQLDriver.connect(create_engine("sqlite:///:memory:"))

    def test_a_connection_that_speaks_another_character_set_is_refused(self, url: str) -> None:
        with closing(opened(url)) as connection:
            connection.set_character_set("latin1")
            with pytest.raises(ConfigurationError, match="utf8mb4"):
                MySQLDriver.connect(connection)


def test_transactions_share_an_engine(connect: Any) -> None:
    """Each would else go on hearing of the pool's connections, for as long as that lives."""
    store = connect()
    with store.transaction() as one, store.transaction() as other:
        assert one.engine is other.engine


class TestTransactions:
    @pytest.mark.parametrize("level", ["READ COMMITTED", "REPEATABLE READ"])
    def test_only_where_reads_repeat_does_a_change_hold_up_inserts_beside_it(
        self, store: MySQLDriver, connect: Connect, connection: pymysql.Connection[Any], level: str
    ) -> None:
        store.insert([JOB])
        (job,) = store.claim([Claim(queues=("q",))], holder="h", limit=1).jobs
        asked(connection, f"SET SESSION TRANSACTION ISOLATION LEVEL {level}")
        connection.begin()
        store.update([move(FINISH, job)], tx=connection)
        beside, others = [NewJob("0", "q", "t", b"")], connect(lock_timeout=1)
        if level == "REPEATABLE READ":
            with pytest.raises(Unavailable):
                others.insert(beside)
            connection.rollback()
        assert [answer.outcome for answer in others.insert(beside)] == [Insertion.INSERTED]

    def test_with_a_session(self, store: MySQLDriver, engine: Engine) -> None:
        listener = store.listen(["queue:q"])
        with Session(engine) as session:
            store.insert([JOB], tx=session)
            assert ids(store) == []
            session.commit()
        assert ids(store) == ["a"]
        assert listener.wait(PATIENCE), "a commit woke nobody"

    def test_with_a_session_that_is_rolled_back(self, store: MySQLDriver, engine: Engine) -> None:
        with Session(engine) as session:
            store.insert([JOB], tx=session)
            store.write([Write("kind", "key", b"1")], tx=session)
            session.rollback()
        assert ids(store) == []
        assert store.read("kind") == []

    def test_with_a_connection_on_which_nothing_was_done_yet(self, store: MySQLDriver, engine: Engine) -> None:
        with engine.connect() as connection:
            store.insert([JOB], tx=connection)
            connection.commit()
        assert ids(store) == ["a"]

    def test_with_the_librarys_own(self, store: MySQLDriver, connection: pymysql.Connection[Any]) -> None:
        listener = store.listen(["queue:q"])
        store.insert([JOB], tx=connection)
        assert ids(store) == []
        connection.commit()
        assert ids(store) == ["a"]
        assert listener.wait(PATIENCE), "a commit woke nobody"

    def test_a_crash_before_the_commit_leaves_nothing(self, store: MySQLDriver, url: str, connection) -> None:
        with closing(opened(url)) as dying:
            store.insert([JOB], tx=dying)
            asked(connection, f"KILL {dying.thread_id()}")
            with pytest.raises(pymysql.MySQLError):
                dying.commit()
        assert ids(store) == []

    def test_what_was_committed_after_the_transaction_began_decides(
        self, store: MySQLDriver, connection: pymysql.Connection[Any], namespace: str
    ) -> None:
        """A transaction that repeats its reads does not see it, and yet an insert is answered as it is."""
        asked(connection, f"SELECT COUNT(*) FROM {namespace}_job")
        store.insert([JOB, NewJob("b", "q", "t", b"", unique_key="u"), NewJob("c", "q", "t", b"", key="k")])
        new = [JOB, NewJob("d", "q", "t", b"", unique_key="u"), NewJob("e", "q", "t", b"", key="k", turns=2)]
        repeated, held, turned = store.insert(new, tx=connection)
        assert (repeated.outcome, held.outcome, held.held_by) == (Insertion.REPEATED, Insertion.HELD, "b")
        assert turned.outcome is Insertion.INSERTED
        connection.commit()
        assert {job.id: job.turn for job in store.select(EVERY).jobs if job.key} == {"c": 0, "e": 1}

    def test_a_deadlock_is_the_applications_to_repeat(self, store: MySQLDriver, url: str) -> None:
        """The server has rolled back all that the transaction did: the error says so, and nothing is repeated."""
        store.insert([JOB, NewJob("b", "q", "t", b"")])
        both = threading.Barrier(2)

        def change(order: tuple[str, str], weight: int) -> Unavailable | None:
            with closing(opened(url)) as connection:
                store.insert([NewJob(f"{order} {number}", "q", "t", b"") for number in range(weight)], tx=connection)
                both.wait(PATIENCE)  # A row that is locked keeps others from inserting before it.
                store.update([Change(order[0], fields={"priority": 1})], tx=connection)
                both.wait(PATIENCE)
                try:
                    store.update([Change(order[1], fields={"priority": 1})], tx=connection)
                except Unavailable as error:
                    return error
                connection.commit()
                return None

        with ThreadPoolExecutor() as pool:
            found = [pool.submit(change, ("a", "b"), 3), pool.submit(change, ("b", "a"), 1)]
            (error,) = filter(None, (one.result(PATIENCE) for one in found))
        assert "begin it again" in str(error)
        assert error.unknown is False
        survivors = {job.id.partition(")")[0] for job in store.select(EVERY).jobs} - {"a", "b"}
        assert len(survivors) == 1, "of the transaction that was rolled back something stayed"

    def test_a_connection_in_no_transaction_is_refused(self, store: MySQLDriver, connection) -> None:
        connection.autocommit(True)
        with pytest.raises(InvalidValue, match="execute BEGIN"):
            store.insert([JOB], tx=connection)

    @pytest.mark.parametrize("tx", [7, object()])
    def test_anything_else_is_refused(self, store: MySQLDriver, tx: object) -> None:
        with pytest.raises(ConfigurationError, match="PyMySQL"):
            store.insert([JOB], tx=tx)

    def test_rows_come_as_they_are_needed_whatever_the_applications_cursors_are(self, store: MySQLDriver, url) -> None:
        with closing(opened(url)) as connection:
            connection.cursorclass = DictCursor
            store.insert([JOB], tx=connection)
            connection.commit()
        assert ids(store) == ["a"]
