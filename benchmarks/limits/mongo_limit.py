"""The limit of MongoDB: one collection, one index and the commands Longshore needs, and nothing around them.

Every write is acknowledged by the majority and journaled. A claim finds the first jobs by priority, due time and id,
and stamps holder and generation on those that still wait; a completion is guarded by both, and keeps the result.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pymongo
from pymongo.collection import Collection

from benchmarks.programs import (
    DRAIN,
    DRAIN_BACKLOG,
    DRAIN_ONE,
    ENQUEUE_BULK,
    ENQUEUE_ONE,
    Began,
    Phase,
    PickUp,
    Program,
    Send,
)
from benchmarks.servers import url_in
from benchmarks.stage import Stage

BATCH = 100
BULK = 1_000
HOLDER = "holder"
WAITS, RUNS, ENDED = 1, 2, 3
ORDER = [("state", 1), ("queue", 1), ("priority", -1), ("due", 1), ("_id", 1)]

Document = dict[str, Any]
Jobs = Collection[Document]


@contextmanager
def _opened(directory: Path) -> Iterator[Jobs]:
    with pymongo.MongoClient[Any](url_in(directory), retryWrites=False, w="majority", journal=True) as client:
        jobs: Jobs = client.bench.jobs
        jobs.create_index(ORDER)
        yield jobs


def _document(number: int) -> Document:
    return {
        "_id": f"{number:026}", "queue": "default", "task": "noop", "state": WAITS, "priority": 0, "due": number,
        "generation": 0, "payload": b"[%d]" % number,
    }  # fmt: skip


def _fill(jobs: Jobs, first: int, count: int) -> None:
    for start in range(first, first + count, BULK):
        some = range(start, min(start + BULK, first + count))
        jobs.insert_many([_document(number) for number in some], ordered=False)


def _claim(jobs: Jobs, limit: int) -> list[Document]:
    waiting = jobs.find({"state": WAITS, "queue": "default"}, sort=ORDER[2:], limit=limit)
    found = waiting.to_list()
    ids = [document["_id"] for document in found]
    taken = {"$set": {"state": RUNS, "holder": HOLDER}, "$inc": {"generation": 1}}
    if jobs.update_many({"_id": {"$in": ids}, "state": WAITS}, taken).modified_count != len(found):
        raise AssertionError("another took some of them")
    return found


def _complete(jobs: Jobs, claimed: Sequence[Document]) -> None:
    ids = [document["_id"] for document in claimed]
    results = [document["payload"][1:-1] for document in claimed]
    at = {"$indexOfArray": [{"$literal": ids}, "$_id"]}
    ended = {"state": ENDED, "result": {"$arrayElemAt": [{"$literal": results}, at]}}
    held = {"_id": {"$in": ids}, "state": RUNS, "holder": HOLDER, "generation": 1}
    assert jobs.update_many(held, [{"$set": ended}]).modified_count == len(ids)


def _turn_of_one(jobs: Jobs) -> None:
    waiting = {"state": WAITS, "queue": "default"}
    taken = {"$set": {"state": RUNS, "holder": HOLDER}, "$inc": {"generation": 1}}
    job = jobs.find_one_and_update(waiting, taken, sort=dict(ORDER[2:]))
    assert job is not None
    held = {"_id": job["_id"], "state": RUNS, "holder": HOLDER, "generation": 1}
    jobs.update_one(held, {"$set": {"state": ENDED, "result": job["payload"][1:-1]}})


def _enqueue_one(stage: Stage) -> None:
    with _opened(stage.directory) as jobs:
        for number in range(stage.warm_up):
            jobs.insert_one(_document(number))
        with stage.timed():
            for number in range(stage.warm_up, stage.warm_up + stage.jobs):
                jobs.insert_one(_document(number))


def _enqueue_bulk(stage: Stage) -> None:
    with _opened(stage.directory) as jobs:
        _fill(jobs, 0, stage.warm_up)
        with stage.timed():
            _fill(jobs, stage.warm_up, stage.jobs)


def _drain_one(stage: Stage) -> None:
    with _opened(stage.directory) as jobs:
        _fill(jobs, 0, stage.warm_up + stage.jobs)
        _complete(jobs, _claim(jobs, stage.warm_up))
        with stage.timed():
            for _ in range(stage.jobs):
                _turn_of_one(jobs)


def _drain_by_hundreds(stage: Stage, more: int) -> None:
    with _opened(stage.directory) as jobs:
        _fill(jobs, 0, stage.warm_up + stage.jobs + more)
        _complete(jobs, _claim(jobs, stage.warm_up))
        with stage.timed():
            for left in range(stage.jobs, 0, -BATCH):
                _complete(jobs, _claim(jobs, min(BATCH, left)))


def _drain(stage: Stage) -> None:
    _drain_by_hundreds(stage, 0)


def _drain_with_backlog(stage: Stage) -> None:
    _drain_by_hundreds(stage, stage.backlog)


def _serve(directory: Path, began: Began) -> None:
    """Claims when a change stream tells of an insert; a job is picked up when its claim is committed."""
    with _opened(directory) as jobs, jobs.watch([{"$match": {"operationType": "insert"}}]) as stream:
        while True:
            claimed = _claim(jobs, BATCH)
            for document in claimed:
                began(int(document["payload"][1:-1]))
            if claimed:
                _complete(jobs, claimed)
            else:
                next(stream)


@contextmanager
def _producer(directory: Path) -> Iterator[Send]:
    with _opened(directory) as jobs:
        yield lambda number: jobs.insert_one(_document(number))


LIMIT = Program(
    title="limit (hand-written pymongo)",
    promise="Durable and at least once, claims and completions fenced by holder and generation, results kept; no "
    "retries, no limits, no leases, no other index: the floor, not a queue.",
    phases={
        ENQUEUE_ONE: Phase(run=_enqueue_one, jobs=1_500),
        ENQUEUE_BULK: Phase(run=_enqueue_bulk, jobs=50_000),
        DRAIN_ONE: Phase(run=_drain_one, jobs=1_000),
        DRAIN: Phase(run=_drain, jobs=15_000),
        DRAIN_BACKLOG: Phase(run=_drain_with_backlog, jobs=15_000),
    },
    pick_up=PickUp(serve=_serve, producer=_producer),
)
