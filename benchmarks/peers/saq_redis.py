"""SAQ: its asynchronous queue and worker."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from saq import Queue, Worker

from benchmarks.peers.turns import Drain, enqueue_one_awaited
from benchmarks.programs import DRAIN, ENQUEUE_ONE, Began, Phase, PickUp, Program, Send
from benchmarks.servers import url_in
from benchmarks.stage import Stage

CONCURRENCY = 10


def _worker(queue: Queue, observe: Callable[[int], object]) -> Worker:
    async def noop(_: Any, *, number: int) -> int:
        observe(number)
        return number

    return Worker(queue, functions=[("noop", noop)], concurrency=CONCURRENCY)


def _enqueue_one(stage: Stage) -> None:
    async def enqueue() -> None:
        queue = Queue.from_url(url_in(stage.directory))
        await enqueue_one_awaited(stage, lambda number: queue.enqueue("noop", number=number))
        await queue.disconnect()

    asyncio.run(enqueue())


def _drain(stage: Stage) -> None:
    async def drain_all() -> None:
        drain, queue = Drain(stage), Queue.from_url(url_in(stage.directory))
        for number in range(drain.jobs):
            await queue.enqueue("noop", number=number)
        worker = _worker(queue, drain)
        work = asyncio.create_task(worker.start())
        await asyncio.to_thread(drain.is_done.wait)
        await worker.stop()
        await work
        await queue.disconnect()

    asyncio.run(drain_all())


def _serve(directory: Path, began: Began) -> None:
    asyncio.run(_worker(Queue.from_url(url_in(directory)), began).start())


@contextmanager
def _producer(directory: Path) -> Iterator[Send]:
    queue = Queue.from_url(url_in(directory))
    with asyncio.Runner() as runner:
        yield lambda number: runner.run(queue.enqueue("noop", number=number))
        runner.run(queue.disconnect())


SAQ = Program(
    title="saq",
    promise="At least once, as a sweep finds what a killed worker had; results kept; no fence.",
    phases={ENQUEUE_ONE: Phase(run=_enqueue_one, jobs=3_000), DRAIN: Phase(run=_drain, jobs=3_000)},
    pick_up=PickUp(serve=_serve, producer=_producer),
)
