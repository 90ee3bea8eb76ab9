"""PgQueuer: its asyncpg driver, its queries and its asynchronous worker."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import asyncpg
from pgqueuer import PgQueuer
from pgqueuer.db import AsyncpgDriver
from pgqueuer.models import Job
from pgqueuer.queries import Queries
from pgqueuer.types import QueueExecutionMode

from benchmarks.peers.turns import Drain, enqueue_one_awaited, thousands
from benchmarks.programs import DRAIN, DRAIN_BEST, ENQUEUE_BULK, ENQUEUE_ONE, Began, Phase, PickUp, Program, Send
from benchmarks.servers import url_in
from benchmarks.stage import Stage

MOST = 1_000


async def _queries(directory: Path) -> tuple[asyncpg.Connection, Queries]:
    connection = await asyncpg.connect(url_in(directory))
    queries = Queries(AsyncpgDriver(connection))
    if not await queries.has_table("pgqueuer"):
        await queries.install()
    return connection, queries


async def _fill(queries: Queries, count: int) -> None:
    for numbers in thousands(count):
        size = len(numbers)
        await queries.enqueue(["noop"] * size, [b"%d" % number for number in numbers], [0] * size)


def _enqueue_one(stage: Stage) -> None:
    async def enqueue() -> None:
        connection, queries = await _queries(stage.directory)
        await enqueue_one_awaited(stage, lambda number: queries.enqueue("noop", b"%d" % number))
        await connection.close()

    asyncio.run(enqueue())


def _enqueue_bulk(stage: Stage) -> None:
    async def enqueue() -> None:
        connection, queries = await _queries(stage.directory)
        await _fill(queries, stage.warm_up)
        with stage.timed():
            await _fill(queries, stage.jobs)
        await connection.close()

    asyncio.run(enqueue())


def _worker(connection: asyncpg.Connection, observe: Callable[[int], object]) -> PgQueuer:
    worker = PgQueuer.from_asyncpg_connection(connection)

    @worker.entrypoint("noop")
    async def noop(job: Job) -> None:
        observe(int(job.payload or b""))

    return worker


def _drain(batch: int, stage: Stage) -> None:
    async def drain_all() -> None:
        drain = Drain(stage)
        connection, queries = await _queries(stage.directory)
        await _fill(queries, drain.jobs)
        worker = _worker(connection, drain)
        await worker.qm.run(batch_size=batch, mode=QueueExecutionMode.drain)
        await connection.close()

    asyncio.run(drain_all())


def _serve(directory: Path, began: Began) -> None:
    async def serve() -> None:
        connection, _ = await _queries(directory)
        await _worker(connection, began).run()

    asyncio.run(serve())


@contextmanager
def _producer(directory: Path) -> Iterator[Send]:
    with asyncio.Runner() as runner:
        connection, queries = runner.run(_queries(directory))
        yield lambda number: runner.run(queries.enqueue("noop", b"%d" % number))
        runner.run(connection.close())


PGQUEUER = Program(
    title="pgqueuer",
    promise="Durable and at least once, as jobs without a heartbeat are taken again; a job's row is deleted when it "
    "ends, a log of it stays; no results, no fence.",
    phases={
        ENQUEUE_ONE: Phase(run=_enqueue_one, jobs=3_000),
        ENQUEUE_BULK: Phase(run=_enqueue_bulk, jobs=50_000),
        DRAIN: Phase(run=partial(_drain, 10), jobs=10_000),
        DRAIN_BEST: Phase(run=partial(_drain, MOST), jobs=20_000),
    },
    pick_up=PickUp(serve=_serve, producer=_producer),
)
