"""The limit of Redis: one hash, one sorted set and two short scripts, and nothing around them.

A claim takes the first jobs by priority, due time and id and stamps holder and generation on them; a completion is
guarded by both, and keeps the result. Many go in one call, as a script takes its arguments.
"""

import itertools
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import redis

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
INSERT = """
local values, places = {}, {}
for at = 1, #ARGV, 3 do
  if redis.call('HEXISTS', 'jobs', ARGV[at]) == 0 then
    values[#values + 1], values[#values + 2] = ARGV[at], ARGV[at + 2]
    places[#places + 1], places[#places + 2] = 0, ARGV[at + 1] .. ARGV[at]
  end
end
if #values > 0 then
  redis.call('HSET', 'jobs', unpack(values))
  redis.call('ZADD', 'ready', unpack(places))
  redis.call('PUBLISH', 'wake', '')
end
return #values / 2
"""
COMPLETE_AND_CLAIM = """
local results, held = {}, {}
for at = 3, #ARGV, 3 do
  if redis.call('HGET', 'running', ARGV[at]) == ARGV[2] .. ARGV[at + 1] then
    results[#results + 1], results[#results + 2] = ARGV[at], ARGV[at + 2]
    held[#held + 1] = ARGV[at]
  end
end
if #held > 0 then
  redis.call('HSET', 'results', unpack(results))
  redis.call('HDEL', 'running', unpack(held))
end
local found = ARGV[1] == '0' and {} or redis.call('ZPOPMIN', 'ready', ARGV[1])
if #found == 0 then return {} end
local ids, stamps, answer = {}, {}, {}
for at = 1, #found, 2 do
  local id = found[at]:sub(8)
  ids[#ids + 1] = id
  stamps[#stamps + 1], stamps[#stamps + 2] = id, ARGV[2] .. '1'
end
redis.call('HSET', 'running', unpack(stamps))
local payloads = redis.call('HMGET', 'jobs', unpack(ids))
for at, id in ipairs(ids) do
  answer[#answer + 1], answer[#answer + 2] = id, payloads[at]
end
return answer
"""


class Store:
    """A connection, and the two scripts."""

    def __init__(self, directory: Path) -> None:
        self._client = redis.Redis.from_url(url_in(directory), protocol=2)
        self._insert = self._client.script_load(INSERT)
        self._exchange = self._client.script_load(COMPLETE_AND_CLAIM)
        self._numbers = itertools.count()

    def insert(self, numbers: Sequence[int]) -> None:
        arguments: list[Any] = []
        for number in numbers:
            place = next(self._numbers)
            arguments += (f"{place:026}", place.to_bytes(7), b"[%d]" % number)
        self._client.evalsha(self._insert, 0, *arguments)

    def exchange(self, done: Sequence[tuple[bytes, bytes]], wanted: int) -> list[tuple[bytes, bytes]]:
        """Completes jobs, and claims others: id and payload of each."""
        ended = [part for identity, payload in done for part in (identity, "1", payload[1:-1])]
        found: Any = self._client.evalsha(self._exchange, 0, wanted, HOLDER, *ended)
        return list(zip(found[::2], found[1::2], strict=True))


def _enqueue_one(stage: Stage) -> None:
    store = Store(stage.directory)
    for number in range(stage.warm_up):
        store.insert([number])
    with stage.timed():
        for number in range(stage.jobs):
            store.insert([number])


def _fill(store: Store, count: int) -> None:
    for first in range(0, count, BULK):
        store.insert(range(first, min(first + BULK, count)))


def _enqueue_bulk(stage: Stage) -> None:
    store = Store(stage.directory)
    _fill(store, stage.warm_up)
    with stage.timed():
        _fill(store, stage.jobs)


def _drain_by(stage: Stage, batch: int, more: int = 0) -> None:
    store = Store(stage.directory)
    _fill(store, stage.warm_up + stage.jobs + more)
    done = store.exchange([], stage.warm_up)
    with stage.timed():
        for left in range(stage.jobs, 0, -batch):
            done = store.exchange(done, min(batch, left))
        store.exchange(done, 0)


def _drain_one(stage: Stage) -> None:
    _drain_by(stage, 1)


def _drain(stage: Stage) -> None:
    _drain_by(stage, BATCH)


def _drain_with_backlog(stage: Stage) -> None:
    _drain_by(stage, BATCH, stage.backlog)


def _serve(directory: Path, began: Began) -> None:
    store = Store(directory)
    with redis.Redis.from_url(url_in(directory)).pubsub() as ears:
        ears.subscribe("wake")
        done: list[tuple[bytes, bytes]] = []
        for _ in ears.listen():
            while done := store.exchange(done, BATCH):
                for _, payload in done:
                    began(int(payload[1:-1]))


@contextmanager
def _producer(directory: Path) -> Iterator[Send]:
    store = Store(directory)
    yield lambda number: store.insert([number])


LIMIT = Program(
    title="limit (hand-written scripts)",
    promise="At least once, claims and completions fenced by holder and generation, results kept; no retries, no "
    "limits, no leases, one queue: the floor, not a queue.",
    phases={
        ENQUEUE_ONE: Phase(run=_enqueue_one, jobs=10_000),
        ENQUEUE_BULK: Phase(run=_enqueue_bulk, jobs=200_000),
        DRAIN_ONE: Phase(run=_drain_one, jobs=5_000),
        DRAIN: Phase(run=_drain, jobs=100_000),
        DRAIN_BACKLOG: Phase(run=_drain_with_backlog, jobs=100_000),
    },
    pick_up=PickUp(serve=_serve, producer=_producer),
)
