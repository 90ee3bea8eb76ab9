"""How a worker works."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from msgspec import Struct

from longshore.errors import ConfigurationError
from longshore.guard import check_text


class WorkerSettings(Struct, frozen=True, kw_only=True):
    """How a worker works; lengths of time are seconds.

    Attributes:
        queues: whose jobs it takes.
        order: ``merged`` by priority, or ``strict``: as long as there are jobs of the first queue, none of the second.
        weights: by queue, which share of the jobs is its own while there are jobs of all: 3 and 1 are three of four.
        limits: by task, how many of its jobs run here at a time.
        slots: how many jobs run at a time: each in a thread, those of an ``async def`` on one event loop.
        spare: how many more, if all slots are taken, of those whose priority is high enough.
        spare_priority: how high that is, at least.
        batch: how many jobs one round trip takes at most.
        batch_bytes: how many bytes of arguments one round trip takes at most.
        prefetch: it takes ahead what it expects to begin within this time.
        hold: a job that was taken and has not begun after this time is handed back.
        poll: how often an idle worker looks without being woken, give or take a half.
        lease: how long its jobs are its own without a sign of life.
        heartbeat: how often it gives one.
        drain: how long running jobs may go on after it was told to stop.
        grace: how long an interrupted job may take to end.
        idle_timeout: it ends when there was nothing to do for so long; None: never.
        max_jobs: its process is replaced after so many; None: never.
        max_memory: its process is replaced when it takes so many megabytes; None: never.
        retry_seconds: how often one of several stores is tried again that was away when the worker began.
        release: which release of the application runs, shown to operators.
        keep_succeeded: how long succeeded jobs are kept.
        keep_ended: how long other ended jobs are kept.
    """

    queues: tuple[str, ...] = ("default",)
    order: Literal["merged", "strict"] = "merged"
    weights: Mapping[str, int] = {}
    limits: Mapping[str, int] = {}
    slots: int = 10
    spare: int = 0
    spare_priority: int = 1
    batch: int = 500
    batch_bytes: int = 16 * 1024 * 1024
    prefetch: float = 0.1
    hold: float = 0.25
    poll: float = 5.0
    lease: float = 60.0
    heartbeat: float = 15.0
    drain: float = 25.0
    grace: float = 2.0
    idle_timeout: float | None = None
    max_jobs: int | None = None
    max_memory: float | None = None
    retry_seconds: float = 30.0
    release: str = ""
    keep_succeeded: float = 7 * 86_400.0
    keep_ended: float = 30 * 86_400.0

    def __post_init__(self) -> None:
        if not self.queues:
            raise ConfigurationError("a worker needs at least one queue to take jobs from")
        for queue in self.queues:
            check_text(queue, "a queue's name")
        if self.slots < 1 or self.batch < 1:
            raise ConfigurationError(f"slots and batch must be at least 1; they are {self.slots} and {self.batch}")
        if self.spare < 0:
            raise ConfigurationError(f"spare is how many jobs run beyond slots, 0 or more; it is {self.spare}")
        self._check_order()
        if self.max_jobs is not None and self.max_jobs < 1:
            raise ConfigurationError(f"max_jobs must be at least 1, or None for any number; it is {self.max_jobs}")
        if not 0 < self.heartbeat <= self.lease / 3:
            raise ConfigurationError(
                f"heartbeat must be at most a third of the lease, so that a late one does no harm; they are "
                f"{self.heartbeat:g} s and {self.lease:g} s"
            )

    def _check_order(self) -> None:
        if self.order not in ("merged", "strict"):
            raise ConfigurationError(f"order must be merged or strict; it is {self.order!r}")
        if len(set(self.queues)) < len(self.queues):
            raise ConfigurationError(f"each queue can be named once; they are {', '.join(self.queues)}")
        if self.weights and (self.order == "strict" or set(self.weights) != set(self.queues)):
            raise ConfigurationError(
                f"weights must name the worker's queues, each once, and have no other order beside them; they name "
                f"{', '.join(self.weights)}, the queues are {', '.join(self.queues)}"
            )
        for name, number in {**self.weights, **self.limits}.items():
            if number < 1:
                raise ConfigurationError(f"weights and limits must be at least 1; that of {name} is {number}")


def worker_settings(**given: Any) -> WorkerSettings:
    """The settings that were given by name.

    Raises:
        ConfigurationError: there is no such setting, or it makes no sense.
    """
    if unknown := given.keys() - set(WorkerSettings.__struct_fields__):
        known = ", ".join(WorkerSettings.__struct_fields__)
        raise ConfigurationError(f"a worker has no setting {', '.join(sorted(unknown))}; it has {known}")
    return WorkerSettings(**given)
