"""BullMQ for Python: its asynchronous queue and worker."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bullmq import Queue, Worker

from benchmarks.peers.turns import Drain, enqueue_one_awaited, thousands
from benchmarks.programs import DRAIN, ENQUEUE_BULK, ENQUEUE_ONE, Began, Phase, PickUp, Program, Send
from benchmarks.servers import url_in
from benchmarks.stage import Stage

CONCURRENCY = 10


def _queue(directory: Path) -> Queue:
    return Queue("bench", {"connection": url_in(directory)})


def _worker(directory: Path, observe: Callable[[int], object]) -> Worker:
    async def noop(job: Any, _: str) -> int:
        observe(job.data["number"])
        number: int = job.data["number"]
        return number

    return Worker("bench", noop, {"connection": url_in(directory), "concurrency": CONCURRENCY})


async def _fill(queue: Queue, count: int) -> None:
    for numbers in thousands(count):
        await queue.addBulk([{"name": "noop", "data": {"number": number}} for number in numbers])


def _enqueue_one(stage: Stage) -> None:
    async def enqueue() -> None:
        queue = _queue(stage.directory)
        await enqueue_one_awaited(stage, lambda number: queue.add("noop", {"number": number}))
        await queue.close()

    asyncio.run(enqueue())


def _enqueue_bulk(stage: Stage) -> None:
    async def enqueue() -> None:
        queue = _queue(stage.directory)
        await _fill(queue, stage.warm_up)
        with stage.timed():
            await _fill(queue, stage.jobs)
        await queue.close()

    asyncio.run(enqueue())


def _drain(stage: Stage) -> None:
    async def drain_all() -> None:
        drain, queue = Drain(stage), _queue(stage.directory)
        await _fill(queue, drain.jobs)
        worker = _worker(stage.directory, drain)
        await asyncio.to_thread(drain.is_done.wait)
        await worker.close()
        await queue.close()

    asyncio.run(drain_all())


def _serve(directory: Path, began: Began) -> None:
    async def serve() -> None:
        worker = _worker(directory, began)
        await asyncio.Event().wait()
        await worker.close()

    asyncio.run(serve())


@contextmanager
def _producer(directory: Path) -> Iterator[Send]:
    with asyncio.Runner() as runner:

        async def opened() -> Queue:
            return _queue(directory)

        queue = runner.run(opened())
        yield lambda number: runner.run(queue.add("noop", {"number": number}))
        runner.run(queue.close())


BULLMQ = Program(
    title="bullmq",
    promise="At least once, locks renewed and stalled jobs found, results kept: the nearest in guarantees; no fence by "
    "generation.",
    phases={
        ENQUEUE_ONE: Phase(run=_enqueue_one, jobs=3_000),
        ENQUEUE_BULK: Phase(run=_enqueue_bulk, jobs=20_000),
        DRAIN: Phase(run=_drain, jobs=4_000),
    },
    pick_up=PickUp(serve=_serve, producer=_producer),
)
