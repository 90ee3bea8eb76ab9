"""How a worker works."""

from __future__ import annotations

from msgspec import Struct

from longshore.errors import ConfigurationError


class WorkerSettings(Struct, frozen=True, kw_only=True):
    """How a worker works; lengths of time are seconds.

    Attributes:
        queues: whose jobs it takes, merged by priority.
        slots: how many jobs run at a time, each in a thread of its own.
        batch: how many jobs one round trip takes at most.
        batch_bytes: how many bytes of arguments one round trip takes at most.
        prefetch: it takes ahead what it expects to begin within this time.
        hold: a job that was taken and has not begun after this time is handed back.
        poll: how often an idle worker looks without being woken, give or take a half.
        lease: how long its jobs are its own without a sign of life.
        heartbeat: how often it gives one.
        drain: how long running jobs may go on after it was told to stop.
        grace: how long an interrupted job may take to end.
        keep_succeeded: how long succeeded jobs are kept.
        keep_ended: how long other ended jobs are kept.
    """

    queues: tuple[str, ...] = ("default",)
    slots: int = 10
    batch: int = 500
    batch_bytes: int = 16 * 1024 * 1024
    prefetch: float = 0.1
    hold: float = 0.25
    poll: float = 5.0
    lease: float = 60.0
    heartbeat: float = 15.0
    drain: float = 25.0
    grace: float = 2.0
    keep_succeeded: float = 7 * 86_400.0
    keep_ended: float = 30 * 86_400.0

    def __post_init__(self) -> None:
        if not self.queues:
            raise ConfigurationError("a worker needs at least one queue to take jobs from")
        if self.slots < 1 or self.batch < 1:
            raise ConfigurationError(f"slots and batch must be at least 1; they are {self.slots} and {self.batch}")
        if not 0 < self.heartbeat <= self.lease / 3:
            raise ConfigurationError(
                f"heartbeat must be at most a third of the lease, so that a late one does no harm; they are "
                f"{self.heartbeat:g} s and {self.lease:g} s"
            )
