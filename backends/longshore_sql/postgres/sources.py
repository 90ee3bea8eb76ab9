"""Where the connections to PostgreSQL come from, where the application has handed in a live object."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any, Final

import psycopg
import sqlalchemy
from psycopg.pq import TransactionStatus
from psycopg.rows import tuple_row
from sqlalchemy.pool import NullPool

from longshore.errors import ConfigurationError
from longshore_sql.handles import in_sqlalchemy, outside, unwrapped
from longshore_sql.postgres.awaited_cursor import AwaitedCursor
from longshore_sql.postgres.cursor import PreparedCursor
from longshore_sql.postgres.errors import unopened
from longshore_sql.statements import Cursor

Connection = psycopg.Connection[Any]
Lent = psycopg.Cursor[Any] | PreparedCursor

# A table that has just begun to fill has no statistics, and what a planner makes of that lasts as long as its plan:
# every statement here is made for a walk along an index, so the other ways are made dear on our own connections.
_SETTINGS: Final = {
    "client_connection_check_interval": "500",
    "enable_seqscan": "off",
    "enable_bitmapscan": "off",
    "enable_hashjoin": "off",
    "enable_mergejoin": "off",
    "jit": "off",
    "plan_cache_mode": "force_generic_plan",
}


def is_at_rest(cursor: Lent) -> bool:
    """Whether its connection may be used by the next: nothing is left to be sent or answered."""
    if isinstance(cursor, PreparedCursor):
        return cursor.is_at_rest
    return bool(cursor.connection.pgconn.transaction_status != TransactionStatus.ACTIVE)


class Source(ABC):
    """Lends a connection for each step; only the thread that it is lent to uses it."""

    target: Any
    """What another `connect` takes to reach the same."""
    is_set_up = False
    """Whether its connections have our settings for good; else each transaction has to bring them."""

    @abstractmethod
    def lent(self) -> AbstractContextManager[Connection]:
        """A connection outside any transaction, where each statement is committed by itself."""

    @contextmanager
    def cursor(self) -> Iterator[Lent]:
        """The same as a cursor."""
        with self.lent() as connection:
            yield connection.cursor(row_factory=tuple_row)

    @abstractmethod
    def engine(self) -> sqlalchemy.Engine:
        """An engine for transactions of the application's own."""

    @abstractmethod
    def opened(self) -> Connection:
        """A further connection, which is the caller's to close."""

    def close(self) -> None:
        """Closes what was opened here."""
        return


class EngineSource(Source):
    """A live engine of the application: each step takes a connection from its pool and gives it back as it was."""

    def __init__(self, engine: sqlalchemy.Engine) -> None:
        if engine.dialect.driver != "psycopg":
            raise ConfigurationError(
                f"expected an engine of postgresql+psycopg://, got one of {engine.dialect.name}+{engine.dialect.driver}"
            )
        self._engine = engine
        self.target = engine

    @contextmanager
    def lent(self) -> Iterator[Connection]:
        pooled = self._engine.raw_connection()
        try:
            connection = checked(pooled.driver_connection)
            with alone(connection):
                yield connection
        finally:
            pooled.close()

    def engine(self) -> sqlalchemy.Engine:
        return self._engine

    def opened(self) -> Connection:
        with self.lent() as connection:
            return _another(connection.info)


class ConnectionSource(Source):
    """One live connection of the application: psycopg's own, or SQLAlchemy's."""

    def __init__(self, handle: Any) -> None:
        self._handle = handle
        self._lock = threading.RLock()
        self.target = handle
        driver_connection(handle)

    @contextmanager
    def lent(self) -> Iterator[Connection]:
        with self._lock:
            connection = driver_connection(self._handle)
            if connection.info.transaction_status is not TransactionStatus.IDLE:
                raise ConfigurationError(
                    "the connection that was handed in is inside a transaction: give it as tx=… to take part in that, "
                    "or commit first"
                )
            with alone(connection):
                yield connection

    def engine(self) -> sqlalchemy.Engine:
        return sqlalchemy.create_engine("postgresql+psycopg://", creator=self.opened, poolclass=NullPool)

    def opened(self) -> Connection:
        return _another(driver_connection(self._handle).info)


def joined(tx: Any) -> Cursor:
    """A cursor within an application's transaction."""
    handle = unwrapped(tx)
    if isinstance(handle, psycopg.Connection):
        return _begun(handle)
    outer = _in_sqlalchemy(handle)
    if not outer.in_transaction():
        outer.begin()  # Else its commit would find nothing to commit: it does not see what is done beneath it.
    pooled = outer.connection
    if not outer.dialect.is_async:
        return _begun(checked(pooled.driver_connection))
    adapted: Any = pooled.dbapi_connection
    if adapted.autocommit:
        raise outside()
    return AwaitedCursor(outer.dialect, adapted.cursor())


def driver_connection(handle: Any) -> Connection:
    """psycopg's connection in a connection or a session of SQLAlchemy's, or itself."""
    if isinstance(handle, psycopg.Connection):
        return handle
    return checked(_in_sqlalchemy(handle).connection.driver_connection)


def _begun(connection: Connection) -> Cursor:
    """A cursor of a connection whose next statement is within a transaction."""
    if connection.autocommit and connection.info.transaction_status is TransactionStatus.IDLE:
        raise outside()
    # Not the connection's own kind of cursor, which may put values into the text, or give rows of another form.
    return psycopg.Cursor(connection, row_factory=tuple_row)


def _in_sqlalchemy(handle: Any) -> sqlalchemy.Connection:
    connection = in_sqlalchemy(handle)
    if connection is None:
        raise ConfigurationError(
            "expected psycopg's connection, a Connection or Session of SQLAlchemy's, or Django's connection, got "
            f"{type(handle).__module__}.{type(handle).__qualname__}"
        )
    if connection.dialect.name != "postgresql":
        raise ConfigurationError(
            f"expected a connection to the PostgreSQL that the jobs are in, got one to {connection.dialect.name}"
        )
    return connection


@contextmanager
def alone(connection: Connection) -> Iterator[None]:
    """Where each statement is committed by itself; afterwards the connection is as it was."""
    if connection.autocommit:
        yield
        return
    connection.autocommit = True
    try:
        yield
    finally:
        if not connection.closed and connection.info.transaction_status is TransactionStatus.IDLE:
            connection.autocommit = False


def checked(connection: Any) -> Connection:
    """What must be psycopg's connection."""
    if isinstance(connection, psycopg.Connection):
        return connection
    raise ConfigurationError(
        f"expected a connection of psycopg's, got {type(connection).__module__}.{type(connection).__qualname__}: "
        "connect by postgresql+psycopg://"
    )


def _another(info: psycopg.ConnectionInfo) -> Connection:
    return opened("", **{**info.get_parameters(), "password": info.password or None})


def opened(url: str, **parameters: Any) -> Connection:
    """A connection on which each statement is committed by itself."""
    try:
        connection = psycopg.connect(url, **parameters, autocommit=True)
        if is_through_a_pooler(connection):
            # What is prepared stays with a connection to the server, and the next transaction may be given another.
            connection.prepare_threshold = None
    except psycopg.Error as error:
        raise unopened(error) from error
    return connection


def is_through_a_pooler(connection: Connection) -> bool:
    """Whether what the connection was told of its process at its start is not what the server says."""
    found = connection.cursor(row_factory=tuple_row).execute("SELECT pg_backend_pid()").fetchone()
    return found != (connection.info.backend_pid,)


def settings(*, lasting: bool, **further: str) -> str:
    """Our settings as expressions of a statement: for as long as the connection, or the transaction, lasts."""
    values = {**_SETTINGS, **further}
    return ", ".join(f"set_config('{name}', '{value}', {str(not lasting).lower()})" for name, value in values.items())
