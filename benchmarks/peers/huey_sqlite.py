"""Huey on SQLite: its own task decorator, its own consumer with threads.

One worker thread is its fastest setting here: all threads of a consumer share one connection behind a lock.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from huey import SqliteHuey

from benchmarks.programs import DRAIN, ENQUEUE_ONE, Began, Phase, PickUp, Program, Send
from benchmarks.stage import Stage

POLL_SECONDS = 0.001


def _opened(directory: Path, *, results: bool) -> SqliteHuey:
    return SqliteHuey(filename=str(directory / "huey.db"), fsync=True, results=results)


def _noop_of(queue: SqliteHuey, observe: Callable[[int], object]) -> Callable[[int], object]:
    def noop(number: int) -> int:
        observe(number)
        return number

    task: Callable[[int], object] = queue.task()(noop)
    return task


def _enqueue_one(stage: Stage) -> None:
    noop = _noop_of(_opened(stage.directory, results=False), lambda number: None)
    for number in range(stage.warm_up):
        noop(number)
    with stage.timed():
        for number in range(stage.warm_up, stage.warm_up + stage.jobs):
            noop(number)


def _drain(stage: Stage, *, results: bool) -> None:
    last = stage.warm_up + stage.jobs - 1
    drained = threading.Event()

    def observe(number: int) -> None:
        if number == stage.warm_up:
            stage.begin()
        elif number == last:
            stage.end()
            drained.set()

    queue = _opened(stage.directory, results=results)
    noop = _noop_of(queue, observe)
    for number in range(last + 1):
        noop(number)
    consumer = queue.create_consumer(workers=1, periodic=False, initial_delay=POLL_SECONDS)
    consumer.start()
    drained.wait()
    consumer.stop(graceful=True)


def _serve(directory: Path, began: Began) -> None:
    queue = _opened(directory, results=False)
    _noop_of(queue, began)
    queue.create_consumer(
        workers=1, periodic=False, initial_delay=POLL_SECONDS, backoff=1.0, max_delay=POLL_SECONDS
    ).run()


@contextmanager
def _producer(directory: Path) -> Iterator[Send]:
    yield _noop_of(_opened(directory, results=False), lambda number: None)


HUEY = Program(
    title="huey",
    promise="Durable while it waits (`fsync=True`), at most once: a job is deleted before it runs, so a killed "
    "worker loses it; no results in this row.",
    phases={
        ENQUEUE_ONE: Phase(run=_enqueue_one, jobs=4_000),
        DRAIN: Phase(run=partial(_drain, results=False), jobs=4_000),
    },
    pick_up=PickUp(serve=_serve, producer=_producer),
)
HUEY_WITH_RESULTS = Program(
    title="huey, results kept",
    promise="As huey, and each result is kept by one more commit.",
    phases={DRAIN: Phase(run=partial(_drain, results=True), jobs=3_000)},
)
