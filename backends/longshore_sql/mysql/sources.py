"""Where the connections to MariaDB come from: a pool of our own, or a live object of the application."""

from __future__ import annotations

import ssl
import sys
import threading
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from typing import Any, ClassVar

import pymysql
import pymysql.cursors
import sqlalchemy
from pymysql.constants import SERVER_STATUS
from sqlalchemy.pool import NullPool

from longshore.errors import ConfigurationError, Unsupported
from longshore_sql.handles import in_sqlalchemy, outside, unwrapped
from longshore_sql.mysql.dialect import errors
from longshore_sql.mysql.errors import is_broken, unopened

Connection = Any
"""PyMySQL's, mysqlclient's, or one that SQLAlchemy makes look like these."""


class Source(ABC):
    """Lends a connection for each step; only the thread that it is lent to uses it."""

    target: Any
    """What another `connect` takes to reach the same."""
    is_ours: ClassVar[bool] = False
    """Whether its connections have our settings, and take several statements at once."""

    @abstractmethod
    def lent(self) -> AbstractContextManager[Connection]:
        """A connection outside any transaction. What is left open on it is rolled back."""

    @contextmanager
    def cursor(self) -> Iterator[Any]:
        """A cursor of such a connection."""
        with self.lent() as connection:
            yield cursor_of(connection)

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
        if engine.dialect.driver not in {"pymysql", "mysqldb"}:
            raise ConfigurationError(
                "expected an engine of mysql+pymysql:// or mysql+mysqldb://, got one of "
                f"{engine.dialect.name}+{engine.dialect.driver}"
            )
        self._engine = engine
        self.target = engine

    @contextmanager
    def lent(self) -> Iterator[Connection]:
        pooled = self._engine.raw_connection()
        try:
            yield pooled.driver_connection
        except BaseException as error:
            if is_broken(error) or not rolled_back(pooled.driver_connection):
                pooled.invalidate()
            raise
        finally:
            pooled.close()

    def engine(self) -> sqlalchemy.Engine:
        return self._engine

    def opened(self) -> Connection:
        pooled = self._engine.raw_connection()
        connection: Connection = pooled.driver_connection
        pooled.detach()
        connection.autocommit(True)
        return connection


class ConnectionSource(Source):
    """One live connection of the application: the client library's own, or SQLAlchemy's."""

    def __init__(self, handle: Any) -> None:
        self._handle = handle
        self._lock = threading.RLock()
        self.target = handle
        connection = driver_connection(handle)
        self._address = _address(connection) if isinstance(connection, pymysql.Connection) else None

    @contextmanager
    def lent(self) -> Iterator[Connection]:
        with self._lock:
            connection = driver_connection(self._handle)
            if _is_inside(connection):
                raise ConfigurationError(
                    "the connection that was handed in is inside a transaction: give it as tx=… to take part in that, "
                    "or commit first"
                )
            try:
                yield connection
            except BaseException:
                rolled_back(connection)
                raise

    def engine(self) -> sqlalchemy.Engine:
        return sqlalchemy.create_engine("mysql+pymysql://", creator=self.opened, poolclass=NullPool)

    def opened(self) -> Connection:
        if self._address is None:
            raise Unsupported("no second connection can be made from this one: hand in an Engine, or give a URL")
        return opened(self._address)


def joined(tx: Any) -> Connection:
    """The connection of an application's transaction."""
    if isinstance(tx, sqlalchemy.Connection) and not tx.in_transaction():
        tx.begin()  # Else its commit would find nothing to commit: it does not see what is done beneath it.
    connection = driver_connection(unwrapped(tx))
    if connection.get_autocommit() and _is_inside(connection) is False:
        raise outside()
    return connection


def driver_connection(handle: Any) -> Connection:
    """The client library's connection in a connection or a session of SQLAlchemy's, or itself."""
    if isinstance(handle, _kinds()):
        return _checked(handle)
    outer = in_sqlalchemy(handle)
    if outer is None:
        raise ConfigurationError(_unexpected(handle))
    return _checked(outer.connection.driver_connection)


def cursor_of(connection: Connection) -> Any:
    """A cursor that gives rows as they are needed here, whatever kind the application's own are."""
    if isinstance(connection, pymysql.Connection):
        return connection.cursor(pymysql.cursors.Cursor)
    return connection.cursor(sys.modules["MySQLdb.cursors"].Cursor)


def is_connected_directly(connection: Connection, identity: int) -> bool:
    """Whether the server's thread is the one that it greeted us as; else somebody stands between."""
    return bool(connection.thread_id() == identity)


def _kinds() -> tuple[type[Any], ...]:
    """The classes of connections that are known."""
    return tuple(kind for kind in (pymysql.Connection, *_other_kinds()))


def _other_kinds() -> tuple[type[Any], ...]:
    library = sys.modules.get("MySQLdb.connections")
    return () if library is None else (library.Connection,)


def _checked(connection: Any) -> Connection:
    if not isinstance(connection, _kinds()):
        raise ConfigurationError(_unexpected(connection))
    spoken = connection.character_set_name() if hasattr(connection, "character_set_name") else connection.charset
    if not str(spoken).startswith("utf8mb4"):
        raise ConfigurationError(
            f"expected a connection that speaks utf8mb4, got one of {spoken}: open it with charset"
        )
    return connection


def _unexpected(handle: Any) -> str:
    return (
        "expected a connection of PyMySQL's or mysqlclient's, a Connection or Session of SQLAlchemy's on one, or "
        f"Django's, got {type(handle).__module__}.{type(handle).__qualname__}"
    )


def _is_inside(connection: Connection) -> bool | None:
    """Whether a transaction is open; None where the client library does not tell."""
    if not hasattr(connection, "server_status"):
        return None
    connection.ping(reconnect=False)  # The answer to a query does not say it, the answer to this does.
    return bool(connection.server_status & SERVER_STATUS.SERVER_STATUS_IN_TRANS)


def rolled_back(connection: Connection) -> bool:
    """Rolls back what is open; whether the connection is of further use, with nothing left open on it."""
    with suppress(*errors("Error")):
        connection.rollback()
        return True
    return False


def _address(connection: Any) -> dict[str, Any]:
    """What PyMySQL was called with to make a connection, as far as another needs it."""
    kept = ("host", "port", "user", "password", "unix_socket")
    address = {name: getattr(connection, name) for name in kept if getattr(connection, name)}
    cursor = cursor_of(connection)
    cursor.execute("SHOW SESSION STATUS LIKE 'Ssl_cipher'")
    is_secured = bool(cursor.fetchone()[1])
    secured = {"ssl": connection.ctx} if is_secured else {"ssl_disabled": True}
    return {**address, **secured, "database": connection.db, "charset": "utf8mb4", "autocommit": True}


def opened(arguments: dict[str, Any]) -> pymysql.Connection[Any]:
    """A new connection."""
    try:
        return _Line(**arguments)
    except pymysql.MySQLError as error:
        raise unopened(error) from error


class _Line(pymysql.Connection):
    """PyMySQL's connection. Where nothing was said of TLS it checks no certificate: then it reads none either.

    Each connection would else keep those of all authorities that the system knows: 800 kB.
    """

    def _create_ssl_ctx(self, sslp: Any) -> ssl.SSLContext:
        # It is the library's own affair. Should it come to another name there, this is not called, and does no harm.
        if sslp:
            found: ssl.SSLContext = super()._create_ssl_ctx(sslp)  # type: ignore[misc]
            return found
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        return context
