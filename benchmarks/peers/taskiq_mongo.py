"""taskiq on the MongoDB broker of taskiq-mongodb."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from taskiq.api import run_receiver_task
from taskiq_mongodb import MongoBroker

from benchmarks.peers.turns import Drain, enqueue_one_awaited
from benchmarks.programs import DRAIN, ENQUEUE_ONE, Began, Phase, PickUp, Program, Send
from benchmarks.servers import url_in
from benchmarks.stage import Stage

CONCURRENCY = 10


def _broker_and_task(directory: Path, observe: Callable[[int], object]) -> tuple[MongoBroker, Any]:
    broker = MongoBroker(f"{url_in(directory)}&w=majority&journal=true", "bench")

    async def noop(number: int) -> int:
        observe(number)
        return number

    return broker, broker.task(task_name="noop")(noop)


def _enqueue_one(stage: Stage) -> None:
    async def enqueue() -> None:
        broker, noop = _broker_and_task(stage.directory, lambda number: None)
        await broker.startup()
        await enqueue_one_awaited(stage, noop.kiq)
        await broker.shutdown()

    asyncio.run(enqueue())


async def _work(broker: MongoBroker) -> None:
    broker.is_worker_process = True
    await run_receiver_task(broker, max_async_tasks=CONCURRENCY, run_startup=True)


def _drain(stage: Stage) -> None:
    async def drain_all() -> None:
        drain = Drain(stage)
        broker, noop = _broker_and_task(stage.directory, drain)
        await broker.startup()
        for number in range(drain.jobs):
            await noop.kiq(number)
        work = asyncio.create_task(_work(broker))
        await asyncio.to_thread(drain.is_done.wait)
        work.cancel()

    # Its receiver does not end when it is cancelled, and `asyncio.run` would wait for it.
    asyncio.new_event_loop().run_until_complete(drain_all())


def _serve(directory: Path, began: Began) -> None:
    asyncio.run(_work(_broker_and_task(directory, began)[0]))


@contextmanager
def _producer(directory: Path) -> Iterator[Send]:
    broker, noop = _broker_and_task(directory, lambda number: None)
    with asyncio.Runner() as runner:
        runner.run(broker.startup())
        yield lambda number: runner.run(noop.kiq(number))
        runner.run(broker.shutdown())


TASKIQ = Program(
    title="taskiq-mongodb",
    promise="At least once, as what is not acknowledged comes back after a visibility timeout; no results in this row, "
    "no fence.",
    phases={ENQUEUE_ONE: Phase(run=_enqueue_one, jobs=1_000), DRAIN: Phase(run=_drain, jobs=600)},
    pick_up=PickUp(serve=_serve, producer=_producer),
)
