"""Huey on Redis: its own task decorator, its own consumer with threads."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from huey import RedisHuey

from benchmarks.peers.turns import Drain, enqueue_one
from benchmarks.programs import DRAIN, ENQUEUE_ONE, Began, Phase, PickUp, Program, Send
from benchmarks.servers import url_in
from benchmarks.stage import Stage

THREADS = 4


def _opened(directory: Path) -> RedisHuey:
    return RedisHuey("bench", url=url_in(directory), results=False)


def _noop_of(queue: RedisHuey, observe: Callable[[int], object]) -> Callable[[int], object]:
    def noop(number: int) -> int:
        observe(number)
        return number

    task: Callable[[int], object] = queue.task()(noop)
    return task


def _enqueue_one(stage: Stage) -> None:
    enqueue_one(stage, _noop_of(_opened(stage.directory), lambda number: None))


def _drain(stage: Stage) -> None:
    drain, queue = Drain(stage), _opened(stage.directory)
    noop = _noop_of(queue, drain)
    for number in range(drain.jobs):
        noop(number)
    consumer = queue.create_consumer(workers=THREADS, periodic=False)
    consumer.start()
    drain.is_done.wait()
    consumer.stop(graceful=True)


def _serve(directory: Path, began: Began) -> None:
    queue = _opened(directory)
    _noop_of(queue, began)
    queue.create_consumer(workers=THREADS, periodic=False).run()


@contextmanager
def _producer(directory: Path) -> Iterator[Send]:
    yield _noop_of(_opened(directory), lambda number: None)


HUEY = Program(
    title="huey",
    promise="At most once: a job is popped before it runs, so a killed worker loses it; no results in this row. Shown, "
    "never the best peer.",
    phases={ENQUEUE_ONE: Phase(run=_enqueue_one, jobs=4_000), DRAIN: Phase(run=_drain, jobs=4_000)},
    pick_up=PickUp(serve=_serve, producer=_producer),
    comparable=False,
)
