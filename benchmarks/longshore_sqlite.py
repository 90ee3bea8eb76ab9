"""Longshore on SQLite, through nothing but its public interface."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.programs import (
    DRAIN,
    DRAIN_BACKLOG,
    ENQUEUE_BULK,
    ENQUEUE_ONE,
    LATER_SECONDS,
    Began,
    Phase,
    PickUp,
    Program,
    Send,
)
from benchmarks.stage import Stage
from longshore import Longshore, Task

BULK = 1_000
SLOTS = 10


def _opened(directory: Path) -> Longshore:
    return Longshore(f"sqlite:///{directory / 'longshore.db'}")


def _noop_of(app: Longshore, observe: Callable[[int], object]) -> Task[[int], int]:
    @app.task
    def noop(number: int) -> int:
        observe(number)
        return number

    return noop


def _enqueue_by_thousands(app: Longshore, noop: Task[[int], int], first: int, count: int) -> None:
    for start in range(first, first + count, BULK):
        app.enqueue_many([noop.call(number) for number in range(start, min(start + BULK, first + count))])


def _enqueue_one(stage: Stage) -> None:
    with _opened(stage.directory) as app:
        noop = _noop_of(app, lambda number: None)
        for number in range(stage.warm_up):
            noop.enqueue(number)
        with stage.timed():
            for number in range(stage.warm_up, stage.warm_up + stage.jobs):
                noop.enqueue(number)


def _enqueue_bulk(stage: Stage) -> None:
    with _opened(stage.directory) as app:
        noop = _noop_of(app, lambda number: None)
        _enqueue_by_thousands(app, noop, 0, stage.warm_up)
        with stage.timed():
            _enqueue_by_thousands(app, noop, stage.warm_up, stage.jobs)


def drain(stage: Stage) -> None:
    """Drain until the queue is empty; the watch runs until the worker has stored everything and returned."""
    with _opened(stage.directory) as app:
        noop = _noop_of(app, lambda number: stage.begin() if number == stage.warm_up else None)
        _enqueue_by_thousands(app, noop, 0, stage.warm_up + stage.jobs)
        app.worker(queues=["default"], slots=SLOTS).run(until_empty=True)
        stage.end()


def drain_with_backlog(stage: Stage) -> None:
    """Drain the first jobs of many, up to the last of them beginning; what waits behind stays."""
    last = stage.warm_up + stage.jobs - 1
    with _opened(stage.directory) as app:

        def observe(number: int) -> None:
            if number == stage.warm_up:
                stage.begin()
            elif number == last:
                stage.end()
                worker.stop()

        noop = _noop_of(app, observe)
        _enqueue_by_thousands(app, noop, 0, last + 1 + stage.backlog)
        worker = app.worker(queues=["default"], slots=SLOTS)
        worker.run()


def _serve(directory: Path, began: Began) -> None:
    with _opened(directory) as app:
        _noop_of(app, began)
        app.worker(queues=["default"], slots=SLOTS).run()


@contextmanager
def _producer(directory: Path) -> Iterator[Send]:
    with _opened(directory) as app:
        yield _noop_of(app, lambda number: None).enqueue


@contextmanager
def _later_producer(directory: Path) -> Iterator[Send]:
    with _opened(directory) as app:
        yield _noop_of(app, lambda number: None).options(delay=LATER_SECONDS).enqueue


LONGSHORE = Program(
    title="Longshore",
    promise="Durable and at least once, runs fenced by holder and generation, results kept, leases, retries.",
    phases={
        ENQUEUE_ONE: Phase(run=_enqueue_one, jobs=4_000),
        ENQUEUE_BULK: Phase(run=_enqueue_bulk, jobs=50_000),
        DRAIN: Phase(run=drain, jobs=30_000),
        DRAIN_BACKLOG: Phase(run=drain_with_backlog, jobs=30_000),
    },
    pick_up=PickUp(serve=_serve, producer=_producer, later=_later_producer),
)
