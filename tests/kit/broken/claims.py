"""What can be wrong with claims."""

from __future__ import annotations

from threading import Barrier, BrokenBarrierError
from typing import Any

from msgspec.structs import replace

from longshore import reference
from longshore.contract import HELD, SECOND, By, Claimed, Order, State
from longshore.memory import MemoryDriver
from longshore.memory_store import Place


class ClaimsTwice(MemoryDriver):
    """Looks first and takes later, without looking again."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._meeting = _meeting_of(self.target)

    def claim(self, claims, *, holder, limit, max_bytes=None):
        with self._lock:
            now = self.now()
            self._room.promote(now)
            found = [self._room.jobs[place.id] for place in self._places(claims[0], now)][:limit]
        _meet(self._meeting)
        with self._lock:
            taken = [reference.taken(job, holder, now, reserve=False) for job in found]
            for job in taken:
                self._room.put(job, now)
        return Claimed(taken)


def _meeting_of(store: Any) -> Barrier:
    if not hasattr(store, "meeting"):
        store.meeting = Barrier(2)
    return store.meeting


def _meet(meeting: Barrier) -> None:
    try:
        meeting.wait(0.05)
    except BrokenBarrierError:
        meeting.reset()


class ExpiresInSilence(MemoryDriver):
    """Does not say which jobs a claim expired."""

    def claim(self, *arguments, **named):
        return replace(super().claim(*arguments, **named), expired=[])


class CountsTheExpired(MemoryDriver):
    """Expired jobs use up the limit of a claim."""

    def claim(self, claims, *, holder, limit, max_bytes=None):
        claimed = super().claim(claims, holder=holder, limit=limit, max_bytes=max_bytes)
        kept = max(0, limit - len(claimed.expired))
        with self._lock:
            for job in claimed.jobs[kept:]:
                self._room.put(replace(job, state=State.PENDING, holder=None), self.now())
        return replace(claimed, jobs=claimed.jobs[:kept])


class BeginsTheExpired(MemoryDriver):
    """Never looks at a deadline."""

    def _serve(self, claim, taking, holder, now):
        for job in [job for job in self._room.jobs.values() if job.expires is not None]:
            self._room.put(replace(job, expires=None), now)
        super()._serve(claim, taking, holder, now)


class IgnoresPriority(MemoryDriver):
    """Takes jobs by due time and id alone."""

    def _places(self, claim, now):
        return iter(sorted(super()._places(claim, now), key=lambda place: (place.due, place.raw_id)))


class RunsEarly(MemoryDriver):
    """Takes jobs a second before they are due."""

    def claim(self, *arguments, **named):
        usual, self._clock = self._clock, lambda: usual() + SECOND
        try:
            return super().claim(*arguments, **named)
        finally:
            self._clock = usual


class NeverPromotes(MemoryDriver):
    """Jobs that were due later at their insert are never found."""

    def claim(self, *arguments, **named):
        self._room._future.clear()
        return super().claim(*arguments, **named)


class StartsChildrenEarly(MemoryDriver):
    """Waiting jobs are findable."""

    def _insert(self, given, *arguments):
        answer = super()._insert(given, *arguments)
        job = self._room.jobs.get(given.id)
        if job and job.state is State.WAITING:
            self._room._lane_of(job).append(Place.of(job))
        return answer


class IgnoresTasks(MemoryDriver):
    """Takes jobs of any task."""

    def _places(self, claim, now):
        return super()._places(replace(claim, tasks=None), now)


class IgnoresMaxBytes(MemoryDriver):
    """Takes payloads without end."""

    def claim(self, claims, *, holder, limit, max_bytes=None):
        return super().claim(claims, holder=holder, limit=limit)


class KeepsTheGeneration(MemoryDriver):
    """A claim does not raise the generation."""

    def claim(self, *arguments, **named):
        claimed = super().claim(*arguments, **named)
        jobs = [replace(job, generation=max(1, job.generation - (job.attempt > 1))) for job in claimed.jobs]
        with self._lock:
            for job in jobs:
                self._room.put(job, self.now())
        return replace(claimed, jobs=jobs)


class FreesTooEarly(MemoryDriver):
    """A claim frees a unique slot that is held until the end."""

    def claim(self, *arguments, **named):
        claimed = super().claim(*arguments, **named)
        jobs = [replace(job, unique_held=False) for job in claimed.jobs]
        with self._lock:
            for job in jobs:
                self._room.put(job, self.now())
        return replace(claimed, jobs=jobs)


class LooksAtEverything(MemoryDriver):
    """A claim examines every job that is stored."""

    def claim(self, *arguments, **named):
        self._room.examined += len(self._room.jobs)
        return super().claim(*arguments, **named)


class IgnoresMinPriority(MemoryDriver):
    """Takes jobs of a low priority where the tasks are named as well."""

    def _places(self, claim, now):
        return super()._places(replace(claim, min_priority=None) if claim.tasks else claim, now)


class CountsTheEnded(MemoryDriver):
    """Counts jobs for the holder that ended them."""

    def count(self, by, *where):
        if by is not By.HOLDER:
            return super().count(by, *where)
        holders = [job.holder or job.settled_by for job in self._room.jobs.values() if job.holder or job.settled_by]
        return {(holder,): holders.count(holder) for holder in holders}


class DeletesTheHeld(MemoryDriver):
    """Removes what somebody runs."""

    def delete(self, where, *, limit=1_000):
        with self._lock:
            held = [job for job in self._found(where, Order.OLDEST) if job.state in HELD]
            for job in held:
                self._room.drop(job)
        return [job.id for job in held] + super().delete(where, limit=limit)
