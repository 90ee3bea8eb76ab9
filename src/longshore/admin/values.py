"""What operators are shown. Moments are in UTC."""

from __future__ import annotations

from datetime import datetime

from msgspec import Struct

from longshore.contract import State


class Failure(Struct, frozen=True, kw_only=True):
    """A job that ended without an answer, and what its last attempt said."""

    id: str
    task: str
    queue: str
    state: State
    attempt: int
    crashes: int
    created: datetime
    ended: datetime | None
    error: str | None
    traceback: str | None
    enqueued_again: str | None
    """The id of the job that was enqueued in its place, once somebody did."""


class FailurePage(Struct, frozen=True):
    """Some of the failures; ``after`` asks for the next page, None: this was the last."""

    failures: tuple[Failure, ...]
    after: str | None = None


class HeldJob(Struct, frozen=True, kw_only=True):
    """A job that a worker has in its hands."""

    id: str
    task: str
    queue: str
    state: State
    started: datetime | None
    cancelling: bool


class WorkerInfo(Struct, frozen=True, kw_only=True):
    """A process that holds jobs, or could."""

    name: str
    alive: bool
    """Whether its lease runs. Who is not alive holds jobs that are about to be rescued."""
    lease_until: datetime | None
    host: str | None
    pid: int | None
    beats: int
    """How often it has renewed its lease."""
    queues: tuple[str, ...]
    paused: tuple[str, ...]
    """Those of its queues that are paused."""
    tasks: tuple[str, ...]
    slots: int
    release: str
    """Which release of the application it runs, if it was told."""
    status: str
    """Working, stopping, or retiring: then its process is replaced when what it runs has ended."""
    holds: tuple[HeldJob, ...]


class Unserved(Struct, frozen=True, kw_only=True):
    """Jobs of a task in a queue from which no living worker takes them."""

    queue: str
    task: str
    jobs: int
    known: bool
    """Whether a living worker knows the task, but serves other queues."""


class Stats(Struct, frozen=True, kw_only=True):
    """How many jobs there are of each state, and workers; ``counts`` of `longshore.admin.Admin` has them by queue."""

    waiting: int
    pending: int
    reserved: int
    running: int
    succeeded: int
    failed: int
    cancelled: int
    expired: int
    abandoned: int
    enqueued: int
    """How many were ever enqueued, roughly, also those that were removed since."""
    since: datetime | None
    """When the store was first used; None: only by programs that do not migrate it."""
    scheduled: int | None
    """Pending jobs that are not due yet; None: not counted, or more are due than are counted."""
    workers: int
    busy_workers: int
    idle_workers: int
    locks: int
    """Locks that are held or waited for."""
    schedules: int
    """Those that tick."""
    paused_schedules: int
