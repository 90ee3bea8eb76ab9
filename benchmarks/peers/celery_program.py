"""Celery on any of its transports, with late acknowledgement and threads."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from celery import Celery
from celery.contrib.testing.worker import start_worker

from benchmarks.peers.turns import Drain, enqueue_one
from benchmarks.programs import DRAIN, ENQUEUE_ONE, Began, Phase, PickUp, Program, Send
from benchmarks.stage import Stage

THREADS = 4

UrlOf = Callable[[Path], str]


def _app_and_task(broker: str, observe: Callable[[int], object]) -> tuple[Celery, Any]:
    app = Celery("bench", broker=broker)
    app.conf.update(task_acks_late=True, task_ignore_result=True, worker_prefetch_multiplier=100)

    def noop(number: int) -> int:
        observe(number)
        return number

    return app, app.task(name="noop")(noop)


def _working(app: Celery) -> Any:
    return start_worker(app, pool="threads", concurrency=THREADS, perform_ping_check=False, loglevel="ERROR")


def _enqueue_one(url_of: UrlOf, stage: Stage) -> None:
    enqueue_one(stage, _app_and_task(url_of(stage.directory), lambda number: None)[1].delay)


def _drain(url_of: UrlOf, stage: Stage) -> None:
    drain = Drain(stage)
    app, noop = _app_and_task(url_of(stage.directory), drain)
    for number in range(drain.jobs):
        noop.delay(number)
    with _working(app):
        drain.is_done.wait()


def _serve(url_of: UrlOf, directory: Path, began: Began) -> None:
    with _working(_app_and_task(url_of(directory), began)[0]):
        time.sleep(3_600)  # Until somebody ends this process.


@contextmanager
def _producer(url_of: UrlOf, directory: Path) -> Iterator[Send]:
    yield _app_and_task(url_of(directory), lambda number: None)[1].delay


def celery_on(url_of: UrlOf, *, title: str, promise: str, jobs: int) -> Program:
    """Celery with the broker in a directory, and how many jobs are enqueued and drained."""
    return Program(
        title=title,
        promise=promise,
        phases={
            ENQUEUE_ONE: Phase(run=partial(_enqueue_one, url_of), jobs=jobs),
            DRAIN: Phase(run=partial(_drain, url_of), jobs=jobs),
        },
        pick_up=PickUp(serve=partial(_serve, url_of), producer=partial(_producer, url_of)),
    )
