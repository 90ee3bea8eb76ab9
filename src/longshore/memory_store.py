"""What the memory driver keeps, and by what it finds it."""

from __future__ import annotations

import heapq
import threading
from bisect import bisect_left, insort
from collections.abc import Sequence
from typing import NamedTuple, Self
from weakref import WeakSet

from msgspec.structs import replace

from longshore.contract import Change, Instant, Record, Sleeper, State, StoredJob

DEFAULT_NAMESPACE = "longshore"


class Place(NamedTuple):
    """Where a pending job stands among the others: priority (high first), due time, id."""

    urgency: int
    due: Instant
    raw_id: bytes

    @classmethod
    def of(cls, job: StoredJob) -> Self:
        return cls(-job.priority, job.due, job.id.encode())

    @property
    def id(self) -> str:
        return self.raw_id.decode()

    @property
    def priority(self) -> int:
        return -self.urgency


class Ear(Sleeper):
    """A listener to some topics."""

    def __init__(self, topics: frozenset[str]) -> None:
        super().__init__()
        self._topics = topics

    def hears(self, topics: Sequence[str]) -> bool:
        return not self._topics.isdisjoint(topics)

    def close(self) -> None:
        self._topics = frozenset()
        super().close()


class Room:
    """The jobs and records of one namespace."""

    def __init__(self) -> None:
        self.ears: WeakSet[Ear] = WeakSet()
        self.examined = 0
        self._versions = 0
        self.clear()

    def clear(self) -> None:
        self.jobs: dict[str, StoredJob] = {}
        self.records: dict[str, dict[str, Record]] = {}
        self.unique: dict[str, str] = {}
        self._turns: dict[tuple[str, int], str] = {}
        self._queued: dict[str, set[str]] = {}
        self._children: dict[str, set[str]] = {}
        self._lanes: dict[str, dict[str, list[Place]]] = {}
        self._future: list[tuple[Instant, str]] = []

    def next_version(self) -> int:
        self._versions += 1
        return self._versions

    def put(self, job: StoredJob, now: Instant) -> None:
        """Stores the job in place of what it was."""
        if before := self.jobs.get(job.id):
            self.drop(before)
        self.jobs[job.id] = job
        if job.unique_held and job.unique_key is not None:
            self.unique[job.unique_key] = job.id
        if job.key is not None and job.turn is not None:
            self._turns[job.key, job.turn] = job.id
        if job.key is not None and job.state is State.WAITING:
            self._queued.setdefault(job.key, set()).add(job.id)
        for parent in job.parents:
            self._children.setdefault(parent, set()).add(job.id)
        if job.state is State.PENDING:
            if job.due <= now:
                insort(self._lane_of(job), Place.of(job))
            else:
                heapq.heappush(self._future, (job.due, job.id))

    def drop(self, job: StoredJob) -> None:
        """Removes the job and all that leads to it."""
        del self.jobs[job.id]
        if job.unique_key is not None and self.unique.get(job.unique_key) == job.id:
            del self.unique[job.unique_key]
        if job.key is not None and job.turn is not None:
            self._turns.pop((job.key, job.turn), None)
        if job.key is not None:
            self._queued.get(job.key, set()).discard(job.id)
        for parent in job.parents:
            self._children[parent].discard(job.id)
        if job.state is State.PENDING:
            lane, place = self._lane_of(job), Place.of(job)
            at = bisect_left(lane, place)
            if at < len(lane) and lane[at] == place:
                del lane[at]

    def _lane_of(self, job: StoredJob) -> list[Place]:
        return self._lanes.setdefault(job.queue, {}).setdefault(job.task, [])

    def lane(self, queue: str, tasks: frozenset[str] | None) -> list[list[Place]]:
        """The findable jobs of a queue, each task's in order."""
        lanes = self._lanes.get(queue, {})
        return [lane for task, lane in lanes.items() if tasks is None or task in tasks]

    def promote(self, now: Instant) -> None:
        """Makes due jobs findable."""
        while self._future and self._future[0][0] <= now:
            due, identity = heapq.heappop(self._future)
            job = self.jobs.get(identity)
            if job is not None and job.state is State.PENDING and job.due == due:
                lane, place = self._lane_of(job), Place.of(job)
                at = bisect_left(lane, place)
                if at == len(lane) or lane[at] != place:
                    lane.insert(at, place)

    def next_due(self, queue: str) -> Instant | None:
        """When the next job of a queue becomes due."""
        dues = [
            due
            for due, identity in self._future
            if (job := self.jobs.get(identity)) and job.state is State.PENDING and job.due == due and job.queue == queue
        ]
        return min(dues, default=None)

    def free_lapsed(self, unique_key: str, now: Instant) -> None:
        """Takes the slot from a job whose unique period has passed."""
        holder = self.jobs.get(self.unique.get(unique_key, ""))
        if holder is not None and holder.unique_until is not None and holder.unique_until <= now:
            self.put(replace(holder, unique_held=False), now)

    def free_turn(self, key: str, turns: int) -> int | None:
        """The lowest free turn of a key, None while all are taken or another job waits for one."""
        if self._queued.get(key):
            return None
        return next((turn for turn in range(turns) if (key, turn) not in self._turns), None)

    def is_taken_by_another(self, job: StoredJob, change: Change, now: Instant) -> bool:
        """Whether the slots that the change takes are another job's."""
        takes_slot = job.unique_held and not change.fields.keys().isdisjoint({"unique_held", "unique_key"})
        if takes_slot and job.unique_key is not None:
            self.free_lapsed(job.unique_key, now)
            if self.unique.get(job.unique_key, job.id) != job.id:
                return True
        return "turn" in change.fields and not self.has_turn_free(job)

    def has_waiting(self, job: StoredJob) -> bool:
        """Whether waiting jobs name this one as a parent, or wait for the turn that it has."""
        if job.turn is not None and self._queued.get(job.key or ""):
            return True
        return any(self.jobs[child].state is State.WAITING for child in self._children.get(job.id, ()))

    def has_turn_free(self, job: StoredJob) -> bool:
        """Whether no other job has this one's turn."""
        return self._turns.get((job.key or "", job.turn if job.turn is not None else -1), job.id) == job.id


class MemoryStore:
    """A store in this process's memory: give it to `Longshore` or to another `MemoryDriver.connect`."""

    def __init__(self, namespace: str = DEFAULT_NAMESPACE) -> None:
        self.namespace = namespace
        self.lock = threading.RLock()
        self._rooms: dict[str, Room] = {}

    def room(self, namespace: str) -> Room:
        """What is stored under a namespace."""
        with self.lock:
            return self._rooms.setdefault(namespace, Room())
