"""The limit of PostgreSQL: the table, the index and the statements Longshore needs, and nothing around them.

Every commit reaches the disk. A claim takes the first jobs by priority, due time and id and stamps holder and
generation on them; a completion is guarded by both, and keeps the result. Many go in one call, as arrays.
"""

from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import psycopg

from benchmarks.limits.loops import BATCH, Loops
from benchmarks.programs import (
    DRAIN,
    DRAIN_BACKLOG,
    DRAIN_BEST,
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

SCHEMA = """
CREATE TABLE IF NOT EXISTS job (
    id TEXT COLLATE "C" PRIMARY KEY, queue TEXT NOT NULL, task TEXT NOT NULL, priority SMALLINT NOT NULL,
    due BIGINT NOT NULL, state SMALLINT NOT NULL, holder TEXT, generation INT NOT NULL, payload BYTEA NOT NULL,
    result BYTEA);
CREATE INDEX IF NOT EXISTS ready ON job (queue, priority DESC, due, id) WHERE state = 1;
"""
SETTINGS = "SET enable_seqscan = off; SET enable_bitmapscan = off; SET plan_cache_mode = force_generic_plan"
INSERT = """
INSERT INTO job (id, queue, task, priority, due, state, generation, payload)
SELECT id, 'default', 'noop', 0, due, 1, 0, payload FROM unnest(%s::text[], %s::bigint[], %s::bytea[])
    AS given(id, due, payload)
ON CONFLICT DO NOTHING
"""
CLAIM = """
UPDATE job SET state = 2, holder = %s, generation = generation + 1 WHERE id = ANY(ARRAY(
    SELECT id FROM job WHERE state = 1 AND queue = 'default'
    ORDER BY priority DESC, due, id LIMIT %s FOR UPDATE SKIP LOCKED))
RETURNING id, generation, payload
"""
COMPLETE = """
UPDATE job SET state = 3, result = given.result FROM unnest(%s::text[], %s::int[], %s::bytea[])
    AS given(id, generation, result)
WHERE job.id = given.id AND job.state = 2 AND job.holder = %s AND job.generation = given.generation
"""

Connection = psycopg.Connection[Any]
Claimed = list[tuple[str, int, bytes]]


def _opened(directory: Path) -> closing[Connection]:
    connection = psycopg.connect(url_in(directory), autocommit=True)
    connection.execute(SCHEMA)
    connection.execute(SETTINGS)
    return closing(connection)


def _insert(connection: Connection, numbers: Sequence[int]) -> None:
    ids = "{" + ",".join([f"{number:026}" for number in numbers]) + "}"
    due = "{" + ",".join(map(str, numbers)) + "}"
    payloads = '{"' + '","'.join(["\\\\x" + (b"[%d]" % number).hex() for number in numbers]) + '"}'
    connection.execute(INSERT, (ids, due, payloads))


def _claim(connection: Connection, limit: int) -> Claimed:
    return connection.execute(CLAIM, (HOLDER, limit)).fetchall()


def _complete(connection: Connection, claimed: Claimed) -> None:
    ids = "{" + ",".join([identity for identity, _, _ in claimed]) + "}"
    generations = "{" + ",".join([str(generation) for _, generation, _ in claimed]) + "}"
    results = '{"' + '","'.join(["\\\\x" + payload.hex() for _, _, payload in claimed]) + '"}'
    connection.execute(COMPLETE, (ids, generations, results, HOLDER))


def _serve(directory: Path, began: Began) -> None:
    """Claims when a notification comes; a job is picked up when its claim is committed."""
    with _opened(directory) as connection, psycopg.connect(url_in(directory), autocommit=True) as ear:
        ear.execute("LISTEN wake")
        while True:
            claimed = _claim(connection, BATCH)
            for _, _, payload in claimed:
                began(int(payload[1:-1]))
            if claimed:
                _complete(connection, claimed)
            else:
                next(ear.notifies())


@contextmanager
def _producer(directory: Path) -> Iterator[Send]:
    with _opened(directory) as connection:

        def send(number: int) -> None:
            _insert(connection, [number])
            connection.execute("NOTIFY wake")

        yield send


_LOOPS = Loops(opened=_opened, insert=_insert, claim=_claim, complete=_complete)

LIMIT = Program(
    title="limit (hand-written SQL)",
    promise="Durable and at least once, claims and completions fenced by holder and generation, results kept; no "
    "retries, no limits, no leases: the floor, not a queue.",
    phases={
        ENQUEUE_ONE: Phase(run=_LOOPS.enqueue_one, jobs=5_000),
        ENQUEUE_BULK: Phase(run=_LOOPS.enqueue_bulk, jobs=100_000),
        DRAIN_ONE: Phase(run=_LOOPS.drain_one, jobs=3_000),
        DRAIN: Phase(run=_LOOPS.drain, jobs=50_000),
        DRAIN_BEST: Phase(run=_LOOPS.drain, jobs=50_000),
        DRAIN_BACKLOG: Phase(run=_LOOPS.drain_with_backlog, jobs=50_000),
    },
    pick_up=PickUp(serve=_serve, producer=_producer),
)
