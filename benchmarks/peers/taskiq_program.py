"""taskiq on any of its brokers."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from taskiq import AsyncBroker
from taskiq.api import run_receiver_task

from benchmarks.peers.turns import Drain, enqueue_one_awaited
from benchmarks.programs import DRAIN, ENQUEUE_ONE, Began, Phase, PickUp, Program, Send
from benchmarks.stage import Stage

CONCURRENCY = 10

BrokerOf = Callable[[Path], AsyncBroker]


def _task_of(broker: AsyncBroker, observe: Callable[[int], object]) -> Any:
    async def noop(number: int) -> int:
        observe(number)
        return number

    return broker.task(task_name="noop")(noop)


def _enqueue_one(broker_of: BrokerOf, stage: Stage) -> None:
    async def enqueue() -> None:
        broker = broker_of(stage.directory)
        noop = _task_of(broker, lambda number: None)
        await broker.startup()
        await enqueue_one_awaited(stage, noop.kiq)
        await broker.shutdown()

    asyncio.run(enqueue())


async def _work(broker: AsyncBroker) -> None:
    broker.is_worker_process = True
    await run_receiver_task(broker, max_async_tasks=CONCURRENCY, run_startup=True)


def _drain(broker_of: BrokerOf, stage: Stage) -> None:
    async def drain_all() -> None:
        drain = Drain(stage)
        broker = broker_of(stage.directory)
        noop = _task_of(broker, drain)
        await broker.startup()
        for number in range(drain.jobs):
            await noop.kiq(number)
        work = asyncio.create_task(_work(broker))
        await asyncio.to_thread(drain.is_done.wait)
        work.cancel()

    # Its receiver does not end when it is cancelled, and `asyncio.run` would wait for it.
    asyncio.new_event_loop().run_until_complete(drain_all())


def _serve(broker_of: BrokerOf, directory: Path, began: Began) -> None:
    broker = broker_of(directory)
    _task_of(broker, began)
    asyncio.run(_work(broker))


@contextmanager
def _producer(broker_of: BrokerOf, directory: Path) -> Iterator[Send]:
    broker = broker_of(directory)
    noop = _task_of(broker, lambda number: None)
    with asyncio.Runner() as runner:
        runner.run(broker.startup())
        yield lambda number: runner.run(noop.kiq(number))
        runner.run(broker.shutdown())


def taskiq_on(broker_of: BrokerOf, *, title: str, promise: str, enqueued: int, drained: int) -> Program:
    """taskiq with the broker in a directory, and how many jobs are enqueued and drained."""
    return Program(
        title=title,
        promise=promise,
        phases={
            ENQUEUE_ONE: Phase(run=partial(_enqueue_one, broker_of), jobs=enqueued),
            DRAIN: Phase(run=partial(_drain, broker_of), jobs=drained),
        },
        pick_up=PickUp(serve=partial(_serve, broker_of), producer=partial(_producer, broker_of)),
    )
