"""Longshore on PostgreSQL."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from functools import cached_property
from typing import Any, Final, Self, TypeVar

import psycopg
import sqlalchemy
from psycopg.pq import TransactionStatus
from psycopg.rows import tuple_row

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
from longshore.errors import StoreError, Unavailable
from longshore_sql import statements
from longshore_sql.examined import Examined, examined_by_postgres
from longshore_sql.inserting import INSERTED, Inserting
from longshore_sql.locked_inserting import LockedInserting
from longshore_sql.postgres.commits import NUMBER, Commits
from longshore_sql.postgres.copied_inserting import CopiedInserting
from longshore_sql.postgres.cursor import PreparedCursor
from longshore_sql.postgres.dialect import CLOCK, PostgresDialect
from longshore_sql.postgres.errors import REPEATABLE, Translated
from longshore_sql.postgres.locked_heads import LockedHeads
from longshore_sql.postgres.locked_records import LockedRecords
from longshore_sql.postgres.migrating import Migrating
from longshore_sql.postgres.one_trip import OneTripDriver
from longshore_sql.postgres.options import Options
from longshore_sql.postgres.plain_inserting import Arrays, PlainInserting
from longshore_sql.postgres.pool import PoolSource
from longshore_sql.postgres.sources import (
    ConnectionSource,
    EngineSource,
    Lent,
    Source,
    driver_connection,
    is_at_rest,
    is_through_a_pooler,
    joined,
    settings,
)
from longshore_sql.postgres.trips import Trips
from longshore_sql.postgres.wakes import Ears, Notifier, shortened
from longshore_sql.records import Records
from longshore_sql.schema import schema_of
from longshore_sql.statements import Asked, Row, Step, post
from longshore_sql.statements import Cursor as AnyCursor

T = TypeVar("T")
_logger: Final = logging.getLogger("longshore.postgres")
TRIES: Final = 10
"""How often a step is begun that is in a deadlock each time."""

_CLOCK: Final = f"SELECT {CLOCK}"
_JUDGED: Final = ("version", "readable_from")
"""By what is stored under these names each step knows whether this code can work on the tables."""
_UNLIMITED: Final = "0"
_FREELY: Final = f"SELECT set_config('lock_timeout', '{_UNLIMITED}', true)"
_INSIDE: Final = {TransactionStatus.INTRANS, TransactionStatus.INERROR}
_WRITING: Final = "BEGIN ISOLATION LEVEL READ COMMITTED"
_READING: Final = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"


class PostgresDriver(OneTripDriver):
    """A connection to PostgreSQL, 15 or newer.

    Takes ``postgresql://user:password@host/database`` with libpq's own options (``sslmode``, ``application_name``, …)
    in its query, or a live SQLAlchemy ``Engine`` or ``Connection`` of psycopg, or psycopg's ``Connection``, which is
    neither closed nor reconfigured. Options, in the URL's query or by name: ``namespace``, ``schema`` (which `migrate`
    creates); for a URL also ``pool_size``, ``max_overflow``, ``pool_timeout`` and ``pool_recycle`` of the pool, and
    ``lock_timeout``, the seconds to wait for others' open transactions.
    """

    handles = ("psycopg.Connection", "sqlalchemy.engine.base.Engine", "sqlalchemy.engine.base.Connection")
    features = Features.DURABLE | Features.SHARED | Features.TRANSACTIONS | Features.WAKEUPS | Features.ONE_PLACE
    limits = Limits()

    def __init__(self, source: Source, options: Options, clock: Clock | None) -> None:
        self._postgres = PostgresDialect()
        super().__init__(schema_of(options.namespace, options.schema, numbered=False), self._postgres)
        self.target = source.target
        self._source = source
        self._clock = clock
        self._translated = Translated()
        channel = f"{options.schema or ''}.{options.namespace}"
        self._notifier = Notifier(source.opened, channel)
        self._commits = Commits(source.opened, self.wake)
        self._ears = Ears(source.opened, channel)
        self._channel = channel
        self._patience = options.lock_timeout
        self._examined = Examined(examined_by_postgres(options.namespace))
        meta = self._dialect.name(self._schema.meta)
        self._opening = ", ".join([_CLOCK, *(f"(SELECT value FROM {meta} WHERE name = '{name}')" for name in _JUDGED)])
        # An application that waits for ever is given our patience for the time of a call.
        patience = str(round(self._patience * 1_000))
        ours = f"WHEN '{_UNLIMITED}' THEN '{patience}' ELSE current_setting('lock_timeout') END"
        limited = f"set_config('lock_timeout', CASE current_setting('lock_timeout') {ours}, true)"
        self._joining = f"{self._opening}, current_setting('lock_timeout'), {limited}"
        own = settings(lasting=False, lock_timeout=patience)
        brought = own if options.url is not None else f"{settings(lasting=False)}, {limited}"
        self._opening_with_settings = f"{self._opening}, {brought}"
        with self._translated, source.lent() as connection:
            self.features = _features(connection)

    @classmethod
    def connect(cls, target: Any, *, clock: Clock | None = None, **options: Any) -> Self:
        given = Options.of(target, options)
        with Translated():
            return cls(_source(target, given), given, clock)

    @classmethod
    def serves(cls, handle: Any) -> bool:
        return is_postgres(handle)

    def close(self) -> None:
        self._ears.close()
        self._commits.close()
        self._notifier.close()
        self._source.close()

    def migrate(self) -> None:
        name, patience = f"longshore {self._channel}", self._patience
        with self._translated:
            Migrating(self._source, self._schema, self._dialect, self._versions, name, patience).migrate()

    def now(self) -> Instant:
        if self._clock is not None:
            return self._clock()
        with self._translated, self._source.lent() as connection:
            return int(connection.cursor(row_factory=tuple_row).execute(_CLOCK).fetchall()[0][0])

    def insert(self, jobs: Sequence[NewJob | StoredJob], *, tx: Any = None) -> list[Inserted]:
        if len(jobs) == 1 and tx is None and (row := self._plain.row(jobs, self._clock)) is not None:
            topic = shortened(f"queue:{jobs[0].queue}")
            if self._persistent(lambda: self._has_landed(row, topic), None):
                return [INSERTED[State.PENDING]]
        return super().insert(jobs, tx=tx)

    def wake(self, topics: Sequence[str]) -> None:
        self._notifier.send(map(shortened, topics))

    def listen(self, topics: Sequence[str]) -> Listener:
        if Features.WAKEUPS not in self.features:
            return Sleeper()
        with self._translated:
            return self._ears.listen(topics)

    @contextmanager
    def transaction(self) -> Iterator[sqlalchemy.Connection]:
        with self._source.engine().connect() as connection:
            with self._translated:
                driver_connection(connection).autocommit = False
            yield connection
            with self._translated:
                connection.commit()

    @cached_property
    def _plain(self) -> PlainInserting:
        return PlainInserting(self._schema, self._postgres)

    @cached_property
    def _copied(self) -> CopiedInserting:
        return CopiedInserting(self._schema, self._postgres)

    @cached_property
    def _trips(self) -> Trips:
        return Trips(self._schema, self._postgres, self._clock)

    def examined(self) -> int:
        return self._examined.total()

    def _heads(self) -> LockedHeads:
        return LockedHeads(self._schema, self._dialect)

    @cached_property
    def _inserting(self) -> Inserting:
        return LockedInserting(self._schema, self._dialect)

    @cached_property
    def _records(self) -> Records:
        return LockedRecords(self._schema, self._dialect)

    def _stored(self, jobs: Sequence[NewJob | StoredJob], tx: Any) -> list[Inserted]:
        if len(jobs) == 1:
            return self._one_stored(jobs, tx)
        if tx is None and self._copied.fits(jobs) and self._all_copied(jobs):
            return [INSERTED[State.PENDING]] * len(jobs)
        arrays = self._plain.arrays(jobs)
        if arrays is None:
            return super()._stored(jobs, tx)
        landed = self._persistent(lambda: self._landed(arrays, tx), tx)
        stored = INSERTED[State.PENDING]
        if len(landed) == len(jobs):
            return [stored] * len(jobs)
        rest = [job for job in jobs if job.id not in landed]
        found = {job.id: answer for job, answer in zip(rest, super()._stored(rest, tx), strict=True)}
        return [found.get(job.id, stored) for job in jobs]

    def _all_copied(self, jobs: Sequence[NewJob | StoredJob]) -> bool:
        try:
            return self._written(lambda step: self._copied.copy(step, jobs))
        except StoreError as error:
            if self._copied.has_clashed(error):
                return False
            raise

    def _one_stored(self, jobs: Sequence[NewJob | StoredJob], tx: Any) -> list[Inserted]:
        # By itself a plain job was tried before (`insert`).
        row = None if tx is None else self._plain.row(jobs, self._clock)
        if row is not None:
            with self._cursor(tx) as cursor:
                if self._plain.insert_one(cursor, row):
                    return [INSERTED[State.PENDING]]
        return super()._stored(jobs, tx)

    def _has_landed(self, row: Row, topic: str) -> bool:
        """Whether a plain job could be stored by one statement; who waits for it is woken by one right behind it."""
        said: Collection[str] = ()
        try:
            with self._cursor(None) as cursor:
                if isinstance(cursor, PreparedCursor) and (said := self._notifier.along([topic])):
                    cursor.follow(*self._notifier.hint(said))
                has_landed = self._plain.insert_one(cursor, row)
        except BaseException:
            self._notifier.send(said)  # Others are waiting for some of it.
            raise
        if has_landed and not said:
            self._notifier.send([topic])
        return has_landed

    def _landed(self, arrays: Arrays, tx: Any) -> set[str]:
        with self._cursor(tx) as cursor:
            return self._plain.insert(cursor, arrays, self._clock)

    def _written(self, work: Callable[[Step], T], tx: Any = None) -> T:
        def write() -> T:
            with self._write(tx) as step:
                return work(step)

        return self._persistent(write, tx)

    def _persistent(self, act: Callable[[], T], tx: Any) -> T:
        """What it answers, begun again where nothing was done because others went first."""
        for _ in range(TRIES - 1 if tx is None else 0):
            try:
                return act()
            except Unavailable as error:
                if not isinstance(error.__cause__, REPEATABLE):
                    raise
        return act()

    def _travelled(self, groups: Sequence[Sequence[Asked]]) -> list[list[Row]]:
        return self._persistent(lambda: self._travelled_once(groups), None)

    def _travelled_once(self, groups: Sequence[Sequence[Asked]]) -> list[list[Row]]:
        if self._source.is_set_up and not self._examined.is_asked:
            with self._translated, self._source.cursor() as cursor:
                if isinstance(cursor, PreparedCursor):
                    return cursor.together(groups)
        return [rows for group in groups for rows in self._each(group)]

    def _each(self, group: Sequence[Asked]) -> list[list[Row]]:
        with self._write() as step:
            return [step.cursor.execute(text, values).fetchall() for text, values in group]

    def _glanced(self, look: Callable[[statements.Cursor], T]) -> T:
        with self._cursor(None) as cursor:
            return look(cursor)

    def _write(self, tx: Any = None) -> AbstractContextManager[Step]:
        return self._transaction(_WRITING) if tx is None else self._joined(tx)

    def _read(self) -> AbstractContextManager[Step]:
        return self._transaction(_READING)

    @contextmanager
    def _cursor(self, tx: Any) -> Iterator[statements.Cursor]:
        """A cursor for one statement, committed by itself, or in the application's transaction if there is one."""
        if tx is None and self._source.is_set_up and not self._examined.is_asked:
            with self._translated, self._source.cursor() as cursor:
                yield cursor
        else:
            with self._write(tx) as step:
                yield step.cursor

    @contextmanager
    def _transaction(self, begin: str) -> Iterator[Step]:
        with self._translated, self._source.cursor() as cursor, self._between(cursor, begin):
            cursor.execute(self._opening if self._source.is_set_up else self._opening_with_settings)
            step = self._step(cursor, cursor.fetchall()[0])
            with self._examined.counting(cursor):
                yield step

    @contextmanager
    def _between(self, cursor: Lent, begin: str) -> Iterator[None]:
        try:
            post(cursor, begin)
            yield
            cursor.execute("COMMIT")
        finally:
            if cursor.connection.pgconn.transaction_status in _INSIDE and is_at_rest(cursor):
                cursor.execute("ROLLBACK")

    @contextmanager
    def _joined(self, tx: Any) -> Iterator[Step]:
        with self._translated:
            cursor = joined(tx)
            cursor.execute(self._joining)
            *found, patience, _ = cursor.fetchall()[0]
            yield self._step(cursor, found)
            if patience == _UNLIMITED:
                cursor.execute(_FREELY)

    def _step(self, cursor: AnyCursor, found: Sequence[int]) -> Step:
        now, *values = found
        self._versions.judge({name: value or 0 for name, value in zip(_JUDGED, values, strict=False)})
        return Step(cursor, now if self._clock is None else self._clock())

    def _wake_after(self, topics: Sequence[str], tx: Any, identity: str) -> None:
        if tx is None:
            self.wake(topics)
            return
        with self._translated:
            cursor = joined(tx)
            cursor.execute(NUMBER)
            self._commits.note(cursor.fetchall()[0][0], topics)


def _features(connection: psycopg.Connection[Any]) -> Features:
    """What this server promises over this connection."""
    features = PostgresDriver.features
    asked = "SELECT current_setting('synchronous_commit') <> 'off' AND current_setting('fsync') = 'on'"
    if connection.cursor(row_factory=tuple_row).execute(asked).fetchone() != (True,):
        features &= ~Features.DURABLE
    if is_through_a_pooler(connection):
        _logger.warning("a pooler stands before PostgreSQL: there are no wake-ups, so workers look from time to time")
        features &= ~Features.WAKEUPS
    return features


def _source(target: Any, options: Options) -> Source:
    if options.url is not None:
        return PoolSource(options)
    return EngineSource(target) if isinstance(target, sqlalchemy.Engine) else ConnectionSource(target)


def is_postgres(handle: Any) -> bool:
    """Whether a live object of SQLAlchemy's is one of PostgreSQL's."""
    return not isinstance(handle, sqlalchemy.Engine | sqlalchemy.Connection) or handle.dialect.name == "postgresql"
