"""The limit of MariaDB: the table, the index and the statements Longshore needs, and nothing around them.

Every commit reaches the disk. A claim locks the first jobs by priority, due time and id, passing over what others have
locked, and stamps holder and generation on them; a completion is guarded by both, and keeps the result.
"""

from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any, TypeAlias
from urllib.parse import urlsplit

import pymysql

from benchmarks.limits.loops import BATCH, Loops
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
from benchmarks.servers import url_in

HOLDER = "holder"
SLEEP_SECONDS = 0.1
"""As late as that a job is picked up whose interruption came between two sleeps."""

SCHEMA = """
CREATE TABLE IF NOT EXISTS job (
    number BIGINT AUTO_INCREMENT PRIMARY KEY, id VARCHAR(200) NOT NULL UNIQUE, queue VARCHAR(200) NOT NULL,
    task VARCHAR(200) NOT NULL, priority SMALLINT NOT NULL, due BIGINT NOT NULL, state SMALLINT NOT NULL,
    holder VARCHAR(200), generation INT NOT NULL, payload LONGBLOB NOT NULL, result LONGBLOB,
    KEY ready (state, queue, priority DESC, due, id)
) CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin
"""
INSERT = "INSERT INTO job (id, queue, task, priority, due, state, generation, payload) VALUES "
ROW = "(%s, 'default', 'noop', 0, %s, 1, 0, %s)"
FIND = """
SELECT number, generation, payload FROM job FORCE INDEX (ready) WHERE state = 1 AND queue = 'default'
ORDER BY priority DESC, due, id LIMIT %s FOR UPDATE SKIP LOCKED
"""
TAKE = "UPDATE job SET state = 2, holder = %s, generation = generation + 1 WHERE number IN %s"
COMPLETE = """
UPDATE job JOIN ({}) given ON job.number = given.number SET job.state = 3, job.result = given.result
WHERE job.state = 2 AND job.holder = %s AND job.generation = given.generation
"""
GIVEN = "SELECT %s AS number, %s AS generation, %s AS result"

Connection: TypeAlias = "pymysql.Connection[Any]"
Claimed = list[tuple[int, int, bytes]]


def _opened(directory: Path) -> closing[Connection]:
    port = urlsplit(url_in(directory)).port
    connection = pymysql.connect(
        host="127.0.0.1", port=port or 0, user="root", database="longshore", charset="utf8mb4", autocommit=True
    )
    with connection.cursor() as cursor:
        cursor.execute(SCHEMA)
        cursor.execute("SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED")
    return closing(connection)


def _insert(connection: Connection, numbers: Sequence[int]) -> None:
    values = [value for number in numbers for value in (f"{number:026}", number, b"[%d]" % number)]
    with connection.cursor() as cursor:
        cursor.execute(INSERT + ",".join([ROW] * len(numbers)), values)


def _claim(connection: Connection, limit: int) -> Claimed:
    with connection.cursor() as cursor:
        cursor.execute("START TRANSACTION")
        cursor.execute(FIND, (limit,))
        found = [(number, generation + 1, payload) for number, generation, payload in cursor.fetchall()]
        if found:
            cursor.execute(TAKE, (HOLDER, [number for number, _, _ in found]))
        cursor.execute("COMMIT")
    return found


def _complete(connection: Connection, claimed: Claimed) -> None:
    values = [value for job in claimed for value in job]
    with connection.cursor() as cursor:
        cursor.execute(COMPLETE.format(" UNION ALL ".join([GIVEN] * len(claimed))), [*values, HOLDER])


def _serve(directory: Path, began: Began) -> None:
    """Sleeps in the server until somebody interrupts that; a job is picked up when its claim is committed."""
    with _opened(directory) as connection, _opened(directory) as ear:
        # Nothing else runs there: an interruption hits a sleep, or nothing.
        (directory / "listener").write_text(str(ear.thread_id()))
        while True:
            claimed = _claim(connection, BATCH)
            for _, _, payload in claimed:
                began(int(payload[1:-1]))
            if claimed:
                _complete(connection, claimed)
            else:
                with suppress(pymysql.OperationalError), ear.cursor() as cursor:
                    cursor.execute(f"SELECT SLEEP({SLEEP_SECONDS})")


@contextmanager
def _producer(directory: Path) -> Iterator[Send]:
    listener = directory / "listener"
    with _opened(directory) as connection:

        def send(number: int) -> None:
            _insert(connection, [number])
            if listener.exists():
                connection.query(f"KILL QUERY {listener.read_text()}")

        yield send


_LOOPS = Loops(opened=_opened, insert=_insert, claim=_claim, complete=_complete)

LIMIT = Program(
    title="limit (hand-written SQL)",
    promise="Durable and at least once, claims and completions fenced by holder and generation, results kept; no "
    "retries, no limits, no leases: the floor, not a queue.",
    phases={
        ENQUEUE_ONE: Phase(run=_LOOPS.enqueue_one, jobs=4_000),
        ENQUEUE_BULK: Phase(run=_LOOPS.enqueue_bulk, jobs=50_000),
        DRAIN_ONE: Phase(run=_LOOPS.drain_one, jobs=2_000),
        DRAIN: Phase(run=_LOOPS.drain, jobs=30_000),
        DRAIN_BACKLOG: Phase(run=_LOOPS.drain_with_backlog, jobs=30_000),
    },
    pick_up=PickUp(serve=_serve, producer=_producer),
)
