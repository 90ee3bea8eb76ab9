"""Where the connections to an SQLite database come from: a file, or a live object of the application."""

from __future__ import annotations

import os
import sqlite3
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from pathlib import Path
from typing import Any, Final, NamedTuple

import sqlalchemy
from sqlalchemy.pool import NullPool

from longshore.errors import Closed, ConfigurationError
from longshore_sql.handles import in_sqlalchemy, outside, unwrapped
from longshore_sql.sqlite.file_lock import FileLock
from longshore_sql.statements import Cursor

DURABLE: Final = frozenset({"FULL", "EXTRA"})
DURABLE_NUMBERS: Final = frozenset({2, 3})  # The same, as the pragma answers.


def lock_path(path: str) -> str:
    """The file at which those who write to a database line up."""
    return f"{path}-lock"


class Source(ABC):
    """Lends a connection for each step; only the thread that it is lent to uses it."""

    path: str
    """The database's file."""

    @abstractmethod
    def writer(self) -> AbstractContextManager[sqlite3.Connection]:
        """A context in which a connection is lent for writing."""

    @abstractmethod
    def reader(self) -> AbstractContextManager[sqlite3.Connection]:
        """A context in which a connection is lent for reading."""

    @abstractmethod
    def engine(self) -> sqlalchemy.Engine:
        """An engine for connections of the application's own."""

    def close(self) -> None:
        """Closes what was opened here."""
        return

    def is_durable(self) -> bool:
        """Whether a commit reaches the disk."""
        with self.reader() as connection:
            row: tuple[int] = connection.execute("PRAGMA synchronous").fetchone()
            return row[0] in DURABLE_NUMBERS


class FileSource(Source):
    """Connections of our own to a file: one that writes, one that reads beside it. A child of fork opens new ones."""

    def __init__(self, path: str, synchronous: str, timeout: float) -> None:
        self.path = path
        self._synchronous = synchronous
        self._timeout = timeout
        self._abandoned: list[_Pair] = []
        self._engine: sqlalchemy.Engine | None = None
        self._closed = False
        self._pair = self._fresh()
        with self.writer():
            pass  # What is wrong with the path is to be said at once.

    def writer(self) -> AbstractContextManager[sqlite3.Connection]:
        return self._own().writer

    def reader(self) -> AbstractContextManager[sqlite3.Connection]:
        return self._own().reader

    def engine(self) -> sqlalchemy.Engine:
        if self._engine is None:
            self._engine = sqlalchemy.create_engine("sqlite://", creator=self._open, poolclass=NullPool)
        return self._engine

    def close(self) -> None:
        self._closed = True
        if self._pair.process == os.getpid():
            self._pair.writer.close()
            self._pair.reader.close()

    def is_durable(self) -> bool:
        return self._synchronous in DURABLE

    def _own(self) -> _Pair:
        if self._closed:
            raise Closed(f"the driver of {self.path} was closed: connect again")
        if self._pair.process != os.getpid():
            # SQLite forbids to use, and even to close, a connection that came by fork.
            self._abandoned.append(self._pair)
            self._pair = self._fresh()
        return self._pair

    def _fresh(self) -> _Pair:
        return _Pair(os.getpid(), _Shared(self._open), _Shared(self._open))

    def _open(self) -> sqlite3.Connection:
        connection = sqlite3.connect(
            self.path, timeout=self._timeout, isolation_level=None, check_same_thread=False, cached_statements=512
        )
        try:
            if Path(f"{self.path}-wal").exists():
                connection.execute("PRAGMA journal_mode = WAL")
            else:
                # Several who change the mode of a new file at once are not made to wait by SQLite, but fail.
                with closing(FileLock(lock_path(self.path), self._timeout)) as lock, lock:
                    connection.execute("PRAGMA journal_mode = WAL")
            connection.execute(f"PRAGMA synchronous = {self._synchronous}")
        except BaseException:
            connection.close()
            raise
        return connection


class _Shared:
    """One connection, for the thread that has entered it."""

    def __init__(self, opened: Callable[[], sqlite3.Connection]) -> None:
        self._open = opened
        self._lock = threading.Lock()
        self._connection: sqlite3.Connection | None = None

    def __enter__(self) -> sqlite3.Connection:
        self._lock.acquire()
        try:
            if self._connection is None:
                self._connection = self._open()
        except BaseException:
            self._lock.release()
            raise
        return self._connection

    def __exit__(self, *_: object) -> None:
        self._lock.release()

    def close(self) -> None:
        with self._lock:
            if self._connection is not None:
                self._connection.close()


class _Pair(NamedTuple):
    """The connections of one process."""

    process: int
    writer: _Shared
    reader: _Shared


class ConnectionSource(Source):
    """One live connection of the application: a ``sqlite3.Connection``, or SQLAlchemy's."""

    def __init__(self, handle: sqlite3.Connection | sqlalchemy.Connection) -> None:
        self._handle = handle
        self._lock = threading.RLock()
        self.path = path_of(driver_connection(handle))

    @contextmanager
    def writer(self) -> Iterator[sqlite3.Connection]:
        with self._lock:
            yield _idle(driver_connection(self._handle))

    @contextmanager
    def reader(self) -> Iterator[sqlite3.Connection]:
        with self._lock:
            yield driver_connection(self._handle)

    def engine(self) -> sqlalchemy.Engine:
        return sqlalchemy.create_engine("sqlite://", creator=lambda: _plain(self.path), poolclass=NullPool)


class EngineSource(Source):
    """A live engine of the application: each step takes a connection from its pool and gives it back."""

    def __init__(self, engine: sqlalchemy.Engine) -> None:
        self._engine = engine
        with self.reader() as connection:
            self.path = path_of(connection)

    @contextmanager
    def writer(self) -> Iterator[sqlite3.Connection]:
        with self.reader() as connection:
            yield _idle(connection)

    @contextmanager
    def reader(self) -> Iterator[sqlite3.Connection]:
        try:
            pooled = self._engine.raw_connection()
        except sqlalchemy.exc.DBAPIError as error:
            raise _original(error) from error
        try:
            yield _checked(pooled.driver_connection)
        finally:
            pooled.close()

    def engine(self) -> sqlalchemy.Engine:
        return self._engine


def joined(tx: Any, touch: str) -> Cursor:
    """A cursor within an application's transaction.

    The statement ``touch`` changes nothing, but takes the lock that writing needs before anything is read, and begins
    the transaction where Python's driver or SQLAlchemy begins it with the first statement.
    """
    handle = unwrapped(tx)
    if isinstance(handle, sqlite3.Connection):
        connection = _checked(handle)
        connection.execute(touch)
        cursor: Cursor = plain_cursor(connection)
    else:
        outer = session_connection(handle)
        try:
            outer.exec_driver_sql(touch)
        except sqlalchemy.exc.DBAPIError as error:
            raise _original(error) from error
        pooled: Any = outer.connection
        connection = pooled.driver_connection
        # An asynchronous one is used by SQLAlchemy's cursor, which awaits it.
        cursor = pooled.cursor() if outer.dialect.is_async else plain_cursor(_checked(connection))
    if not connection.in_transaction:
        raise outside()
    return cursor


def plain_cursor(connection: sqlite3.Connection) -> sqlite3.Cursor:
    """A cursor that gives rows as tuples, whatever the application's own give."""
    cursor = connection.cursor()
    cursor.row_factory = None
    return cursor


def begin(connection: sqlalchemy.Connection) -> None:
    """Begins a transaction that writes."""
    try:
        connection.exec_driver_sql("BEGIN IMMEDIATE")
    except sqlalchemy.exc.DBAPIError as error:
        raise _original(error) from error


def driver_connection(handle: Any) -> sqlite3.Connection:
    """The ``sqlite3.Connection`` in a connection or a session of SQLAlchemy's, or itself."""
    if isinstance(handle, sqlite3.Connection):
        return _checked(handle)
    return _checked(session_connection(handle).connection.driver_connection)


def session_connection(session: Any) -> sqlalchemy.Connection:
    """The connection on which a session of SQLAlchemy's is, or that connection itself."""
    connection = in_sqlalchemy(session)
    if connection is None:
        raise ConfigurationError(
            "expected a sqlite3.Connection, a Connection or Session of SQLAlchemy's, or Django's connection, got "
            f"{type(session).__module__}.{type(session).__qualname__}"
        )
    if connection.dialect.name != "sqlite":
        raise ConfigurationError(
            f"expected a connection to the SQLite database that the jobs are in, got one to {connection.dialect.name}"
        )
    return connection


def path_of(connection: sqlite3.Connection) -> str:
    """The file of a connection's main database."""
    path = next(row[2] for row in connection.execute("PRAGMA database_list").fetchall() if row[1] == "main")
    if not path:
        raise ConfigurationError(
            "expected a connection to a database file, got one to a database in memory: use memory:// for a store "
            "that does not outlive the process"
        )
    return str(path)


def _checked(connection: Any) -> sqlite3.Connection:
    if not isinstance(connection, sqlite3.Connection):
        raise ConfigurationError(f"expected a connection of Python's sqlite3, got {type(connection).__qualname__}")
    if getattr(connection, "autocommit", None) is False or connection.text_factory is not str:
        raise ConfigurationError(
            "expected a sqlite3.Connection with text_factory=str, and with autocommit=True or an isolation_level: "
            "open one so"
        )
    return connection


def _original(error: sqlalchemy.exc.DBAPIError) -> BaseException:
    return error.orig if error.orig is not None else error


def _idle(connection: sqlite3.Connection) -> sqlite3.Connection:
    if connection.in_transaction:
        raise ConfigurationError(
            "the connection that was handed in is inside a transaction: give it as tx=… to take part in that, or "
            "commit first"
        )
    return connection


def _plain(path: str) -> sqlite3.Connection:
    return sqlite3.connect(path, isolation_level=None, check_same_thread=False)
