"""Queues that nobody serves, where jobs stand while they are on their way."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from msgspec import Struct
from msgspec.structs import replace

from longshore.contract import Change, Order, Page, StoredJob, Where
from longshore.guard import Guard


class Siding(Struct, frozen=True):
    """A queue that nobody serves. A note of the same name says from which queue a job there came."""

    name: str

    def taking(self, job: StoredJob) -> Change:
        """The change that puts a job here, if it still stands as it was read."""
        note = {self.name: job.queue}
        return Change(job.id, None, {"queue": self.name, "notes": note}, frozenset({job.state}), job.generation)

    def returning(self, job: StoredJob) -> Change:
        """The change that puts it back, if it still stands as it was read."""
        fields = {"queue": self.queue_of(job), "notes": {self.name: None}}
        return Change(job.id, None, fields, frozenset({job.state}), job.generation)  # type: ignore[arg-type]

    def aside(self, job: StoredJob) -> StoredJob:
        """A job as it would be if it were put here."""
        return replace(job, queue=self.name, notes={**job.notes, self.name: job.queue})

    def restored(self, job: StoredJob) -> StoredJob:
        """A job as it was before it was put here."""
        notes: Mapping[str, Any] = {name: value for name, value in job.notes.items() if name != self.name}
        return replace(job, queue=self.queue_of(job), notes=notes)

    def holds(self, job: StoredJob) -> bool:
        """Whether a job stands here."""
        return job.queue == self.name

    def queue_of(self, job: StoredJob) -> str:
        """From which queue a job that stands here came."""
        return str(job.notes.get(self.name, job.queue))

    def page(self, store: Guard, after: str | None, limit: int) -> Page:
        """Some of the jobs that stand here, oldest first, without their bodies."""
        return store.select(Where(queues=(self.name,)), order=Order.OLDEST, limit=limit, after=after, body=False)

    def empty(self, store: Guard, jobs: Sequence[StoredJob]) -> None:
        """Puts jobs that stand here back where they came from, and wakes who serves those queues."""
        if not jobs:
            return
        store.update([self.returning(job) for job in jobs])
        store.wake(sorted({f"queue:{self.queue_of(job)}" for job in jobs}))


MOVING: Final = Siding("longshore.moving")
"""Where jobs stand at the source while they are moved."""
COPIED: Final = Siding("longshore.copied")
"""Where jobs stand at the destination that were copied, until they are released."""
