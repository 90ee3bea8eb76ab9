"""Dramatiq on Redis: actors, and its worker with threads."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import dramatiq
from dramatiq.brokers.redis import RedisBroker

from benchmarks.peers.turns import Drain, enqueue_one
from benchmarks.programs import DRAIN, ENQUEUE_ONE, Began, Phase, PickUp, Program, Send
from benchmarks.servers import url_in
from benchmarks.stage import Stage

THREADS = 4


def _actor_of(broker: RedisBroker, observe: Callable[[int], object]) -> Any:
    def noop(number: int) -> None:
        observe(number)

    return dramatiq.actor(noop, broker=broker)


def _broker(directory: Path) -> RedisBroker:
    return RedisBroker(url=url_in(directory))


def _enqueue_one(stage: Stage) -> None:
    enqueue_one(stage, _actor_of(_broker(stage.directory), lambda number: None).send)


def _drain(stage: Stage) -> None:
    drain, broker = Drain(stage), _broker(stage.directory)
    noop = _actor_of(broker, drain)
    for number in range(drain.jobs):
        noop.send(number)
    worker = dramatiq.Worker(broker, worker_threads=THREADS)
    worker.start()
    drain.is_done.wait()
    worker.stop()


def _serve(directory: Path, began: Began) -> None:
    broker = _broker(directory)
    _actor_of(broker, began)
    worker = dramatiq.Worker(broker, worker_threads=THREADS)
    worker.start()
    worker.join()
    for thread in worker.consumers.values():
        thread.join()


@contextmanager
def _producer(directory: Path) -> Iterator[Send]:
    yield _actor_of(_broker(directory), lambda number: None).send


DRAMATIQ = Program(
    title="dramatiq",
    promise="At least once, retries; no results in this row, no fence: what a worker that seemed dead had is given to "
    "another.",
    phases={ENQUEUE_ONE: Phase(run=_enqueue_one, jobs=4_000), DRAIN: Phase(run=_drain, jobs=6_000)},
    pick_up=PickUp(serve=_serve, producer=_producer),
)
