"""litequeue. It brings a queue and no worker, so the loop around ``pop`` and ``done`` is ours.

It chooses ``synchronous=NORMAL`` itself; the durable rows raise that on the connection it exposes.
"""

import time
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path

from litequeue import LiteQueue

from benchmarks.programs import DRAIN, ENQUEUE_BULK, ENQUEUE_ONE, Began, Phase, PickUp, Program, Send
from benchmarks.stage import Stage

POLL_SECONDS = 0.001
BULK = 1_000


def opened(directory: Path, *, durable: bool = True) -> closing[LiteQueue]:
    queue = LiteQueue(directory / "lite.db")
    if durable:
        queue.conn.execute("PRAGMA synchronous = FULL")
    return closing(queue)


def put_one_by_one(queue: LiteQueue, numbers: Iterable[int]) -> None:
    for number in numbers:
        queue.put(str(number))


def put_by_thousands(queue: LiteQueue, jobs: int) -> None:
    for start in range(0, jobs, BULK):
        with queue.transaction(mode="IMMEDIATE"):
            put_one_by_one(queue, range(start, min(start + BULK, jobs)))


def run_next(queue: LiteQueue) -> None:
    message = queue.pop()
    queue.done(message.message_id)


def enqueue_one(stage: Stage, *, durable: bool) -> None:
    with opened(stage.directory, durable=durable) as queue:
        put_one_by_one(queue, range(stage.warm_up))
        with stage.timed():
            put_one_by_one(queue, range(stage.jobs))


def enqueue_bulk(stage: Stage, *, durable: bool) -> None:
    with opened(stage.directory, durable=durable) as queue:
        put_by_thousands(queue, stage.warm_up)
        with stage.timed():
            put_by_thousands(queue, stage.jobs)


def drain(stage: Stage, *, durable: bool) -> None:
    with opened(stage.directory, durable=durable) as queue:
        put_by_thousands(queue, stage.warm_up + stage.jobs)
        for _ in range(stage.warm_up):
            run_next(queue)
        with stage.timed():
            for _ in range(stage.jobs):
                run_next(queue)
        assert queue.empty(), "not every job was run"


def serve(directory: Path, began: Began) -> None:
    """Poll by a read: an idle ``pop`` would take the write lock at each look."""
    with opened(directory) as queue:
        while True:
            message = None if queue.empty() else queue.pop()
            if message is None:
                time.sleep(POLL_SECONDS)
            else:
                began(int(message.data))
                queue.done(message.message_id)


@contextmanager
def producer(directory: Path) -> Iterator[Send]:
    with opened(directory) as queue:
        yield lambda number: queue.put(str(number))


def phases(*, durable: bool) -> dict[str, Phase]:
    return {
        ENQUEUE_ONE: Phase(run=partial(enqueue_one, durable=durable), jobs=5_000),
        ENQUEUE_BULK: Phase(run=partial(enqueue_bulk, durable=durable), jobs=100_000),
        DRAIN: Phase(run=partial(drain, durable=durable), jobs=1_000),
    }


LITE_QUEUE = Program(
    title="litequeue, made durable",
    promise="Durable here by raising `synchronous` to FULL by hand; a job taken by a killed process stays locked "
    "until somebody looks for it and calls `retry`; each take sorts all that wait; no results.",
    phases=phases(durable=True),
    pick_up=PickUp(serve=serve, producer=producer),
)
LITE_QUEUE_AS_SHIPPED = Program(
    title="litequeue, as shipped (not durable)",
    promise="As above, but `synchronous=NORMAL`: a power cut loses the latest commits. Shown, never the best peer.",
    phases=phases(durable=False),
    comparable=False,
)
