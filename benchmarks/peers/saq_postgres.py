"""SAQ on PostgreSQL: its asynchronous queue and worker."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from saq import Queue, Worker

from benchmarks.peers.turns import Drain, enqueue_one_awaited
from benchmarks.programs import DRAIN, DRAIN_BEST, ENQUEUE_ONE, Began, Phase, PickUp, Program, Send
from benchmarks.servers import url_in
from benchmarks.stage import Stage


def _worker(queue: Queue, concurrency: int, observe: Callable[[int], object]) -> Worker:
    async def noop(_: Any, *, number: int) -> int:
        observe(number)
        return number

    return Worker(queue, functions=[("noop", noop)], concurrency=concurrency)


async def _connected(directory: Path) -> Queue:
    queue = Queue.from_url(url_in(directory))
    await queue.connect()
    return queue


def _enqueue_one(stage: Stage) -> None:
    async def enqueue() -> None:
        queue = await _connected(stage.directory)
        await enqueue_one_awaited(stage, lambda number: queue.enqueue("noop", number=number))
        await queue.disconnect()

    asyncio.run(enqueue())


def _drain(concurrency: int, stage: Stage) -> None:
    async def drain_all() -> None:
        drain, queue = Drain(stage), await _connected(stage.directory)
        for number in range(drain.jobs):
            await queue.enqueue("noop", number=number)
        worker = _worker(queue, concurrency, drain)
        work = asyncio.create_task(worker.start())
        await asyncio.to_thread(drain.is_done.wait)
        await worker.stop()
        await work
        await queue.disconnect()

    asyncio.run(drain_all())


def _serve(directory: Path, began: Began) -> None:
    async def serve() -> None:
        await _worker(await _connected(directory), 10, began).start()

    asyncio.run(serve())


@contextmanager
def _producer(directory: Path) -> Iterator[Send]:
    with asyncio.Runner() as runner:
        queue = runner.run(_connected(directory))
        yield lambda number: runner.run(queue.enqueue("noop", number=number))
        runner.run(queue.disconnect())


SAQ = Program(
    title="saq",
    promise="Durable and at least once, as a sweep finds what a killed worker had; results kept for a time; no fence.",
    phases={
        ENQUEUE_ONE: Phase(run=_enqueue_one, jobs=2_000),
        DRAIN: Phase(run=partial(_drain, 10), jobs=1_500),
        DRAIN_BEST: Phase(run=partial(_drain, 100), jobs=1_500),
    },
    pick_up=PickUp(serve=_serve, producer=_producer),
)
