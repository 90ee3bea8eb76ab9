"""What one namespace holds, and the questions that no single job can answer.

There is no index: each question is a loop over all jobs. A driver of a real store asks the store instead.
"""

from __future__ import annotations

from msgspec import Struct
from msgspec.structs import replace

from longshore.contract import ENDED, Change, Instant, Record, State, StoredJob


class Snapshot(Struct):
    """All jobs and records, as they are written to the file."""

    jobs: dict[str, StoredJob] = {}
    records: dict[str, dict[str, Record]] = {}  # By kind, then by key.
    last_version: int = 0  # Of any record, also of those that are gone.

    def put(self, job: StoredJob) -> StoredJob:
        """Stores the job in place of what it was. One that ends here remembers whether others wait for that."""
        before = self.jobs.get(job.id)
        if before is not None and before.state not in ENDED and job.state in ENDED and self.has_waiting(before):
            job = replace(job, releases=True)
        self.jobs[job.id] = job
        return job

    def owner(self, unique_key: str, now: Instant) -> str | None:
        """Who has the slot of a unique key. One whose period has passed loses it here."""
        for job in self.jobs.values():
            if job.unique_held and job.unique_key == unique_key:
                if job.unique_until is None or job.unique_until > now:
                    return job.id
                self.put(replace(job, unique_held=False))
                return None
        return None

    def free_turn(self, key: str, turns: int) -> int | None:
        """The lowest free turn of a key; None while all are taken, or another job of the key waits."""
        jobs = [job for job in self.jobs.values() if job.key == key]
        if any(job.state is State.WAITING for job in jobs):
            return None
        taken = {job.turn for job in jobs}
        return next((turn for turn in range(turns) if turn not in taken), None)

    def is_taken_by_another(self, job: StoredJob, change: Change, now: Instant) -> bool:
        """Whether the slot or the turn that the change takes is another job's."""
        takes_slot = job.unique_held and not change.fields.keys().isdisjoint({"unique_held", "unique_key"})
        if takes_slot and job.unique_key is not None and self.owner(job.unique_key, now) not in (None, job.id):
            return True
        return "turn" in change.fields and not self.has_turn_free(job)

    def has_turn_free(self, job: StoredJob) -> bool:
        """Whether the job has no turn, or one that no other job of its key has."""
        if job.key is None or job.turn is None:
            return True
        others = (other for other in self.jobs.values() if other.key == job.key and other.id != job.id)
        return all(other.turn != job.turn for other in others)

    def has_waiting(self, job: StoredJob) -> bool:
        """Whether waiting jobs name this one as a parent, or wait for the turn that it has."""
        turn_of = job.key if job.turn is not None else None
        waiting = (other for other in self.jobs.values() if other.state is State.WAITING)
        return any(job.id in other.parents or (turn_of is not None and other.key == turn_of) for other in waiting)

    def next_version(self) -> int:
        """One counter for all records, so that it never has to remember what was erased."""
        self.last_version += 1
        return self.last_version

    def sweep(self, now: Instant) -> None:
        """Forgets records whose lifetime is over: nobody can see them any more."""
        for kind, records in list(self.records.items()):
            self.records[kind] = {key: record for key, record in records.items() if is_live(record, now)}
            if not self.records[kind]:
                del self.records[kind]


def is_live(record: Record, now: Instant) -> bool:
    """Whether the lifetime of a record goes on."""
    return record.expires is None or record.expires > now
