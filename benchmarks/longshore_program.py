"""Longshore, through nothing but its public interface."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.programs import (
    DRAIN,
    DRAIN_BACKLOG,
    DRAIN_BEST,
    ENQUEUE_BULK,
    ENQUEUE_ONE,
    LATER_SECONDS,
    Began,
    Phase,
    PickUp,
    Program,
    Send,
)
from benchmarks.servers import url_in
from benchmarks.stage import Stage
from longshore import Longshore, Task

BULK = 1_000
SLOTS = 10
BEST: Mapping[str, Any] = {"batch": 1_000, "prefetch": 0.5, "hold": 2.0}
"""How a worker is set up that is to drain as fast as it can."""


UrlOf = Callable[[Path], str]


def _file_in(directory: Path) -> str:
    return f"sqlite:///{directory / 'longshore.db'}"


def _noop_of(app: Longshore, observe: Callable[[int], object]) -> Task[[int], int]:
    @app.task
    def noop(number: int) -> int:
        observe(number)
        return number

    return noop


def _enqueue_by_thousands(app: Longshore, noop: Task[[int], int], first: int, count: int) -> None:
    for start in range(first, first + count, BULK):
        app.enqueue_many([noop.call(number) for number in range(start, min(start + BULK, first + count))])


def _enqueue_one(url_of: UrlOf, stage: Stage) -> None:
    with Longshore(url_of(stage.directory)) as app:
        noop = _noop_of(app, lambda number: None)
        for number in range(stage.warm_up):
            noop.enqueue(number)
        with stage.timed():
            for number in range(stage.warm_up, stage.warm_up + stage.jobs):
                noop.enqueue(number)


def _enqueue_bulk(url_of: UrlOf, stage: Stage) -> None:
    with Longshore(url_of(stage.directory)) as app:
        noop = _noop_of(app, lambda number: None)
        _enqueue_by_thousands(app, noop, 0, stage.warm_up)
        with stage.timed():
            _enqueue_by_thousands(app, noop, stage.warm_up, stage.jobs)


def drain(url_of: UrlOf, stage: Stage, **settings: Any) -> None:
    """Drain until the queue is empty; the watch runs until the worker has stored everything and returned."""
    with Longshore(url_of(stage.directory)) as app:
        noop = _noop_of(app, lambda number: stage.begin() if number == stage.warm_up else None)
        _enqueue_by_thousands(app, noop, 0, stage.warm_up + stage.jobs)
        app.worker(queues=["default"], slots=SLOTS, **settings).run(until_empty=True)
        stage.end()


def drain_with_backlog(url_of: UrlOf, stage: Stage) -> None:
    """Drain the first jobs of many, up to the last of them beginning; what waits behind stays."""
    last = stage.warm_up + stage.jobs - 1
    with Longshore(url_of(stage.directory)) as app:

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


def _serve(url_of: UrlOf, directory: Path, began: Began) -> None:
    with Longshore(url_of(directory)) as app:
        _noop_of(app, began)
        app.worker(queues=["default"], slots=SLOTS).run()


@contextmanager
def _producer(url_of: UrlOf, directory: Path) -> Iterator[Send]:
    with Longshore(url_of(directory)) as app:
        yield _noop_of(app, lambda number: None).enqueue


@contextmanager
def _later_producer(url_of: UrlOf, directory: Path) -> Iterator[Send]:
    with Longshore(url_of(directory)) as app:
        yield _noop_of(app, lambda number: None).options(delay=LATER_SECONDS).enqueue


def _program(url_of: UrlOf, promise: str, *, jobs: int = 30_000, one_by_one: int = 4_000) -> Program:
    return Program(
        title="Longshore",
        promise=promise,
        phases={
            ENQUEUE_ONE: Phase(run=partial(_enqueue_one, url_of), jobs=one_by_one),
            ENQUEUE_BULK: Phase(run=partial(_enqueue_bulk, url_of), jobs=50_000),
            DRAIN: Phase(run=partial(drain, url_of), jobs=jobs),
            DRAIN_BACKLOG: Phase(run=partial(drain_with_backlog, url_of), jobs=jobs),
        },
        pick_up=PickUp(
            serve=partial(_serve, url_of),
            producer=partial(_producer, url_of),
            later=partial(_later_producer, url_of),
        ),
    )


def _on_postgres() -> Program:
    program = _program(
        url_in,
        "Durable and at least once, runs fenced by holder and generation, results kept, leases, retries. At best: the "
        f"same worker with {BEST}.",
    )
    return replace(
        program, phases={**program.phases, DRAIN_BEST: Phase(run=partial(drain, url_in, **BEST), jobs=30_000)}
    )


ON_MARIADB = _program(
    url_in,
    "Durable and at least once, runs fenced by holder and generation, results kept, leases, retries.",
    jobs=10_000,
)
ON_MONGO = _program(
    url_in,
    "Durable and at least once, writes acknowledged by the majority and journaled, runs fenced by holder and "
    "generation, results kept, leases, retries, exact order by priority and time.",
    jobs=10_000,
    one_by_one=1_000,
)
ON_POSTGRES = _on_postgres()
ON_SQLITE = _program(
    _file_in, "Durable and at least once, runs fenced by holder and generation, results kept, leases, retries."
)
ON_REDIS = _program(
    url_in,
    "At least once, runs fenced by holder and generation, results kept, leases, retries, exact order by priority and "
    "time; as durable as the server's settings.",
)
