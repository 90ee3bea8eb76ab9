"""Applications' ways to a database: each begins a transaction, writes into it, and gives its handle to Longshore.

All are written as coroutines, so that one test tells the same of synchronous and asynchronous libraries; those of the
former are stepped through without an event loop, in which Django, for one, would refuse to work.
"""

from __future__ import annotations

import asyncio
import sqlite3
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from typing import Any, TypeVar
from urllib.parse import parse_qs, urlsplit

import psycopg
import pymysql
import sqlalchemy
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, AsyncSession, create_async_engine
from sqlalchemy.orm import Session
from sqlalchemy.pool import NullPool

from longshore import Call, Context, Fixed, Job, Longshore, Retry

T = TypeVar("T")
AGAIN = Retry(max_attempts=2, delay=Fixed(0))
Scenario = Callable[[Context], Coroutine[Any, Any, Any]]


class Bank(ABC):
    """A library's connections to the database that the jobs are in.

    Args:
        url: as Longshore takes it.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self.parts = urlsplit(url)
        options = parse_qs(self.parts.query)
        self.table = f"{options.get('namespace', ['longshore'])[0]}_payment"
        self.is_sqlite = self.parts.scheme == "sqlite"
        self.is_mariadb = self.parts.scheme == "mariadb"

    def address(self, library: str) -> sqlalchemy.URL:
        """The database as SQLAlchemy takes it."""
        return sqlalchemy.make_url(self.url).set(drivername=library, query={})

    def begin(self) -> AbstractAsyncContextManager[Any]:
        """A transaction: commits at the end of the block, rolls back on an exception."""
        return self._begin()

    @abstractmethod
    @asynccontextmanager
    def _begin(self) -> AsyncIterator[Any]: ...

    @abstractmethod
    def savepoint(self, tx: Any) -> AbstractAsyncContextManager[Any]:
        """One within it: rolled back alone on an exception."""

    @abstractmethod
    async def execute(self, tx: Any, statement: str) -> None:
        """Executes a statement within it."""

    async def pay(self, tx: Any, who: str) -> None:
        """Writes a row of the application's own."""
        await self.execute(tx, f"INSERT INTO {self.table} VALUES ('{who}')")

    @abstractmethod
    async def enqueue(self, app: Longshore, *calls: Call[Any], tx: Any) -> list[Job[Any]]:
        """Enqueues within it."""

    @abstractmethod
    async def complete(self, context: Context, result: object, tx: Any) -> None:
        """Completes within it."""

    @abstractmethod
    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """What a coroutine comes to that uses this bank."""

    @abstractmethod
    def task(self, app: Longshore, scenario: Scenario) -> Callable[[], Job[Any]]:
        """Registers a task that runs a scenario, a second time if it fails; gives what enqueues it."""

    def create(self) -> None:
        """Makes the application's table."""
        self._create(f"CREATE TABLE {self.table} (who VARCHAR(100) PRIMARY KEY)")

    def paid(self) -> list[str]:
        """Whom committed rows name."""
        return [row[0] for row in self._create(f"SELECT who FROM {self.table} ORDER BY who")]

    def _create(self, statement: str) -> list[Any]:
        if self.is_sqlite:
            connection: Any = sqlite3.connect(self.parts.path.removeprefix("/"), isolation_level=None)
        elif self.is_mariadb:
            connection = opened(self.address("mariadb+pymysql"), autocommit=True)
        else:
            connection = psycopg.connect(self.parts._replace(query="").geturl(), autocommit=True)
        try:
            cursor = connection.cursor()
            cursor.execute(statement)
            return list(cursor.fetchall()) if statement.startswith("SELECT") else []
        finally:
            connection.close()

    def close(self) -> None:
        """Closes what was opened."""
        return


class Plain(Bank):
    """What is used without an event loop."""

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        try:
            coroutine.send(None)
        except StopIteration as end:
            result: T = end.value
            return result
        raise AssertionError("a synchronous library made somebody wait")

    def task(self, app: Longshore, scenario: Scenario) -> Callable[[], Job[Any]]:
        @app.task(name=scenario.__name__, retry=AGAIN)
        def pay(context: Context) -> Any:
            try:
                return self.run(scenario(context))
            finally:
                self.leave()

        return pay.enqueue

    def leave(self) -> None:
        """Closes what this thread has opened."""
        return

    async def enqueue(self, app: Longshore, *calls: Call[Any], tx: Any) -> list[Job[Any]]:
        return app.enqueue_many(calls, tx=tx)

    async def complete(self, context: Context, result: object, tx: Any) -> None:
        context.complete(result, tx=tx)


class Awaited(Bank):
    """What is used on an event loop."""

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        return asyncio.run(coroutine)

    def task(self, app: Longshore, scenario: Scenario) -> Callable[[], Job[Any]]:
        @app.task(name=scenario.__name__, retry=AGAIN)
        async def pay(context: Context) -> Any:
            return await scenario(context)

        return pay.enqueue

    async def enqueue(self, app: Longshore, *calls: Call[Any], tx: Any) -> list[Job[Any]]:
        return [await app.aenqueue(*calls, tx=tx)] if len(calls) == 1 else await app.aenqueue_many(calls, tx=tx)

    async def complete(self, context: Context, result: object, tx: Any) -> None:
        await context.acomplete(result, tx=tx)


class SQLite3(Plain):
    @asynccontextmanager
    async def _begin(self) -> AsyncIterator[sqlite3.Connection]:
        connection = sqlite3.connect(self.parts.path.removeprefix("/"), isolation_level=None)
        try:
            with connection:
                connection.execute("BEGIN")
                yield connection
        finally:
            connection.close()

    @asynccontextmanager
    async def savepoint(self, tx: sqlite3.Connection) -> AsyncIterator[None]:
        tx.execute("SAVEPOINT inner_one")
        try:
            yield
        except BaseException:
            tx.execute("ROLLBACK TO inner_one")
            raise
        finally:
            tx.execute("RELEASE inner_one")

    async def execute(self, tx: sqlite3.Connection, statement: str) -> None:
        tx.execute(statement)


class Psycopg(Plain):
    @asynccontextmanager
    async def _begin(self) -> AsyncIterator[psycopg.Connection[Any]]:
        with psycopg.connect(self.parts._replace(query="").geturl()) as connection:
            yield connection

    @asynccontextmanager
    async def savepoint(self, tx: psycopg.Connection[Any]) -> AsyncIterator[None]:
        with tx.transaction():
            yield

    async def execute(self, tx: psycopg.Connection[Any], statement: str) -> None:
        tx.execute(statement.encode())


class PyMySQL(Plain):
    @asynccontextmanager
    async def _begin(self) -> AsyncIterator[Any]:
        connection = opened(self.address("mariadb+pymysql"))
        try:
            yield connection
            connection.commit()
        finally:
            connection.close()

    @asynccontextmanager
    async def savepoint(self, tx: Any) -> AsyncIterator[None]:
        await self.execute(tx, "SAVEPOINT inner_one")
        try:
            yield
        except BaseException:
            await self.execute(tx, "ROLLBACK TO inner_one")
            raise

    async def execute(self, tx: Any, statement: str) -> None:
        tx.cursor().execute(statement)


def opened(address: sqlalchemy.URL, **options: Any) -> Any:
    """A connection of PyMySQL's."""
    return pymysql.connect(
        host=address.host, port=address.port or 3306, user=address.username, password=address.password or "",
        database=address.database, **options,
    )  # fmt: skip


class SQLAlchemy(Plain):
    """SQLAlchemy's Connection."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        library = {"sqlite": "sqlite", "mariadb": "mariadb+pymysql"}.get(self.parts.scheme, "postgresql+psycopg")
        self.engine = sqlalchemy.create_engine(self.address(library), poolclass=NullPool)

    @asynccontextmanager
    async def _begin(self) -> AsyncIterator[Any]:
        with self._transaction() as tx:
            yield tx

    @contextmanager
    def _transaction(self) -> Iterator[Any]:
        with self.engine.begin() as connection:
            yield connection

    @asynccontextmanager
    async def savepoint(self, tx: Any) -> AsyncIterator[None]:
        with tx.begin_nested():
            yield

    async def execute(self, tx: Any, statement: str) -> None:
        tx.execute(sqlalchemy.text(statement))

    def close(self) -> None:
        self.engine.dispose()


class SQLAlchemySession(SQLAlchemy):
    @contextmanager
    def _transaction(self) -> Iterator[Session]:
        with Session(self.engine) as session, session.begin():
            yield session


class AwaitedSQLAlchemy(Awaited):
    """SQLAlchemy's AsyncConnection, on asyncpg or aiosqlite."""

    package = "asyncpg"

    def engine(self) -> AsyncEngine:
        address = self.address("sqlite+aiosqlite" if self.is_sqlite else f"postgresql+{self.package}")
        return create_async_engine(address, poolclass=NullPool)

    @asynccontextmanager
    async def _begin(self) -> AsyncIterator[AsyncConnection | AsyncSession]:
        async with self.engine().begin() as connection:
            yield connection

    @asynccontextmanager
    async def savepoint(self, tx: Any) -> AsyncIterator[None]:
        async with tx.begin_nested():
            yield

    async def execute(self, tx: Any, statement: str) -> None:
        await tx.execute(sqlalchemy.text(statement))


class AwaitedSession(AwaitedSQLAlchemy):
    @asynccontextmanager
    async def _begin(self) -> AsyncIterator[AsyncConnection | AsyncSession]:
        async with AsyncSession(self.engine()) as session, session.begin():
            yield session


class AwaitedPsycopg(AwaitedSQLAlchemy):
    package = "psycopg"


class AwaitedPsycopgSession(AwaitedSession):
    package = "psycopg"


class Django(Plain):
    """``django.db.connection``."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        import django
        from django.conf import settings
        from django.db import connections

        pymysql.install_as_MySQLdb()  # Django asks for mysqlclient, which needs a compiler.
        if not settings.configured:
            settings.configure(DATABASES={}, USE_TZ=True, LOGGING_CONFIG=None)
            django.setup()
        path, parts = self.parts.path.removeprefix("/"), self.parts
        own = {"ENGINE": "django.db.backends.sqlite3", "NAME": path}
        if not self.is_sqlite:
            engine = "mysql" if self.is_mariadb else "postgresql"
            own = {"ENGINE": f"django.db.backends.{engine}", "NAME": path, "HOST": parts.hostname or ""}
            own |= {"PORT": str(parts.port or ""), "USER": parts.username or "", "PASSWORD": parts.password or ""}
        connections.settings = connections.configure_settings({"default": own})
        self.leave()

    @asynccontextmanager
    async def _begin(self) -> AsyncIterator[Any]:
        from django.db import connection, transaction

        with transaction.atomic():
            yield self.handle(connection)

    def handle(self, connection: Any) -> Any:
        """What is given as ``tx``."""
        return connection

    @asynccontextmanager
    async def savepoint(self, tx: Any) -> AsyncIterator[None]:
        from django.db import transaction

        with transaction.atomic():
            yield

    async def execute(self, tx: Any, statement: str) -> None:
        from django.db import connection

        with connection.cursor() as cursor:
            cursor.execute(statement)

    def leave(self) -> None:
        from django.db import connections

        connections.close_all()
        if hasattr(connections._connections, "default"):
            del connections["default"]

    def close(self) -> None:
        self.leave()


class DjangoInner(Django):
    """``django.db.connection.connection``, the library's own."""

    def handle(self, connection: Any) -> Any:
        return connection.connection


BANKS: dict[str, type[Bank]] = {
    "sqlite: sqlite3": SQLite3,
    "sqlite: connection": SQLAlchemy,
    "sqlite: session": SQLAlchemySession,
    "sqlite: async connection": AwaitedSQLAlchemy,
    "sqlite: async session": AwaitedSession,
    "sqlite: django": Django,
    "sqlite: django's inner": DjangoInner,
    "postgres: psycopg": Psycopg,
    "postgres: connection": SQLAlchemy,
    "postgres: session": SQLAlchemySession,
    "postgres: async connection on asyncpg": AwaitedSQLAlchemy,
    "postgres: async session on asyncpg": AwaitedSession,
    "postgres: async connection on psycopg": AwaitedPsycopg,
    "postgres: async session on psycopg": AwaitedPsycopgSession,
    "postgres: django": Django,
    "postgres: django's inner": DjangoInner,
    "mariadb: pymysql": PyMySQL,
    "mariadb: connection": SQLAlchemy,
    "mariadb: session": SQLAlchemySession,
    "mariadb: django": Django,
    "mariadb: django's inner": DjangoInner,
}
"""By the engine and what of the application's is given as ``tx``."""
