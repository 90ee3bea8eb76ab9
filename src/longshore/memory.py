"""The memory driver: the specification of the contract in code, and a store for tests and for one process.

Nothing survives the process. ``memory://`` is a store of its own; another connection to it takes ``driver.target``.
"""

from __future__ import annotations

import heapq
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any, Self
from urllib.parse import parse_qsl, urlsplit

from msgspec.structs import replace

from longshore import reference
from longshore.contract import (
    ENDED,
    EVERY,
    HELD,
    Answer,
    By,
    Change,
    Claim,
    Claimed,
    Clock,
    Driver,
    Duration,
    Features,
    Inserted,
    Insertion,
    Instant,
    Limits,
    Listener,
    NewJob,
    Order,
    Outcome,
    Page,
    Record,
    State,
    StoredJob,
    Where,
    Write,
)
from longshore.errors import ConfigurationError, Unsupported
from longshore.memory_store import DEFAULT_NAMESPACE, Ear, MemoryStore, Place

EXPIRED_PER_CALL = 1_000


def store_clock() -> Instant:
    """The clock of this machine."""
    return time.time_ns() // 1_000


class MemoryDriver(Driver):
    """A connection to a `MemoryStore`."""

    handles = ("longshore.memory_store.MemoryStore",)
    features = Features.WAKEUPS | Features.ONE_PLACE
    limits = Limits()

    def __init__(self, store: MemoryStore, namespace: str, clock: Clock | None) -> None:
        self.target = store
        self._room = store.room(namespace)
        self._lock = store.lock
        self._clock = clock or store_clock

    @classmethod
    def connect(cls, target: Any, *, clock: Clock | None = None, **options: Any) -> Self:
        if isinstance(target, str):
            options = dict(parse_qsl(urlsplit(target).query)) | options
            target = MemoryStore(options.get("namespace", DEFAULT_NAMESPACE))
        namespace = options.pop("namespace", target.namespace)
        if options:
            raise ConfigurationError(f"the memory driver knows the option namespace, not {', '.join(options)}")
        return cls(target, namespace, clock)

    def close(self) -> None:
        pass

    def migrate(self) -> None:
        pass

    def clear(self) -> None:
        with self._lock:
            self._room.clear()

    def now(self) -> Instant:
        return self._clock()

    def insert(self, jobs: Sequence[NewJob | StoredJob], *, tx: Any = None) -> list[Inserted]:
        _refuse(tx)
        with self._lock:
            now = self.now()
            answers = [self._insert(job, now, position) for position, job in enumerate(jobs)]
        pending = {
            job.queue
            for job, answer in zip(jobs, answers, strict=True)
            if answer.outcome is Insertion.INSERTED and answer.state is State.PENDING
        }
        self.wake([f"queue:{queue}" for queue in sorted(pending)])
        return answers

    def _insert(self, given: NewJob | StoredJob, now: Instant, position: int) -> Inserted:
        room = self._room
        if stored := room.jobs.get(given.id):
            return Inserted(Insertion.REPEATED, stored.state, task=stored.task, digest=stored.digest)
        job = given if isinstance(given, StoredJob) else reference.born(given, now, position)
        if job.unique_held and job.unique_key is not None:
            room.free_lapsed(job.unique_key, now)
            if holder := room.unique.get(job.unique_key):
                return Inserted(Insertion.HELD, held_by=holder)
        if not room.has_turn_free(job):
            return Inserted(Insertion.HELD)
        if isinstance(given, NewJob) and job.key is not None and job.state is State.PENDING:
            turn = room.free_turn(job.key, job.turns)
            job = replace(job, state=State.WAITING) if turn is None else replace(job, turn=turn)
        room.put(job, now)
        return Inserted(Insertion.INSERTED, job.state)

    def claim(self, claims: Sequence[Claim], *, holder: str, limit: int, max_bytes: int | None = None) -> Claimed:
        with self._lock:
            now = self.now()
            self._room.promote(now)
            taking = _Taking(limit, max_bytes)
            for claim in claims:
                self._serve(claim, taking, holder, now)
            if taking.jobs:
                return Claimed(taking.jobs, taking.expired)
            return Claimed([], taking.expired, 0 if taking.stopped else self._next_due(claims, now))

    def _serve(self, claim: Claim, taking: _Taking, holder: str, now: Instant) -> None:
        room = self._room
        wanted = claim.limit if claim.limit is not None else taking.limit
        # A list, since taking a job changes what is iterated; the bound is what this claim can take or expire.
        for place in list(islice(self._places(claim, now), min(wanted, taking.limit) + EXPIRED_PER_CALL)):
            if wanted <= 0 or taking.is_full():
                return
            room.examined += 1
            job = room.jobs[place.id]
            if job.expires is not None and job.expires <= now:
                if len(taking.expired) == EXPIRED_PER_CALL:
                    taking.stopped = True
                    return
                self._put(job, reference.changed(job, Change(job.id, State.EXPIRED), now), now)
                taking.expired.append(job.id)
            elif taking.has_room_for(job):
                taken = reference.taken(job, holder, now, reserve=claim.reserve)
                room.put(taken, now)
                taking.add(replace(taken, attempts=()))
                wanted -= 1
            else:
                return

    def _places(self, claim: Claim, now: Instant) -> Iterator[Place]:
        room = self._room
        if claim.id is not None:
            job = room.jobs.get(claim.id)
            if (
                job
                and job.state is State.PENDING
                and job.due <= now
                and (claim.tasks is None or job.task in claim.tasks)
            ):
                yield Place.of(job)
            return
        lanes = [room.lane(queue, claim.tasks) for queue in dict.fromkeys(claim.queues)]
        for place in heapq.merge(*(lane for lanes_of_queue in lanes for lane in lanes_of_queue)):
            if claim.min_priority is not None and place.priority < claim.min_priority:
                return
            yield place

    def _next_due(self, claims: Sequence[Claim], now: Instant) -> Duration | None:
        queues = {queue for claim in claims for queue in claim.queues}
        dues = [due for queue in queues if (due := self._room.next_due(queue)) is not None]
        return max(0, min(dues) - now) if dues else None

    def update(self, changes: Sequence[Change], *, tx: Any = None) -> list[Answer]:
        _refuse(tx)
        with self._lock:
            now = self.now()
            answers = {change.id: self._update(change, now) for change in sorted(changes, key=reference.takes_slot)}
        return [answers[change.id] for change in changes]

    def _update(self, change: Change, now: Instant) -> Answer:
        room = self._room
        job = room.jobs.get(change.id)
        if job is None:
            return Answer(Outcome.REFUSED)
        if not reference.guards_hold(job, change):
            return self._answer(Outcome.REPEATED if reference.was_made(job, change) else Outcome.REFUSED, job)
        after = reference.changed(job, change, now)
        if room.is_taken_by_another(after, change, now):
            return self._answer(Outcome.HELD, job)
        return self._answer(Outcome.MOVED, self._put(job, after, now))

    def _put(self, before: StoredJob, after: StoredJob, now: Instant) -> StoredJob:
        if after.state in ENDED and before.state not in ENDED and self._room.has_waiting(before):
            after = replace(after, releases=True)
        self._room.put(after, now)
        return after

    def _answer(self, outcome: Outcome, job: StoredJob) -> Answer:
        releases = job.releases and job.state in ENDED
        return Answer(outcome, job.state, job.generation, job.cancel_asked, job.awaited, releases)

    def select(
        self,
        where: Where = EVERY,
        *,
        order: Order = Order.NEWEST,
        limit: int = 100,
        after: str | None = None,
        each: int | None = None,
        body: bool = True,
    ) -> Page:
        with self._lock:
            found = self._found(where, order, after, each)
            page = found[: limit + 1]
        jobs = page[:limit] if body else [_without_body(job) for job in page[:limit]]
        more = len(page) > limit and jobs
        return Page(jobs, f"{jobs[-1].created}:{jobs[-1].id}" if more else None)

    def _found(self, where: Where, order: Order, after: str | None = None, each: int | None = None) -> list[StoredJob]:
        now = self.now()
        found = [job for job in self._room.jobs.values() if reference.matches(job, where, now)]
        found.sort(key=_age, reverse=order is Order.NEWEST)
        if each is not None:
            found = _first_of_each(found, each, "key" if where.keys is not None else "group")
        if after is None:
            return found
        created, _, identity = after.partition(":")
        last = (int(created), identity.encode())
        return [job for job in found if (_age(job) < last if order is Order.NEWEST else _age(job) > last)]

    def count(self, by: By, where: Where = EVERY) -> dict[tuple[Any, ...], int]:
        with self._lock:
            now = self.now()
            return dict(
                Counter(
                    tuple(getattr(job, part) for part in by.value)
                    for job in self._room.jobs.values()
                    if reference.matches(job, where, now)
                    and not (by is By.HOLDER and job.state not in HELD)
                    and not (by is By.GROUP_STATE and job.group is None)
                )
            )

    def delete(self, where: Where, *, limit: int = 1_000) -> list[str]:
        with self._lock:
            now = self.now()
            found = [job for job in self._found(where, Order.OLDEST) if reference.is_deletable(job, now)]
            for job in found[:limit]:
                self._room.drop(job)
            return [job.id for job in found[:limit]]

    def read(
        self,
        kind: str,
        keys: Sequence[str] | None = None,
        *,
        prefix: str = "",
        limit: int = 1_000,
        after: str | None = None,
    ) -> list[Record]:
        with self._lock:
            now = self.now()
            records = self._room.records.get(kind, {})
            wanted = set(keys) if keys is not None else {key for key in records if key.startswith(prefix)}
            last = after.encode() if after is not None else b""
            names = sorted((key for key in wanted if key in records and key.encode() > last), key=str.encode)
            live = [records[key] for key in names if not _has_expired(records[key], now)]
            return live[:limit]

    def write(self, writes: Sequence[Write], *, tx: Any = None) -> list[int | None]:
        _refuse(tx)
        with self._lock:
            now = self.now()
            return [self._write(write, now) for write in writes]

    def _write(self, write: Write, now: Instant) -> int | None:
        records = self._room.records.setdefault(write.kind, {})
        stored = records.get(write.key)
        if stored is not None and _has_expired(stored, now):
            stored = None
        if write.version is not None and write.version != (stored.version if stored else 0):
            return None
        version = self._room.next_version()
        if write.value is None:
            records.pop(write.key, None)
        else:
            expires = now + write.lifetime if write.lifetime is not None else None
            records[write.key] = Record(write.kind, write.key, write.value, version, expires)
        return version

    def wake(self, topics: Sequence[str]) -> None:
        with self._lock:
            ears = [ear for ear in self._room.ears if ear.hears(topics)]
        for ear in ears:
            ear.ring()

    def listen(self, topics: Sequence[str]) -> Listener:
        ear = Ear(frozenset(topics))
        with self._lock:
            self._room.ears.add(ear)
        return ear

    def examined(self) -> int | None:
        return self._room.examined


class _Taking:
    """What one call of `claim` has taken so far."""

    def __init__(self, limit: int, max_bytes: int | None) -> None:
        self.limit = limit
        self.jobs: list[StoredJob] = []
        self.expired: list[str] = []
        self.stopped = False
        self._max_bytes = max_bytes
        self._bytes = 0

    def is_full(self) -> bool:
        return len(self.jobs) >= self.limit

    def has_room_for(self, job: StoredJob) -> bool:
        return not self.jobs or self._max_bytes is None or self._bytes + len(job.payload) <= self._max_bytes

    def add(self, job: StoredJob) -> None:
        self.jobs.append(job)
        self._bytes += len(job.payload)


def _refuse(tx: Any) -> None:
    if tx is not None:
        raise Unsupported("the memory driver has no transactions; leave out tx, or choose a store that has them")


def _age(job: StoredJob) -> tuple[Instant, bytes]:
    return job.created, job.id.encode()


def _has_expired(record: Record, now: Instant) -> bool:
    return record.expires is not None and record.expires <= now


def _first_of_each(jobs: list[StoredJob], each: int, name: str) -> list[StoredJob]:
    met: Counter[str] = Counter()
    first: list[StoredJob] = []
    for job in jobs:
        met[getattr(job, name)] += 1
        if met[getattr(job, name)] <= each:
            first.append(job)
    return first


def _without_body(job: StoredJob) -> StoredJob:
    return replace(job, payload=b"", cursor=None, result=None, attempts=())
