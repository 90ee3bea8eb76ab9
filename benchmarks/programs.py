"""What a program under measurement is, and where each of them lives."""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

from benchmarks.stage import Stage

ENQUEUE_ONE = "enqueue one by one"
ENQUEUE_BULK = "enqueue by 1,000"
DRAIN_ONE = "drain one by one"
DRAIN = "drain"
DRAIN_BEST = "drain at best"
DRAIN_BACKLOG = "drain with a backlog"
PHASES = (ENQUEUE_ONE, ENQUEUE_BULK, DRAIN_ONE, DRAIN, DRAIN_BEST, DRAIN_BACKLOG)

LATER_SECONDS = 0.05

Send = Callable[[int], object]
"""Enqueues one no-op job with this integer as its argument."""

Began = Callable[[int], object]
"""To be called by a job when its body begins, with its argument."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Phase:
    """One thing to time, and how many jobs make it last about a second."""

    run: Callable[[Stage], None]
    jobs: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PickUp:
    """The two ends of a pick-up: a worker that waits, and somebody in another process who enqueues.

    The jobs of ``later`` are due `LATER_SECONDS` after they are enqueued; None where a program has no such jobs.
    """

    serve: Callable[[Path, Began], None]
    producer: Callable[[Path], AbstractContextManager[Send]]
    later: Callable[[Path], AbstractContextManager[Send]] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """One queue at one setting: what it promises, and what can be timed of it.

    ``comparable`` says that it keeps what any durable job queue has to keep: committed jobs survive a power cut, and
    several workers (threads at least) may drain one queue. A program that does less is shown, never as the best peer.
    """

    title: str
    promise: str
    phases: Mapping[str, Phase]
    pick_up: PickUp | None = None
    comparable: bool = True


ADDRESSES = {
    "sqlite": {
        "limit": "benchmarks.limits.sqlite:LIMIT",
        "longshore": "benchmarks.longshore_program:ON_SQLITE",
        "huey": "benchmarks.peers.huey_sqlite:HUEY",
        "huey-results": "benchmarks.peers.huey_sqlite:HUEY_WITH_RESULTS",
        "persist-queue": "benchmarks.peers.persist_queue:ACK_QUEUE",
        "persist-queue-single": "benchmarks.peers.persist_queue:SINGLE_CONSUMER_QUEUE",
        "litequeue": "benchmarks.peers.lite_queue:LITE_QUEUE",
        "litequeue-shipped": "benchmarks.peers.lite_queue:LITE_QUEUE_AS_SHIPPED",
    },
    "postgres": {
        "limit": "benchmarks.limits.postgres_limit:LIMIT",
        "longshore": "benchmarks.longshore_program:ON_POSTGRES",
        "pgqueuer": "benchmarks.peers.pgqueuer_postgres:PGQUEUER",
        "procrastinate": "benchmarks.peers.procrastinate_postgres:PROCRASTINATE",
        "saq": "benchmarks.peers.saq_postgres:SAQ",
    },
    "mariadb": {
        "limit": "benchmarks.limits.mariadb_limit:LIMIT",
        "longshore": "benchmarks.longshore_program:ON_MARIADB",
    },
    "mongo": {
        "limit": "benchmarks.limits.mongo_limit:LIMIT",
        "longshore": "benchmarks.longshore_program:ON_MONGO",
        "celery": "benchmarks.peers.celery_mongo:CELERY",
        "taskiq": "benchmarks.peers.taskiq_mongo:TASKIQ",
    },
    "redis": {
        "limit": "benchmarks.limits.redis_limit:LIMIT",
        "longshore": "benchmarks.longshore_program:ON_REDIS",
        "arq": "benchmarks.peers.arq_redis:ARQ",
        "bullmq": "benchmarks.peers.bullmq_redis:BULLMQ",
        "celery": "benchmarks.peers.celery_redis:CELERY",
        "dramatiq": "benchmarks.peers.dramatiq_redis:DRAMATIQ",
        "huey": "benchmarks.peers.huey_redis:HUEY",
        "rq": "benchmarks.peers.rq_redis:RQ",
        "saq": "benchmarks.peers.saq_redis:SAQ",
        "taskiq": "benchmarks.peers.taskiq_redis_streams:TASKIQ",
    },
}
"""Where the programs of each store live."""
NO_PEERS = ("limit", "longshore")


def load(store: str, name: str) -> Program:
    """Import one program and nothing of the others, so that its memory is its own."""
    module, attribute = ADDRESSES[store][name].split(":")
    program = getattr(import_module(module), attribute)
    assert isinstance(program, Program)
    return program
