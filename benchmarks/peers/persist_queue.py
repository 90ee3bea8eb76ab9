"""persist-queue on SQLite. It brings queues and no worker, so the loop around ``get`` and ``ack`` is ours."""

import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from persistqueue import Empty, SQLiteAckQueue, SQLiteQueue

from benchmarks.programs import DRAIN, ENQUEUE_ONE, Began, Phase, PickUp, Program, Send
from benchmarks.stage import Stage

POLL_SECONDS = 0.001
BATCH = 100


def _opened(directory: Path) -> closing[SQLiteAckQueue]:
    return closing(SQLiteAckQueue(str(directory)))


def _enqueue_one(stage: Stage) -> None:
    with _opened(stage.directory) as queue:
        for number in range(stage.warm_up):
            queue.put(number)
        with stage.timed():
            for number in range(stage.warm_up, stage.warm_up + stage.jobs):
                queue.put(number)


def _run_next(queue: SQLiteAckQueue, after: int) -> int:
    # Asking for the next one in order spares this queue a scan over everything acknowledged before.
    item = queue.get(block=False, id=after, next_in_order=True, raw=True)
    queue.ack(id=item["pqid"])
    return int(item["pqid"])


def _drain(stage: Stage) -> None:
    with _opened(stage.directory) as queue:
        for number in range(stage.warm_up + stage.jobs):
            queue.put(number)
        position = 0
        for _ in range(stage.warm_up):
            position = _run_next(queue, position)
        with stage.timed():
            for _ in range(stage.jobs):
                position = _run_next(queue, position)
        assert queue.empty(), "not every job was run"


def _serve(directory: Path, began: Began) -> None:
    """Poll: this queue's own blocking ``get`` looks for another process's jobs once in ten seconds only."""
    with _opened(directory) as queue:
        while True:
            try:
                item = queue.get(block=False, raw=True)
            except Empty:
                time.sleep(POLL_SECONDS)
            else:
                began(item["data"])
                queue.ack(id=item["pqid"])


@contextmanager
def _producer(directory: Path) -> Iterator[Send]:
    with _opened(directory) as queue:
        yield queue.put


def _drain_alone(stage: Stage) -> None:
    with closing(SQLiteQueue(str(stage.directory), auto_commit=False)) as queue:
        for number in range(stage.warm_up + stage.jobs):
            queue.put(number)
        _take_by_hundreds(queue, stage.warm_up)
        with stage.timed():
            _take_by_hundreds(queue, stage.jobs)
        assert queue.empty(), "not every job was run"


def _take_by_hundreds(queue: SQLiteQueue, jobs: int) -> None:
    for taken in range(1, jobs + 1):
        queue.get(block=False)
        if taken % BATCH == 0 or taken == jobs:
            queue.task_done()


ACK_QUEUE = Program(
    title="persist-queue (SQLiteAckQueue)",
    promise="Durable and at least once for the threads of one process; two processes can be given the same job, and "
    "what a killed one had taken waits until the queue is opened anew, which also hands out again what others are "
    "still running; no bulk, no results.",
    phases={ENQUEUE_ONE: Phase(run=_enqueue_one, jobs=5_000), DRAIN: Phase(run=_drain, jobs=2_500)},
    pick_up=PickUp(serve=_serve, producer=_producer),
)
SINGLE_CONSUMER_QUEUE = Program(
    title="persist-queue (SQLiteQueue, one consumer)",
    promise="Durable and at least once for exactly one consumer, which keeps its place in memory and deletes what "
    "it passed 100 at a time; a second consumer would be given the same jobs; no results.",
    phases={DRAIN: Phase(run=_drain_alone, jobs=8_000)},
    comparable=False,
)
