"""The driver: each method loads the snapshot, does what the contract says, and stores it."""

from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Self
from urllib.parse import parse_qsl, quote, unquote, urlsplit

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
from longshore_folder.folder import Folder
from longshore_folder.snapshot import Snapshot, is_live

DEFAULT_NAMESPACE = "longshore"


class FolderDriver(Driver):
    """Jobs in a folder: ``folder:///absolute/path?namespace=name``."""

    features = Features.DURABLE | Features.SHARED | Features.ONE_PLACE
    limits = Limits()

    def __init__(self, path: str, namespace: str, clock: Clock | None) -> None:
        self.target = f"folder://{quote(path)}?namespace={namespace}"
        self._folder = Folder(Path(path) / namespace)
        self._clock = clock or _clock_of_this_machine

    @classmethod
    def connect(cls, target: Any, *, clock: Clock | None = None, **options: Any) -> Self:
        parts = urlsplit(target)
        if parts.netloc or parts.fragment or not parts.path.startswith("/"):
            raise ConfigurationError(f"expected a URL like folder:///var/lib/jobs, got {target!r}")
        options = dict(parse_qsl(parts.query, keep_blank_values=True)) | options
        namespace = options.pop("namespace", DEFAULT_NAMESPACE)
        if options:
            raise ConfigurationError(f"the folder driver knows the option namespace, not {', '.join(options)}")
        if not re.fullmatch(r"[A-Za-z0-9_-]{1,100}", namespace):
            raise ConfigurationError(f"expected a namespace of at most 100 letters, digits, _ and -, got {namespace!r}")
        return cls(unquote(parts.path), namespace, clock)

    def close(self) -> None:
        pass  # Nothing is open between two calls.

    def migrate(self) -> None:
        self._folder.create()

    def clear(self) -> None:
        with self._folder.change() as snapshot:
            snapshot.jobs.clear()
            snapshot.records.clear()

    def now(self) -> Instant:
        return self._clock()

    def insert(self, jobs: Sequence[NewJob | StoredJob], *, tx: Any = None) -> list[Inserted]:
        _refuse(tx)
        with self._folder.change() as snapshot:
            now = self.now()  # After the lock is taken: time passes while one waits for it.
            return [_insert(snapshot, job, now, position) for position, job in enumerate(jobs)]

    def claim(self, claims: Sequence[Claim], *, holder: str, limit: int, max_bytes: int | None = None) -> Claimed:
        return self.exchange([], claims, holder=holder, limit=limit, max_bytes=max_bytes)[1]

    def update(self, changes: Sequence[Change], *, tx: Any = None) -> list[Answer]:
        _refuse(tx)
        with self._folder.change() as snapshot:
            return _update(snapshot, changes, self.now())

    def exchange(
        self,
        changes: Sequence[Change],
        claims: Sequence[Claim],
        *,
        holder: str,
        limit: int,
        max_bytes: int | None = None,
    ) -> tuple[list[Answer], Claimed]:
        with self._folder.change() as snapshot:
            now = self.now()
            answers = _update(snapshot, changes, now)
            taking = _Taking(snapshot, holder, now, limit, max_bytes)
            for claim in claims:
                taking.serve(claim)
            next_due = None if taking.jobs else _next_due(snapshot, claims, now)
            return answers, Claimed(taking.jobs, taking.expired, next_due)

    def select(
        self,
        where: Where,
        *,
        order: Order = Order.NEWEST,
        limit: int = 100,
        after: str | None = None,
        each: int | None = None,
        body: bool = True,
    ) -> Page:
        found = _found(self._folder.read(), where, self.now())
        if order is Order.NEWEST:
            found.reverse()
        if each is not None:
            found = _first_of_each(found, each, "key" if where.keys is not None else "group")
        if after is not None:
            created, _, identity = after.partition(":")
            last = (int(created), identity.encode())
            found = [job for job in found if (_age(job) < last if order is Order.NEWEST else _age(job) > last)]
        jobs = found[:limit] if body else [_without_body(job) for job in found[:limit]]
        return Page(jobs, f"{jobs[-1].created}:{jobs[-1].id}" if jobs and len(found) > limit else None)

    def count(self, by: By, where: Where = EVERY) -> dict[tuple[Any, ...], int]:
        jobs = _found(self._folder.read(), where, self.now())
        if by is By.HOLDER:
            jobs = [job for job in jobs if job.state in HELD]
        if by is By.GROUP_STATE:
            jobs = [job for job in jobs if job.group is not None]
        return dict(Counter(tuple(getattr(job, part) for part in by.value) for job in jobs))

    def delete(self, where: Where, *, limit: int = 1_000) -> list[str]:
        with self._folder.change() as snapshot:
            now = self.now()
            deletable = [job.id for job in _found(snapshot, where, now) if reference.is_deletable(job, now)]
            for identity in deletable[:limit]:
                del snapshot.jobs[identity]
            return deletable[:limit]

    def read(
        self,
        kind: str,
        keys: Sequence[str] | None = None,
        *,
        prefix: str = "",
        limit: int = 1_000,
        after: str | None = None,
    ) -> list[Record]:
        records = self._folder.read().records.get(kind, {})
        now = self.now()
        last = (after or "").encode()
        wanted = set(keys) if keys is not None else {key for key in records if key.startswith(prefix)}
        found = [records[key] for key in wanted if key in records and key.encode() > last]
        return sorted((record for record in found if is_live(record, now)), key=_place)[:limit]

    def write(self, writes: Sequence[Write], *, tx: Any = None) -> list[int | None]:
        _refuse(tx)
        with self._folder.change() as snapshot:
            now = self.now()
            versions = [_write(snapshot, write, now) for write in writes]
            snapshot.sweep(now)
            return versions


class _Taking:
    """What one call of `claim` takes."""

    def __init__(self, snapshot: Snapshot, holder: str, now: Instant, limit: int, max_bytes: int | None) -> None:
        self.jobs: list[StoredJob] = []
        self.expired: list[str] = []
        self._snapshot = snapshot
        self._holder = holder
        self._now = now
        self._limit = limit
        self._max_bytes = max_bytes

    def serve(self, claim: Claim) -> None:
        """Takes what one claim asks for."""
        wanted = self._limit if claim.limit is None else claim.limit
        for job in self._claimable(claim):
            if wanted <= 0 or len(self.jobs) >= self._limit:
                return
            if job.expires is not None and job.expires <= self._now:
                self._snapshot.put(reference.changed(job, Change(job.id, State.EXPIRED), self._now))
                self.expired.append(job.id)
            elif self._has_room_for(job):
                taken = reference.taken(job, self._holder, self._now, reserve=claim.reserve)
                self._snapshot.put(taken)
                self.jobs.append(replace(taken, attempts=()))
                wanted -= 1
            else:
                return

    def _claimable(self, claim: Claim) -> list[StoredJob]:
        """In the order of the contract: priority (high first), due, id."""
        found = [job for job in self._candidates(claim) if job.state is State.PENDING and job.due <= self._now]
        if claim.tasks is not None:
            found = [job for job in found if job.task in claim.tasks]
        return sorted(found, key=lambda job: (-job.priority, job.due, job.id.encode()))

    def _candidates(self, claim: Claim) -> Iterator[StoredJob]:
        jobs = self._snapshot.jobs
        if claim.id is not None:
            return iter([jobs[claim.id]] if claim.id in jobs else [])
        lowest = claim.min_priority
        return (
            job for job in jobs.values() if job.queue in claim.queues and (lowest is None or job.priority >= lowest)
        )

    def _has_room_for(self, job: StoredJob) -> bool:
        size = sum(len(taken.payload) for taken in self.jobs) + len(job.payload)
        return not self.jobs or self._max_bytes is None or size <= self._max_bytes


def _clock_of_this_machine() -> Instant:
    return time.time_ns() // 1_000


def _refuse(tx: Any) -> None:
    if tx is not None:
        raise Unsupported("the folder driver has no transactions; leave out tx, or choose a store that has them")


def _insert(snapshot: Snapshot, given: NewJob | StoredJob, now: Instant, position: int) -> Inserted:
    # The id before the unique key: a repeat must be told that it is one, whoever has its key by now.
    if stored := snapshot.jobs.get(given.id):
        return Inserted(Insertion.REPEATED, stored.state, task=stored.task, digest=stored.digest)
    job = given if isinstance(given, StoredJob) else reference.born(given, now, position)
    if job.unique_held and job.unique_key is not None and (owner := snapshot.owner(job.unique_key, now)):
        return Inserted(Insertion.HELD, held_by=owner)
    if not snapshot.has_turn_free(job):
        return Inserted(Insertion.HELD)
    if isinstance(given, NewJob) and job.key is not None and job.state is State.PENDING:
        turn = snapshot.free_turn(job.key, job.turns)
        job = replace(job, state=State.WAITING) if turn is None else replace(job, turn=turn)
    snapshot.put(job)
    return Inserted(Insertion.INSERTED, job.state)


def _update(snapshot: Snapshot, changes: Sequence[Change], now: Instant) -> list[Answer]:
    # What may free a slot comes before what takes one.
    answers = {change.id: _change(snapshot, change, now) for change in sorted(changes, key=reference.takes_slot)}
    return [answers[change.id] for change in changes]


def _change(snapshot: Snapshot, change: Change, now: Instant) -> Answer:
    job = snapshot.jobs.get(change.id)
    if job is None:
        return Answer(Outcome.REFUSED)
    if not reference.guards_hold(job, change):
        return _answer(Outcome.REPEATED if reference.was_made(job, change) else Outcome.REFUSED, job)
    after = reference.changed(job, change, now)
    if snapshot.is_taken_by_another(after, change, now):
        return _answer(Outcome.HELD, job)
    return _answer(Outcome.MOVED, snapshot.put(after))


def _answer(outcome: Outcome, job: StoredJob) -> Answer:
    releases = job.releases and job.state in ENDED
    return Answer(outcome, job.state, job.generation, job.cancel_asked, job.awaited, releases)


def _next_due(snapshot: Snapshot, claims: Sequence[Claim], now: Instant) -> Duration | None:
    queues = {queue for claim in claims for queue in claim.queues}
    pending = [job for job in snapshot.jobs.values() if job.state is State.PENDING and job.queue in queues]
    return min((job.due - now for job in pending if job.due > now), default=None)


def _found(snapshot: Snapshot, where: Where, now: Instant) -> list[StoredJob]:
    """Oldest first."""
    return sorted((job for job in snapshot.jobs.values() if reference.matches(job, where, now)), key=_age)


def _first_of_each(jobs: list[StoredJob], each: int, part: str) -> list[StoredJob]:
    met: Counter[str] = Counter()
    first: list[StoredJob] = []
    for job in jobs:
        met[getattr(job, part)] += 1
        if met[getattr(job, part)] <= each:
            first.append(job)
    return first


def _age(job: StoredJob) -> tuple[Instant, bytes]:
    return job.created, job.id.encode()


def _without_body(job: StoredJob) -> StoredJob:
    return replace(job, payload=b"", cursor=None, result=None, attempts=())


def _place(record: Record) -> bytes:
    return record.key.encode()


def _write(snapshot: Snapshot, write: Write, now: Instant) -> int | None:
    stored = snapshot.records.get(write.kind, {}).get(write.key)
    if stored is not None and not is_live(stored, now):
        stored = None
    if write.version is not None and write.version != (stored.version if stored else 0):
        return None
    version = snapshot.next_version()
    records = snapshot.records.setdefault(write.kind, {})
    if write.value is None:
        records.pop(write.key, None)
    else:
        expires = None if write.lifetime is None else now + write.lifetime
        records[write.key] = Record(write.kind, write.key, write.value, version, expires)
    return version
