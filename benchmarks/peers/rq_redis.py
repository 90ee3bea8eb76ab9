"""RQ: its queue, and its worker that runs jobs in its own process (the usual one forks for each)."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from redis import Redis
from rq import Queue, SimpleWorker

from benchmarks.peers.turns import Drain, enqueue_one, thousands
from benchmarks.programs import DRAIN, ENQUEUE_BULK, ENQUEUE_ONE, Began, Phase, PickUp, Program, Send
from benchmarks.servers import url_in
from benchmarks.stage import Stage

# RQ imports a job's function by its name, so what it reports to stands here.
OBSERVERS: list[Callable[[int], object]] = []


def noop(number: int) -> int:
    """The job."""
    for observe in OBSERVERS:
        observe(number)
    return number


def _queue(directory: Path) -> Queue:
    return Queue("bench", connection=Redis.from_url(url_in(directory)))


def _send_to(queue: Queue) -> Send:
    return lambda number: queue.enqueue(noop, number)


def _enqueue_one(stage: Stage) -> None:
    enqueue_one(stage, _send_to(_queue(stage.directory)))


def _fill(queue: Queue, count: int) -> None:
    for numbers in thousands(count):
        queue.enqueue_many([Queue.prepare_data(noop, args=(number,)) for number in numbers])


def _enqueue_bulk(stage: Stage) -> None:
    queue = _queue(stage.directory)
    _fill(queue, stage.warm_up)
    with stage.timed():
        _fill(queue, stage.jobs)


def _drain(stage: Stage) -> None:
    drain, queue = Drain(stage), _queue(stage.directory)
    OBSERVERS.append(drain)
    _fill(queue, drain.jobs)
    SimpleWorker([queue], connection=queue.connection).work(burst=True, logging_level="ERROR")


def _serve(directory: Path, began: Began) -> None:
    OBSERVERS.append(began)
    queue = _queue(directory)
    SimpleWorker([queue], connection=queue.connection).work(logging_level="ERROR")


@contextmanager
def _producer(directory: Path) -> Iterator[Send]:
    yield _send_to(_queue(directory))


RQ = Program(
    title="rq (SimpleWorker)",
    promise="At least once, as its registry finds what a killed worker had; results kept; no fence; one job at a time, "
    "here without the fork for each job that is usual.",
    phases={
        ENQUEUE_ONE: Phase(run=_enqueue_one, jobs=3_000),
        ENQUEUE_BULK: Phase(run=_enqueue_bulk, jobs=10_000),
        DRAIN: Phase(run=_drain, jobs=2_000),
    },
    pick_up=PickUp(serve=_serve, producer=_producer),
)
