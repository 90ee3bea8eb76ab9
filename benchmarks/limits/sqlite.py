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


def opened(directory: Path) -> closing[sqlite3.Connection]:
    connection = sqlite3.connect(directory / "limit.db", isolation_level=None)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.executescript(SCHEMA)
    return closing(connection)


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    connection.execute("BEGIN IMMEDIATE")
    yield
    connection.execute("COMMIT")


def row(number: int) -> tuple[str, int, bytes]:
    return f"{number:026d}", number, b"[%d]" % number


def insert(connection: sqlite3.Connection, numbers: Iterable[int]) -> None:
    with transaction(connection):
        connection.executemany(INSERT, map(row, numbers))


def insert_by_thousands(connection: sqlite3.Connection, first: int, count: int) -> None:
    for start in range(first, first + count, BULK):
        insert(connection, range(start, min(start + BULK, first + count)))


def claim(connection: sqlite3.Connection, limit: int) -> Claimed:
    return connection.execute(CLAIM, (HOLDER, limit)).fetchall()


def complete(connection: sqlite3.Connection, claimed: Claimed) -> None:
    connection.executemany(COMPLETE, [(payload, seq, HOLDER, generation) for seq, generation, payload in claimed])


def drain_singly(connection: sqlite3.Connection, jobs: int) -> None:
    for _ in range(jobs):
        with transaction(connection):
            claimed = claim(connection, 1)
        with transaction(connection):
            complete(connection, claimed)


def drain_by_hundreds(connection: sqlite3.Connection, jobs: int) -> None:
    claimed: Claimed = []
    for left in range(jobs, -1, -BATCH):
        with transaction(connection):
            complete(connection, claimed)
            claimed = claim(connection, min(BATCH, left)) if left else []


def enqueue_one(stage: Stage) -> None:
    with opened(stage.directory) as connection:
        for number in range(stage.warm_up):
            insert(connection, [number])
        with stage.timed():
            for number in range(stage.warm_up, stage.warm_up + stage.jobs):
                with transaction(connection):
                    connection.execute(INSERT, row(number))


def enqueue_bulk(stage: Stage) -> None:
    with opened(stage.directory) as connection:
        insert_by_thousands(connection, 0, stage.warm_up)
        with stage.timed():
            insert_by_thousands(connection, stage.warm_up, stage.jobs)


def drain_one(stage: Stage) -> None:
    with opened(stage.directory) as connection:
        insert_by_thousands(connection, 0, stage.warm_up + stage.jobs)
        drain_singly(connection, stage.warm_up)
        with stage.timed():
            drain_singly(connection, stage.jobs)


def drain(stage: Stage) -> None:
    drain_before_backlog(stage, 0)


def drain_with_backlog(stage: Stage) -> None:
    drain_before_backlog(stage, stage.backlog)


def drain_before_backlog(stage: Stage, backlog: int) -> None:
    with opened(stage.directory) as connection:
        insert_by_thousands(connection, 0, stage.warm_up + stage.jobs + backlog)
        drain_by_hundreds(connection, stage.warm_up)
        with stage.timed():
            drain_by_hundreds(connection, stage.jobs)
        assert connection.execute("SELECT count(*) FROM job WHERE state = 3").fetchone() == (
            stage.warm_up + stage.jobs,
        ), "not every job was completed"


def serve(directory: Path, began: Began) -> None:
    """Claim when a datagram comes; a job is picked up when its claim is committed."""
    with opened(directory) as connection, socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as wakes:
        wakes.bind(str(directory / "wake"))
        while True:
            with transaction(connection):
                claimed = claim(connection, BATCH)
            for _, _, payload in claimed:
                began(int(payload[1:-1]))
            if claimed:
                with transaction(connection):
                    complete(connection, claimed)
            else:
                wakes.recv(1)


@contextmanager
def producer(directory: Path) -> Iterator[Send]:
    with opened(directory) as connection, socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as waker:

        def send(number: int) -> None:
            insert(connection, [number])
            if (directory / "wake").exists():
                waker.sendto(b"1", str(directory / "wake"))

        yield send


LIMIT = Program(
    title="limit (hand-written SQL)",
    promise="Durable and at least once, claims and completions fenced by holder and generation, results kept; "
    "no retries, no limits, no leases: the floor, not a queue.",
    phases={
        ENQUEUE_ONE: Phase(run=enqueue_one, jobs=5_000),
        ENQUEUE_BULK: Phase(run=enqueue_bulk, jobs=200_000),
        DRAIN_ONE: Phase(run=drain_one, jobs=3_000),
        DRAIN: Phase(run=drain, jobs=100_000),
        DRAIN_BACKLOG: Phase(run=drain_with_backlog, jobs=100_000),
    },
    pick_up=PickUp(serve=serve, producer=producer),
)
