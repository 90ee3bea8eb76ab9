"""Leases: how a process shows that it lives, and how the jobs of one that does not come free (docs/design/leases.md).

A holder is one incarnation of one process. Its lease is one record of kind ``holder`` that lives for the lease's time
and is renewed by compare-and-set, so that there is no write for each job. A rescuer must create that same record anew,
which succeeds only after the lease has lapsed, and for one of them: the late holder learns it at its next renewal.
"""

from __future__ import annotations

import logging
import os
import socket
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from itertools import count, islice
from typing import Final

import msgspec
from msgspec import Struct

from longshore.contract import (
    HELD,
    Answer,
    By,
    Change,
    Duration,
    Fields,
    Instant,
    Outcome,
    Record,
    State,
    StoredJob,
    Where,
    Write,
)
from longshore.durations import microseconds
from longshore.errors import LeaseLost, StoreError, Unavailable
from longshore.following import STEPS, ended, follow
from longshore.guard import Guard
from longshore.ids import IdMaker
from longshore.info import Attempt, ended_topic
from longshore.motion import name_of
from longshore.retry import rescue_delay
from longshore.states import ABANDON, RESCUE, RESCUE_CANCELLED, RESCUE_RESERVED, move

_log = logging.getLogger("longshore.worker")
KIND: Final = "holder"
VALID_SHARE: Final = 0.8
"""The share of the lease after which a holder that could not renew it stops by itself."""
_BATCH: Final = 500
_MARK: Final = 8


class HolderRecord(Struct, frozen=True):
    """What the record of a holder says."""

    host: str
    pid: int
    beat: int
    queues: tuple[str, ...] = ()
    slots: int = 0
    rescued_by: str | None = None
    tasks: tuple[str, ...] = ()
    release: str = ""
    status: str = ""
    busy: int = 0
    has_inbox: bool = False
    """Whether it obeys messages: a worker does, who fetches jobs by hand does not."""


class Doing(Struct, frozen=True):
    """What a holder is at, in a word, of how many slots, and how many jobs it has."""

    status: str = ""
    slots: int = 0
    busy: int = 0


def holder_of(record: Record) -> HolderRecord | None:
    """What the record of a holder says; None if it cannot be read."""
    try:
        return msgspec.json.decode(record.value, type=HolderRecord)
    except (msgspec.MsgspecError, ValueError) as error:
        _log.warning("the record of holder %s cannot be read: %s", record.key, error)
        return None


class Lease:
    """The lease of this process; begun by one thread, renewed by another.

    Attributes:
        worker: the name of whoever it is of; a worker has a lease of this name at each of its stores.
        holder: under which name jobs are held.
        mark: of several stores the one that it is at; set before it begins.

    Args:
        length: seconds.
        worker: as above; a new name by default.
        queues: shown to operators.
        tasks: gives the names of the tasks it knows, shown too.
        release: which release of the application runs, shown too.
        doing: gives what it is at whenever it is renewed.
        has_inbox: whether it obeys messages.
        announce: told each new name before it holds anything.
        monotonic: the process's own clock, in seconds.
    """

    def __init__(
        self,
        length: float,
        *,
        worker: str | None = None,
        queues: tuple[str, ...] = (),
        tasks: Callable[[], Iterable[str]] = tuple,
        release: str = "",
        doing: Callable[[], Doing] = Doing,
        has_inbox: bool = False,
        announce: Callable[[str], None] = lambda holder: None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.worker = worker or new_worker()
        self.holder = ""
        self.mark = ""
        self._length = microseconds(length)
        self._tasks = tasks
        self._doing = doing
        self._announce = announce
        self._monotonic = monotonic
        self._about = HolderRecord(socket.gethostname(), os.getpid(), 0, queues, release=release, has_inbox=has_inbox)
        self._incarnations = count(1)
        self._lock = threading.Lock()
        self._version = 0
        self._beat = 0
        self._renewed = float("-inf")
        self._lost = True

    def begin(self, store: Guard) -> None:
        """Begins a lease under a new name."""
        with self._lock:
            self.holder = f"{self.worker}.{next(self._incarnations)}{self.mark and '-'}{self.mark}"
            self._version = 0
            self._announce(self.holder)
            self._renew(store)
            self._lost = False

    def renew(self, store: Guard) -> None:
        """Renews it, also after it has lapsed, if nobody has rescued its jobs.

        Raises:
            LeaseLost: somebody has.
        """
        with self._lock:
            if self._lost:
                return
            try:
                self._renew(store)
            except LeaseLost:
                self._lost = True
                raise

    def end(self, store: Guard) -> None:
        """Ends it, when nothing is held any more."""
        with self._lock:
            store.write([Write(KIND, self.holder, None, self._version)])
            self._lost = True

    def is_lost(self) -> bool:
        """Whether a new one must be begun."""
        return self._lost

    def is_valid(self) -> bool:
        """Whether it was renewed so lately that nobody can have rescued its jobs, by the process's own clock."""
        return self.seconds_valid() > 0

    def seconds_valid(self) -> float:
        """How long it is valid yet unless it is renewed; nothing when it is over or lost."""
        if self._lost:
            return 0.0
        return max(0.0, self._renewed + VALID_SHARE * self._length / 1e6 - self._monotonic())

    def _renew(self, store: Guard) -> None:
        asked = self._monotonic()
        self._beat += 1
        doing = self._doing()
        about = msgspec.structs.replace(
            self._about,
            beat=self._beat,
            tasks=tuple(sorted(self._tasks())),
            status=doing.status,
            slots=doing.slots,
            busy=doing.busy,
        )
        value = msgspec.json.encode(about)
        version = self._write(store, value, self._version)
        if version is None:
            stored = store.read(KIND, [self.holder])
            found = holder_of(stored[0]) if stored else None
            if stored and (found is None or found.rescued_by is not None):
                raise LeaseLost(f"the jobs of {self.holder} were rescued: its lease had lapsed")
            version = self._write(store, value, stored[0].version if stored else 0)
            if version is None:
                raise LeaseLost(f"the jobs of {self.holder} are being rescued: its lease had lapsed")
        self._version, self._renewed = version, asked

    def _write(self, store: Guard, value: bytes, version: int) -> int | None:
        return store.write([Write(KIND, self.holder, value, version, self._length)])[0]


def new_worker() -> str:
    """A name that no worker ever had."""
    return f"{socket.gethostname()[:60]}.{os.getpid()}.{IdMaker()()[-8:]}"


def mark_of(store: Guard) -> str:
    """The mark of one of several stores; of one that stands alone, an empty text."""
    return "" if store.whole is store else name_of(store)[:_MARK]


def mark_in(holder: str) -> str:
    """At which of several stores somebody holds jobs under this name."""
    return holder.rpartition(".")[2].partition("-")[2]


def store_of(store: Guard, holder: str) -> Guard:
    """The store, or that part of it, at which somebody holds jobs under this name.

    Raises:
        StoreError: it did not answer.
    """
    mark = mark_in(holder)
    if not mark:
        return store
    failure: StoreError | None = None
    for part in store.parts:
        try:
            if mark_of(part) == mark:
                return part
        except StoreError as error:
            failure = error
    raise failure or Unavailable(f"none of the stores is that of {holder}", unknown=False)


def worker_of(holder: str) -> str:
    """The name of the worker that holds jobs under this one: it outlives a lost lease."""
    return holder.rpartition(".")[0]


def worker_topic_of(worker: str) -> str:
    """What is woken when a worker is to look at what it holds, and at its messages."""
    return f"worker:{worker}"


def worker_topic(holder: str) -> str:
    """The same, of the worker that holds jobs under this name."""
    return worker_topic_of(worker_of(holder))


def living_workers(store: Guard) -> dict[str, str]:
    """Who lives and obeys: the name of the worker by that under which it holds jobs; a thousand at most."""
    return {
        record.key: worker_of(record.key)
        for record in store.read(KIND)
        if msgspec.json.decode(record.value, type=HolderRecord).has_inbox
    }


def idle_workers(store: Guard, queues: Iterable[str]) -> int:
    """How many living workers of any of these queues had a free slot at their last heartbeat, of a thousand at most."""
    wanted = set(queues)
    idle = 0
    for record in store.read(KIND):
        about = holder_of(record)
        if about is not None and about.busy < about.slots and not wanted.isdisjoint(about.queues):
            idle += 1
    return idle


def lapsed_holders(store: Guard) -> list[str]:
    """Who holds jobs without a lease."""
    holders = [str(holder) for (holder,) in store.count(By.HOLDER)]
    batches = (holders[start : start + _BATCH] for start in range(0, len(holders), _BATCH))
    alive = {record.key for batch in batches for record in store.read(KIND, batch)}
    return [holder for holder in holders if holder not in alive]


class Rescued(Struct, frozen=True):
    """What a rescue did."""

    pending: int = 0
    ended: int = 0


def end_lease(store: Guard, holder: str) -> None:
    """Ends the lease of a process that is known to be dead, so that it can be rescued at once."""
    store.write([Write(KIND, holder, None)])


def rescue(store: Guard, holder: str, *, by: str, lease: Duration) -> Rescued | None:
    """Frees the jobs of a holder whose lease has lapsed; None if it lives, or another rescues it.

    A rescuer that dies half-way leaves the rest to the next, after ``lease``; one whom an open transaction of the dead
    keeps from it, at once.
    """
    claim = msgspec.json.encode(HolderRecord(socket.gethostname(), os.getpid(), 0, rescued_by=by))
    version = store.write([Write(KIND, holder, claim, 0, lease)])[0]
    if version is None:
        return None
    try:
        return _freed(store, holder)
    except Unavailable as error:
        # Raises the same where it is the store that is away: then the next rescuer waits for a lease.
        store.write([Write(KIND, holder, None, version)])
        _log.warning("the jobs of %s are rescued later: %s", holder, error)
        return None


def _freed(store: Guard, holder: str) -> Rescued:
    now = store.now()
    pending = over = 0
    for jobs in _batches(store, holder):
        answered = list(_moved(store, jobs, now))
        moved = [(job, change) for job, change, _ in answered]
        again = [job for job, change in moved if change.to is State.PENDING]
        pending += len(again)
        over += len(moved) - len(again)
        store.wake(
            sorted({f"queue:{job.queue}" for job in again})
            + [ended_topic(job.id) for job, change in moved if change.to is not State.PENDING]
        )
        follow(store, (ended(job, answer) for job, _, answer in answered), most=STEPS)
    return Rescued(pending, over)


def _moved(store: Guard, jobs: list[StoredJob], now: Instant) -> Iterator[tuple[StoredJob, Change, Answer]]:
    changes = [_rescue_change(job, now) for job in jobs]
    answered = list(zip(jobs, changes, store.update(changes), strict=True))
    # Somebody asked to cancel after the jobs were read.
    late = [job for job, change, answer in answered if answer.outcome is Outcome.REFUSED and answer.cancel_asked]
    cancels = [move(RESCUE_CANCELLED, job) for job in late]
    answered += zip(late, cancels, store.update(cancels) if cancels else [], strict=True)
    return (each for each in answered if each[2].outcome is Outcome.MOVED)


def _batches(store: Guard, holder: str) -> Iterator[list[StoredJob]]:
    jobs = store.each(Where(holder=holder, states=tuple(HELD)), body=False)
    while batch := list(islice(jobs, _BATCH)):
        yield batch


def _rescue_change(job: StoredJob, now: Instant) -> Change:
    if job.cancel_asked:
        return move(RESCUE_CANCELLED, job)
    if job.state is State.RESERVED:
        return move(RESCUE_RESERVED, job)
    record = Attempt(
        "crashed", job.attempt, job.generation, job.holder or "", job.started or now, now, "its worker went away"
    )
    fields: Fields = {"attempt_record": msgspec.json.encode(record)}
    if job.crashes + 1 > job.max_crashes:
        return move(ABANDON, job, fields)
    fields["delay"] = microseconds(rescue_delay(job.crashes + 1))
    return move(RESCUE, job, fields)
