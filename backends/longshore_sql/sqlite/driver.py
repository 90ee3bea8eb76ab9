"""Longshore on an SQLite file."""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any, Final, Self

import sqlalchemy

from longshore.contract import Clock, Features, Instant, Limits, Listener
from longshore.errors import ConfigurationError, Unavailable
from longshore_sql.driver import SQLDriver
from longshore_sql.schema import schema_of
from longshore_sql.sqlite.after_commit import AfterCommit
from longshore_sql.sqlite.dialect import SQLiteDialect
from longshore_sql.sqlite.errors import Translated, is_forbidden, make_legible
from longshore_sql.sqlite.file_lock import FileLock
from longshore_sql.sqlite.options import Options
from longshore_sql.sqlite.sources import (
    ConnectionSource,
    EngineSource,
    FileSource,
    Source,
    begin,
    joined,
    lock_path,
    plain_cursor,
)
from longshore_sql.sqlite.wakes import Wakes
from longshore_sql.statements import Step

OLDEST_SQLITE: Final = (3, 35)
STEPS_PER_COUNT: Final = 50


def machine_clock() -> Instant:
    """The clock of this machine, which is that of all who use a file on it."""
    return time.time_ns() // 1_000


class SQLiteDriver(SQLDriver):
    """A connection to an SQLite database.

    Takes ``sqlite:///relative.db``, ``sqlite:////absolute.db``, or a live ``sqlite3.Connection``, SQLAlchemy ``Engine``
    or ``Connection``, which is neither closed nor reconfigured. Options, in the URL's query or by name: ``namespace``;
    for a file also ``synchronous`` (``FULL``, ``EXTRA``, ``NORMAL`` or ``OFF``: below ``FULL`` the store does not
    promise `Features.DURABLE`) and ``timeout``, the seconds to wait for other writers.
    """

    handles = ("sqlite3.Connection", "sqlalchemy.engine.base.Engine", "sqlalchemy.engine.base.Connection")
    features = Features.DURABLE | Features.SHARED | Features.TRANSACTIONS | Features.WAKEUPS | Features.ONE_PLACE
    limits = Limits()

    def __init__(self, source: Source, options: Options, clock: Clock | None) -> None:
        dialect = SQLiteDialect()
        super().__init__(schema_of(options.namespace), dialect)
        self.target = str(options.url(source.path))
        self._namespace = options.namespace
        self._timeout = options.timeout
        self._source = source
        self._path = source.path
        self._translated = Translated(source.path)
        self._clock = clock or machine_clock
        self._lock: tuple[int, FileLock] | None = None
        self._wakes = Wakes(f"{source.path}-wake")
        self._after_commit = AfterCommit(self.wake)
        self._examined: int | None = None
        self._checked: int | None = None
        (self._touch,) = dialect.script([self._schema.meta.delete().where(sqlalchemy.false())])
        if not source.is_durable():
            self.features &= ~Features.DURABLE

    @classmethod
    def connect(cls, target: Any, *, clock: Clock | None = None, **options: Any) -> Self:
        if sqlite3.sqlite_version_info < OLDEST_SQLITE:
            raise ConfigurationError(
                f"expected SQLite {'.'.join(map(str, OLDEST_SQLITE))} or newer, got {sqlite3.sqlite_version}: "
                "use a Python that carries a newer one"
            )
        given = Options.of(target, options)
        path = given.path or "the database that was handed in"
        try:
            with Translated(path):
                return cls(_source(target, given), given, clock)
        except Unavailable as error:
            if is_forbidden(error.__cause__):
                raise ConfigurationError(str(error)) from error
            raise

    @classmethod
    def serves(cls, handle: Any) -> bool:
        return isinstance(handle, sqlite3.Connection) or handle.dialect.name == "sqlite"

    def close(self) -> None:
        self._source.close()
        self._wakes.close()
        if self._lock is not None:
            self._lock[1].close()
            self._lock = None

    def migrate(self) -> None:
        if self._is_current():
            # Without a lock: the application may have it, in the transaction for which it opens the store.
            return
        with self._transaction(check=False) as step:
            cursor = step.cursor
            cursor.execute("SELECT 1 FROM sqlite_master WHERE name = ?", (self._schema.meta.name,))
            if cursor.fetchone() is None:
                self._versions.create(cursor)
            else:
                self._versions.upgrade(cursor)
            self._versions.check(cursor)
        self._checked = None

    def now(self) -> Instant:
        return self._clock()

    def wake(self, topics: Sequence[str]) -> None:
        self._wakes.wake([f"{self._namespace} {topic}" for topic in topics])

    def listen(self, topics: Sequence[str]) -> Listener:
        return self._wakes.listen([f"{self._namespace} {topic}" for topic in topics])

    @contextmanager
    def transaction(self) -> Iterator[sqlalchemy.Connection]:
        with self._source.engine().connect() as connection:
            with self._translated, self._in_line():
                begin(connection)
            yield connection
            connection.commit()

    def examined(self) -> int | None:
        """Steps of SQLite's virtual machine since the first call, in units of fifty: a job that is taken or settled
        costs about eight of these, a row that is passed over a fifth of one. Counting costs, so it begins when it is
        first asked for."""
        self._examined = self._examined or 0
        return self._examined

    def _write(self, tx: Any = None) -> AbstractContextManager[Step]:
        return self._transaction() if tx is None else self._joined(tx)

    @contextmanager
    def _transaction(self, *, check: bool = True) -> Iterator[Step]:
        with self._translated, self._source.writer() as connection, self._in_line():
            cursor = self._observed(connection)
            cursor.execute("BEGIN IMMEDIATE")
            try:
                step = Step(cursor, self._clock())
                if check:
                    self._check(step)
                yield step
                cursor.execute("COMMIT")
            except sqlite3.OperationalError as error:
                make_legible(connection, error)
                raise
            finally:
                if connection.in_transaction:
                    cursor.execute("ROLLBACK")

    @contextmanager
    def _joined(self, tx: Any) -> Iterator[Step]:
        with self._translated:
            step = Step(joined(tx, self._touch), self._clock())
            self._check(step)
            yield step

    @contextmanager
    def _read(self) -> Iterator[Step]:
        with self._translated, self._source.reader() as connection:
            cursor = self._observed(connection)
            inside = connection.in_transaction
            if not inside:
                cursor.execute("BEGIN")
            try:
                step = Step(cursor, self._clock())
                self._check(step)
                yield step
            except sqlite3.OperationalError as error:
                make_legible(connection, error)
                raise
            finally:
                if not inside:
                    cursor.execute("ROLLBACK")

    def _wake_after(self, topics: Sequence[str], tx: Any, identity: str) -> None:
        if tx is None:
            self.wake(topics)
        else:
            self._after_commit.wake(topics, tx)

    def _is_current(self) -> bool:
        with self._translated, self._source.reader() as connection:
            cursor = plain_cursor(connection)
            cursor.execute("SELECT 1 FROM sqlite_master WHERE name = ?", (self._schema.meta.name,))
            return cursor.fetchone() is not None and self._versions.is_current(cursor)

    def _check(self, step: Step) -> None:
        # A migration by newer code changes this number, and may leave what this code cannot read.
        step.cursor.execute("PRAGMA schema_version")
        (shape,) = step.cursor.fetchone()
        if shape != self._checked:
            self._versions.check(step.cursor)
            self._checked = shape

    def _in_line(self) -> FileLock:
        """The lock at which all who write to the file wait for their turn."""
        process = os.getpid()
        if self._lock is None or self._lock[0] != process:
            self._lock = (process, FileLock(lock_path(self._path), self._timeout))
        return self._lock[1]

    def _observed(self, connection: sqlite3.Connection) -> sqlite3.Cursor:
        if self._examined is not None:
            connection.set_progress_handler(self._count, STEPS_PER_COUNT)
        return plain_cursor(connection)

    def _count(self) -> int:
        self._examined = (self._examined or 0) + 1
        return 0


def _source(target: Any, options: Options) -> Source:
    if options.path is not None:
        return FileSource(options.path, options.synchronous, options.timeout)
    return EngineSource(target) if isinstance(target, sqlalchemy.Engine) else ConnectionSource(target)
