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


def _opened(directory: Path, *, durable: bool = True) -> closing[LiteQueue]:
    queue = LiteQueue(directory / "lite.db")
    if durable:
        queue.conn.execute("PRAGMA synchronous = FULL")
    return closing(queue)


def _put_one_by_one(queue: LiteQueue, numbers: Iterable[int]) -> None:
    for number in numbers:
        queue.put(str(number))


def _put_by_thousands(queue: LiteQueue, jobs: int) -> None:
    for start in range(0, jobs, BULK):
        with queue.transaction(mode="IMMEDIATE"):
            _put_one_by_one(queue, range(start, min(start + BULK, jobs)))


def _run_next(queue: LiteQueue) -> None:
    message = queue.pop()
    queue.done(message.message_id)


def _enqueue_one(stage: Stage, *, durable: bool) -> None:
    with _opened(stage.directory, durable=durable) as queue:
        _put_one_by_one(queue, range(stage.warm_up))
        with stage.timed():
            _put_one_by_one(queue, range(stage.jobs))


def _enqueue_bulk(stage: Stage, *, durable: bool) -> None:
    with _opened(stage.directory, durable=durable) as queue:
        _put_by_thousands(queue, stage.warm_up)
        with stage.timed():
            _put_by_thousands(queue, stage.jobs)


def _drain(stage: Stage, *, durable: bool) -> None:
    with _opened(stage.directory, durable=durable) as queue:
        _put_by_thousands(queue, stage.warm_up + stage.jobs)
        for _ in range(stage.warm_up):
            _run_next(queue)
        with stage.timed():
            for _ in range(stage.jobs):
                _run_next(queue)
        assert queue.empty(), "not every job was run"


def _serve(directory: Path, began: Began) -> None:
    """Poll by a read: an idle ``pop`` would take the write lock at each look."""
    with _opened(directory) as queue:
        while True:
            message = None if queue.empty() else queue.pop()
            if message is None:
                time.sleep(POLL_SECONDS)
            else:
                began(int(message.data))
                queue.done(message.message_id)


@contextmanager
def _producer(directory: Path) -> Iterator[Send]:
    with _opened(directory) as queue:
        yield lambda number: queue.put(str(number))


def _phases(*, durable: bool) -> dict[str, Phase]:
    return {
        ENQUEUE_ONE: Phase(run=partial(_enqueue_one, durable=durable), jobs=5_000),
        ENQUEUE_BULK: Phase(run=partial(_enqueue_bulk, durable=durable), jobs=100_000),
        DRAIN: Phase(run=partial(_drain, durable=durable), jobs=1_000),
    }


LITE_QUEUE = Program(
    title="litequeue, made durable",
    promise="Durable here by raising `synchronous` to FULL by hand; a job taken by a killed process stays locked "
    "until somebody looks for it and calls `retry`; each take sorts all that wait (here fewer than 2,000); no results.",
    phases=_phases(durable=True),
    pick_up=PickUp(serve=_serve, producer=_producer),
)
LITE_QUEUE_AS_SHIPPED = Program(
    title="litequeue, as shipped (not durable)",
    promise="As above, but `synchronous=NORMAL`: a power cut loses the latest commits. Shown, never the best peer.",
    phases=_phases(durable=False),
    comparable=False,
)
