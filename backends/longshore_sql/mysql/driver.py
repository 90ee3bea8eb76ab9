"""Longshore on MariaDB and MySQL."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from functools import cached_property
from typing import Any, Final, Self, TypeVar

import sqlalchemy
from sqlalchemy.schema import DropTable

from longshore.contract import (
    Clock,
    Features,
    Inserted,
    Instant,
    Limits,
    Listener,
    NewJob,
    Sleeper,
    State,
    StoredJob,
)
from longshore.errors import Unavailable
from longshore_sql.driver import SQLDriver
from longshore_sql.examined import Examined, examined_by_mysql
from longshore_sql.inserting import INSERTED, Inserting
from longshore_sql.mysql.dialect import MySQLDialect, errors
from longshore_sql.mysql.errors import DEADLOCK, WAITED_TOO_LONG, Translated, code_of, lost_transaction
from longshore_sql.mysql.heads import NumberedHeads
from longshore_sql.mysql.inserting import WholeInserting
from longshore_sql.mysql.options import Options
from longshore_sql.mysql.plain_inserting import CLOCK, PlainInserting
from longshore_sql.mysql.pool import PoolSource
from longshore_sql.mysql.records import WeighedRecords
from longshore_sql.mysql.sources import (
    ConnectionSource,
    EngineSource,
    Source,
    cursor_of,
    is_connected_directly,
    joined,
)
from longshore_sql.mysql.wakes import Bell, Board, CommitWatch, Ears
from longshore_sql.records import Records
from longshore_sql.schema import schema_of
from longshore_sql.statements import Cursor, Row, Step

T = TypeVar("T")

TRIES: Final = 10
"""How often a step is begun that is in a deadlock each time."""
WAITS: Final = 2
"""How often one is begun that waits too long for others' rows: perhaps they stood in a row, each for a moment."""

_CLOCK: Final = f"SELECT {CLOCK}"
_WRITING: Final = ("SET TRANSACTION ISOLATION LEVEL READ COMMITTED", "START TRANSACTION")
_READING: Final = ("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ", "START TRANSACTION READ ONLY")
_MIGRATING: Final = 60
"""Seconds to wait for another who migrates."""
_STATEMENT: Final = 1024 * 1024
"""Bytes of a statement that are left to all that is no payload."""


class MySQLDriver(SQLDriver):
    """A connection to MariaDB, 10.8 or newer, or MySQL 8.

    Takes ``mariadb://user:password@host/database`` (or ``mysql://``) with PyMySQL's own options (``unix_socket``,
    ``ssl_ca``, ``connect_timeout``, …) in its query, or a live SQLAlchemy ``Engine`` or ``Connection`` of PyMySQL or
    mysqlclient, or a ``Connection`` of these, which is neither closed nor reconfigured. Options, in the URL's query or
    by name: ``namespace``; for a URL also ``pool_size``, ``max_overflow``, ``pool_timeout`` and ``pool_recycle`` of the
    pool, and ``lock_timeout``, the whole seconds to wait for others' open transactions.
    """

    handles = (
        "pymysql.connections.Connection",
        "MySQLdb.connections.Connection",
        "sqlalchemy.engine.base.Engine",
        "sqlalchemy.engine.base.Connection",
    )
    features = Features.DURABLE | Features.SHARED | Features.TRANSACTIONS | Features.WAKEUPS | Features.ONE_PLACE
    limits = Limits(payload=7 * 1024 * 1024, batch_bytes=4 * 1024 * 1024)

    def __init__(self, source: Source, options: Options, clock: Clock | None) -> None:
        self.target = source.target
        self._source = source
        self._clock = clock
        self._translated = Translated()
        self._examined = Examined(examined_by_mysql)
        with self._translated, source.lent() as connection:
            version = self._look_around(connection)
        super().__init__(schema_of(options.namespace, partial=False), MySQLDialect(is_mariadb="MariaDB" in version))
        meta = self._dialect.name(self._schema.meta)
        stored = (f"(SELECT value FROM {meta} WHERE name = '{name}')" for name in ("version", "readable_from"))
        self._opening = f"{_CLOCK}, {', '.join(stored)}"
        self._board = Board(self._schema.index("ear"))
        self._bell = Bell(source.opened, self._board, CommitWatch(self._dialect.name(self._schema.job)))
        self._ears = Ears(source.opened, self._board)

    @classmethod
    def connect(cls, target: Any, *, clock: Clock | None = None, **options: Any) -> Self:
        given = Options.of(target, options)
        with Translated():
            return cls(_source(target, given), given, clock)

    @classmethod
    def serves(cls, handle: Any) -> bool:
        is_other = isinstance(handle, sqlalchemy.Engine | sqlalchemy.Connection)
        return not is_other or handle.dialect.name in {"mysql", "mariadb"}

    def close(self) -> None:
        self._ears.close()
        self._bell.close()
        self._source.close()

    def migrate(self) -> None:
        with self._translated, self._source.lent() as connection:
            cursor = cursor_of(connection)
            name = f"longshore {self._schema.namespace}"
            # Whoever else migrates this namespace of this server waits here, and then finds all done.
            cursor.execute("SELECT GET_LOCK(%s, %s)", (name, _MIGRATING))
            if cursor.fetchone() != (1,):
                raise Unavailable(
                    f"another process has migrated for {_MIGRATING} seconds: migrate again", unknown=False
                )
            try:
                self._migrate(cursor)
                connection.commit()
            finally:
                cursor.execute("SELECT RELEASE_LOCK(%s)", (name,))

    def _migrate(self, cursor: Any) -> None:
        # Each statement that defines something is committed by itself. The version is stored last: without it,
        # what is there was left by somebody who did not get to the end, and holds nothing.
        if self._is_migrated(cursor):
            self._versions.upgrade(cursor)
        else:
            tables = self._schema.metadata.sorted_tables
            for text in self._dialect.script(DropTable(table, if_exists=True) for table in tables):
                cursor.execute(text)
            cursor.execute(self._board.create)
            self._versions.create(cursor)
        self._versions.check(cursor)

    def _is_migrated(self, cursor: Any) -> bool:
        found = "SELECT 1 FROM information_schema.tables WHERE table_schema = DATABASE() AND table_name = %s"
        cursor.execute(found, (self._schema.meta.name,))
        if cursor.fetchone() is None:
            return False
        cursor.execute(f"SELECT 1 FROM {self._dialect.name(self._schema.meta)} WHERE name = 'version'")
        return cursor.fetchone() is not None

    def now(self) -> Instant:
        if self._clock is not None:
            return self._clock()
        with self._translated, self._source.lent() as connection:
            cursor = cursor_of(connection)
            cursor.execute(_CLOCK)
            return int(cursor.fetchone()[0])

    def wake(self, topics: Sequence[str]) -> None:
        if Features.WAKEUPS in self.features:
            self._bell.ring(topics)

    def listen(self, topics: Sequence[str]) -> Listener:
        if Features.WAKEUPS not in self.features:
            return Sleeper()
        with self._translated:
            return self._ears.listen(topics)

    @contextmanager
    def transaction(self) -> Iterator[sqlalchemy.Connection]:
        with self._source.engine().connect() as connection:
            with self._translated:
                connection.exec_driver_sql("START TRANSACTION")
            yield connection
            with self._translated:
                connection.commit()

    def examined(self) -> int:
        return self._examined.total()

    @cached_property
    def _plain(self) -> PlainInserting:
        return PlainInserting(self._schema, self._dialect, self._clock)

    def _stored(self, jobs: Sequence[NewJob | StoredJob], tx: Any) -> list[Inserted]:
        if len(jobs) == 1 and tx is None and self._source.is_ours and not self._examined.is_asked:
            row = self._plain.row(jobs)
            if row is not None and self._persistent(lambda: self._has_landed(row)):
                return [INSERTED[State.PENDING]]
        return super()._stored(jobs, tx)

    def _has_landed(self, row: Row) -> bool:
        with self._translated, self._source.cursor() as cursor:
            return self._plain.insert(cursor, row)

    def _heads(self) -> NumberedHeads:
        return NumberedHeads(self._schema, self._dialect)

    @cached_property
    def _inserting(self) -> Inserting:
        return WholeInserting(self._schema, self._dialect)

    @cached_property
    def _records(self) -> Records:
        return WeighedRecords(self._schema, self._dialect)

    def _written(self, work: Callable[[Step], T], tx: Any = None) -> T:
        written = super()._written
        return self._persistent(lambda: written(work)) if tx is None else written(work, tx)

    def _persistent(self, act: Callable[[], T]) -> T:
        """What it answers, begun again where nothing was done because others went first."""
        waited = 0
        for _ in range(TRIES - 1):
            try:
                return act()
            except Unavailable as error:
                code = code_of(error.__cause__)
                waited += code == WAITED_TOO_LONG
                if waited == WAITS or code not in {*DEADLOCK, WAITED_TOO_LONG}:
                    raise
        return act()

    def _glanced(self, look: Callable[[Cursor], T]) -> T:
        if not self._source.is_ours or self._examined.is_asked:
            return super()._glanced(look)
        with self._translated, self._source.cursor() as cursor:
            return look(cursor)

    def _write(self, tx: Any = None) -> AbstractContextManager[Step]:
        if tx is not None:
            return self._joined(tx)
        return self._transaction(_WRITING[1:] if self._source.is_ours else _WRITING)  # Ours are set up so.

    def _read(self) -> AbstractContextManager[Step]:
        return self._transaction(_READING)

    def _read_once(self) -> AbstractContextManager[Step]:
        # Ours commit each statement by themselves. Half of what an idle worker asks would be to begin and to commit.
        return self._transaction(() if self._source.is_ours else _READING)

    @contextmanager
    def _transaction(self, begin: Sequence[str]) -> Iterator[Step]:
        with self._translated, self._source.cursor() as cursor:
            step = self._begun(cursor, begin)
            with self._examined.counting(cursor):
                yield step
            if begin:
                cursor.execute("COMMIT")

    def _begun(self, cursor: Any, begin: Sequence[str]) -> Step:
        texts = [*begin, self._opening]
        if self._source.is_ours:
            cursor.execute("; ".join(texts))
            while cursor.nextset():
                pass
        else:
            for text in texts:
                cursor.execute(text)
        return self._step(cursor)

    @contextmanager
    def _joined(self, tx: Any) -> Iterator[Step]:
        with self._translated:
            cursor = cursor_of(joined(tx))
            try:
                cursor.execute(self._opening)
                yield self._step(cursor)._replace(may_lag=True)
            except errors("Error") as error:
                if code_of(error) in DEADLOCK:
                    raise lost_transaction(error) from error
                raise

    def _step(self, cursor: Cursor) -> Step:
        now, version, readable_from = cursor.fetchone()
        found = {"version": version, "readable_from": readable_from}
        self._versions.judge({name: value for name, value in found.items() if value is not None})
        return Step(cursor, now if self._clock is None else self._clock())

    def _wake_after(self, topics: Sequence[str], tx: Any, identity: str) -> None:
        if tx is None:
            self.wake(topics)
        elif Features.WAKEUPS in self.features:
            self._bell.ring_when_committed(identity, topics)

    def _look_around(self, connection: Any) -> str:
        """What the server promises, and its version."""
        cursor = cursor_of(connection)
        cursor.execute("SELECT VERSION(), CONNECTION_ID(), @@innodb_flush_log_at_trx_commit, @@max_allowed_packet")
        version, identity, flushes, packet = cursor.fetchone()
        if flushes != 1:
            self.features &= ~Features.DURABLE
        if not is_connected_directly(connection, identity):
            # A proxy stands between: who interrupts would hit another's statement, or none.
            self.features &= ~Features.WAKEUPS
        # Bytes are written as two digits each.
        payload = min(self.limits.payload, max(_STATEMENT, (packet - _STATEMENT) // 2))
        self.limits = Limits(payload=payload, batch_bytes=min(self.limits.batch_bytes, payload))
        return str(version)


def _source(target: Any, options: Options) -> Source:
    if options.url is not None:
        return PoolSource(options)
    return EngineSource(target) if isinstance(target, sqlalchemy.Engine) else ConnectionSource(target)
