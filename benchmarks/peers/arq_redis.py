"""arq: its asynchronous pool and worker."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from arq import create_pool, func
from arq.connections import RedisSettings
from arq.worker import Worker

from benchmarks.peers.turns import Drain, enqueue_one_awaited
from benchmarks.programs import DRAIN, ENQUEUE_ONE, Began, Phase, PickUp, Program, Send
from benchmarks.servers import url_in
from benchmarks.stage import Stage

CONCURRENCY = 10
POLL_SECONDS = 0.001


def _settings(directory: Path) -> RedisSettings:
    return RedisSettings.from_dsn(url_in(directory))


def _worker(directory: Path, observe: Callable[[int], object], *, poll: float) -> Worker:
    async def noop(_: Any, number: int) -> int:
        observe(number)
        return number

    return Worker(
        functions=[func(noop, name="noop")],
        redis_settings=_settings(directory),
        max_jobs=CONCURRENCY,
        poll_delay=poll,
        handle_signals=False,
    )


def _enqueue_one(stage: Stage) -> None:
    async def enqueue() -> None:
        pool = await create_pool(_settings(stage.directory))
        await enqueue_one_awaited(stage, lambda number: pool.enqueue_job("noop", number))
        await pool.aclose()

    asyncio.run(enqueue())


def _drain(stage: Stage) -> None:
    async def drain_all() -> None:
        drain, pool = Drain(stage), await create_pool(_settings(stage.directory))
        for number in range(drain.jobs):
            await pool.enqueue_job("noop", number)
        work = asyncio.create_task(_worker(stage.directory, drain, poll=POLL_SECONDS).async_run())
        await asyncio.to_thread(drain.is_done.wait)
        work.cancel()

    # Its worker may go on when it is cancelled, and `asyncio.run` would wait for it.
    asyncio.new_event_loop().run_until_complete(drain_all())


def _serve(directory: Path, began: Began) -> None:
    async def serve() -> None:
        await _worker(directory, began, poll=POLL_SECONDS).async_run()

    asyncio.run(serve())


@contextmanager
def _producer(directory: Path) -> Iterator[Send]:
    with asyncio.Runner() as runner:
        pool = runner.run(create_pool(_settings(directory)))
        yield lambda number: runner.run(pool.enqueue_job("noop", number))
        runner.run(pool.aclose())


ARQ = Program(
    title="arq",
    promise="At least once, results kept; no fence; it polls, here every millisecond (usual are 500).",
    phases={ENQUEUE_ONE: Phase(run=_enqueue_one, jobs=3_000), DRAIN: Phase(run=_drain, jobs=3_000)},
    pick_up=PickUp(serve=_serve, producer=_producer),
)
