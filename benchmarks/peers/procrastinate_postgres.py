"""Procrastinate: its psycopg connector and its asynchronous worker."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from procrastinate import App, PsycopgConnector
from psycopg import errors

from benchmarks.peers.turns import Drain, enqueue_one_awaited, thousands
from benchmarks.programs import DRAIN, DRAIN_BEST, ENQUEUE_BULK, ENQUEUE_ONE, Began, Phase, PickUp, Program, Send
from benchmarks.servers import url_in
from benchmarks.stage import Stage


def _made(directory: Path, observe: Callable[[int], object]) -> tuple[App, Any]:
    app = App(connector=PsycopgConnector(conninfo=url_in(directory), max_size=20))

    @app.task(name="noop")
    async def noop(number: int) -> int:
        observe(number)
        return number

    return app, noop


async def _opened(app: App) -> None:
    await app.open_async()
    try:
        await app.connector.execute_query_async("SELECT 1 FROM procrastinate_jobs LIMIT 1")
    except Exception as error:
        if not isinstance(error.__cause__, errors.UndefinedTable):
            raise
        await app.schema_manager.apply_schema_async()


async def _fill(noop: Any, count: int) -> None:
    for numbers in thousands(count):
        await noop.batch_defer_async(*({"number": number} for number in numbers))


def _enqueue_one(stage: Stage) -> None:
    async def enqueue() -> None:
        app, noop = _made(stage.directory, lambda number: None)
        await _opened(app)
        await enqueue_one_awaited(stage, lambda number: noop.defer_async(number=number))
        await app.close_async()

    asyncio.run(enqueue())


def _enqueue_bulk(stage: Stage) -> None:
    async def enqueue() -> None:
        app, noop = _made(stage.directory, lambda number: None)
        await _opened(app)
        await _fill(noop, stage.warm_up)
        with stage.timed():
            await _fill(noop, stage.jobs)
        await app.close_async()

    asyncio.run(enqueue())


def _drain(concurrency: int, stage: Stage) -> None:
    async def drain_all() -> None:
        drain = Drain(stage)
        app, noop = _made(stage.directory, drain)
        await _opened(app)
        await _fill(noop, drain.jobs)
        await app.run_worker_async(concurrency=concurrency, wait=False, install_signal_handlers=False)
        await app.close_async()

    asyncio.run(drain_all())


def _serve(directory: Path, began: Began) -> None:
    async def serve() -> None:
        app, _ = _made(directory, began)
        await _opened(app)
        await app.run_worker_async(concurrency=10, install_signal_handlers=False)

    asyncio.run(serve())


@contextmanager
def _producer(directory: Path) -> Iterator[Send]:
    with asyncio.Runner() as runner:
        app, noop = _made(directory, lambda number: None)
        runner.run(_opened(app))
        yield lambda number: runner.run(noop.defer_async(number=number))
        runner.run(app.close_async())


PROCRASTINATE = Program(
    title="procrastinate",
    promise="Durable and at least once if somebody retries what a killed worker had; the job's row stays, without a "
    "result; no fence.",
    phases={
        ENQUEUE_ONE: Phase(run=_enqueue_one, jobs=2_000),
        ENQUEUE_BULK: Phase(run=_enqueue_bulk, jobs=30_000),
        DRAIN: Phase(run=partial(_drain, 10), jobs=2_000),
        DRAIN_BEST: Phase(run=partial(_drain, 100), jobs=2_000),
    },
    pick_up=PickUp(serve=_serve, producer=_producer),
)
