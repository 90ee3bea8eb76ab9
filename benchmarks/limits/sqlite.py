"""SQLite's own limit: the table, the index and the statements Longshore needs, and nothing around them.

Every commit reaches the disk (WAL, ``synchronous=FULL``). A claim takes the first jobs by priority, due time and id and
stamps holder and generation on them; a completion is guarded by both, and keeps the result.
"""

import socket
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from benchmarks.programs import (
    DRAIN,
    DRAIN_BACKLOG,
    DRAIN_ONE,
    ENQUEUE_BULK,
    ENQUEUE_ONE,
    Began,
    Phase,
    PickUp,
    Program,
    Send,
)
from benchmarks.stage import Stage

BATCH = 100
BULK = 1_000
HOLDER = "holder"

SCHEMA = """
CREATE TABLE IF NOT EXISTS job (
    seq INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, queue TEXT NOT NULL, task TEXT NOT NULL,
    priority INTEGER NOT NULL, due INTEGER NOT NULL, state INTEGER NOT NULL, ready INTEGER NOT NULL,
    holder TEXT, generation INTEGER NOT NULL, payload BLOB NOT NULL, result BLOB);
CREATE INDEX IF NOT EXISTS ready ON job (queue, priority DESC, due, id) WHERE state = 1 AND ready = 1;
"""
INSERT = """
INSERT INTO job (id, queue, task, priority, due, state, ready, generation, payload)
VALUES (?, 'default', 'noop', 0, ?, 1, 1, 0, ?) ON CONFLICT DO NOTHING
"""
CLAIM = """
UPDATE job SET state = 2, holder = ?, generation = generation + 1 WHERE seq IN (
    SELECT seq FROM job INDEXED BY ready WHERE state = 1 AND ready = 1 AND queue = 'default'
    ORDER BY priority DESC, due, id LIMIT ?)
RETURNING seq, generation, payload
"""
COMPLETE = "UPDATE job SET state = 3, result = ? WHERE seq = ? AND state = 2 AND holder = ? AND generation = ?"

Claimed = list[tuple[int, int, bytes]]


def _opened(directory: Path) -> closing[sqlite3.Connection]:
    connection = sqlite3.connect(directory / "limit.db", isolation_level=None)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.executescript(SCHEMA)
    return closing(connection)


@contextmanager
def _transaction(connection: sqlite3.Connection) -> Iterator[None]:
    connection.execute("BEGIN IMMEDIATE")
    yield
    connection.execute("COMMIT")


def _row(number: int) -> tuple[str, int, bytes]:
    return f"{number:026d}", number, b"[%d]" % number


def _insert(connection: sqlite3.Connection, numbers: Iterable[int]) -> None:
    with _transaction(connection):
        connection.executemany(INSERT, map(_row, numbers))


def _insert_by_thousands(connection: sqlite3.Connection, first: int, count: int) -> None:
    for start in range(first, first + count, BULK):
        _insert(connection, range(start, min(start + BULK, first + count)))


def _claim(connection: sqlite3.Connection, limit: int) -> Claimed:
    return connection.execute(CLAIM, (HOLDER, limit)).fetchall()


def _complete(connection: sqlite3.Connection, claimed: Claimed) -> None:
    connection.executemany(COMPLETE, [(payload, seq, HOLDER, generation) for seq, generation, payload in claimed])


def _drain_singly(connection: sqlite3.Connection, jobs: int) -> None:
    for _ in range(jobs):
        with _transaction(connection):
            claimed = _claim(connection, 1)
        with _transaction(connection):
            _complete(connection, claimed)


def _drain_by_hundreds(connection: sqlite3.Connection, jobs: int) -> None:
    claimed: Claimed = []
    while jobs or claimed:
        with _transaction(connection):
            _complete(connection, claimed)
            claimed = _claim(connection, min(BATCH, jobs))
        jobs -= len(claimed)


def _enqueue_one(stage: Stage) -> None:
    with _opened(stage.directory) as connection:
        for number in range(stage.warm_up):
            _insert(connection, [number])
        with stage.timed():
            for number in range(stage.warm_up, stage.warm_up + stage.jobs):
                with _transaction(connection):
                    connection.execute(INSERT, _row(number))


def _enqueue_bulk(stage: Stage) -> None:
    with _opened(stage.directory) as connection:
        _insert_by_thousands(connection, 0, stage.warm_up)
        with stage.timed():
            _insert_by_thousands(connection, stage.warm_up, stage.jobs)


def _drain_one(stage: Stage) -> None:
    with _opened(stage.directory) as connection:
        _insert_by_thousands(connection, 0, stage.warm_up + stage.jobs)
        _drain_singly(connection, stage.warm_up)
        with stage.timed():
            _drain_singly(connection, stage.jobs)


def _drain(stage: Stage) -> None:
    _drain_before_backlog(stage, 0)


def _drain_with_backlog(stage: Stage) -> None:
    _drain_before_backlog(stage, stage.backlog)


def _drain_before_backlog(stage: Stage, backlog: int) -> None:
    with _opened(stage.directory) as connection:
        _insert_by_thousands(connection, 0, stage.warm_up + stage.jobs + backlog)
        _drain_by_hundreds(connection, stage.warm_up)
        with stage.timed():
            _drain_by_hundreds(connection, stage.jobs)
        assert connection.execute("SELECT count(*) FROM job WHERE state = 3").fetchone() == (
            stage.warm_up + stage.jobs,
        ), "not every job was completed"


def _serve(directory: Path, began: Began) -> None:
    """Claim when a datagram comes; a job is picked up when its claim is committed."""
    with _opened(directory) as connection, socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as wakes:
        wakes.bind(str(directory / "wake"))
        while True:
            with _transaction(connection):
                claimed = _claim(connection, BATCH)
            for _, _, payload in claimed:
                began(int(payload[1:-1]))
            if claimed:
                with _transaction(connection):
                    _complete(connection, claimed)
            else:
                wakes.recv(1)


@contextmanager
def _producer(directory: Path) -> Iterator[Send]:
    with _opened(directory) as connection, socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as waker:

        def send(number: int) -> None:
            _insert(connection, [number])
            if (directory / "wake").exists():
                waker.sendto(b"1", str(directory / "wake"))

        yield send


LIMIT = Program(
    title="limit (hand-written SQL)",
    promise="Durable and at least once, claims and completions fenced by holder and generation, results kept; "
    "no retries, no limits, no leases: the floor, not a queue.",
    phases={
        ENQUEUE_ONE: Phase(run=_enqueue_one, jobs=5_000),
        ENQUEUE_BULK: Phase(run=_enqueue_bulk, jobs=200_000),
        DRAIN_ONE: Phase(run=_drain_one, jobs=3_000),
        DRAIN: Phase(run=_drain, jobs=100_000),
        DRAIN_BACKLOG: Phase(run=_drain_with_backlog, jobs=100_000),
    },
    pick_up=PickUp(serve=_serve, producer=_producer),
)
