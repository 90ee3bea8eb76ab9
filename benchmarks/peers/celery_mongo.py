"""Celery on its MongoDB transport, with late acknowledgement and threads."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from celery import Celery
from celery.contrib.testing.worker import start_worker

from benchmarks.peers.turns import Drain, enqueue_one
from benchmarks.programs import DRAIN, ENQUEUE_ONE, Began, Phase, PickUp, Program, Send
from benchmarks.servers import url_in
from benchmarks.stage import Stage

THREADS = 4


def _app_and_task(directory: Path, observe: Callable[[int], object]) -> tuple[Celery, Any]:
    app = Celery("bench", broker=f"{url_in(directory)}&w=majority&journal=true")
    app.conf.update(task_acks_late=True, task_ignore_result=True, worker_prefetch_multiplier=100)

    def noop(number: int) -> int:
        observe(number)
        return number

    return app, app.task(name="noop")(noop)


def _working(app: Celery) -> Any:
    return start_worker(app, pool="threads", concurrency=THREADS, perform_ping_check=False, loglevel="ERROR")


def _enqueue_one(stage: Stage) -> None:
    enqueue_one(stage, _app_and_task(stage.directory, lambda number: None)[1].delay)


def _drain(stage: Stage) -> None:
    drain = Drain(stage)
    app, noop = _app_and_task(stage.directory, drain)
    for number in range(drain.jobs):
        noop.delay(number)
    with _working(app):
        drain.is_done.wait()


def _serve(directory: Path, began: Began) -> None:
    with _working(_app_and_task(directory, began)[0]):
        time.sleep(3_600)  # Until somebody ends this process.


@contextmanager
def _producer(directory: Path) -> Iterator[Send]:
    yield _app_and_task(directory, lambda number: None)[1].delay


CELERY = Program(
    title="celery",
    promise="At most once where a worker is killed: a message is removed as it is fetched, a hundred for each thread. "
    "No results in this row, no fence.",
    phases={ENQUEUE_ONE: Phase(run=_enqueue_one, jobs=1_000), DRAIN: Phase(run=_drain, jobs=1_000)},
    pick_up=PickUp(serve=_serve, producer=_producer),
)
