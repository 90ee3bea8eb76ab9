"""What a storage driver promises: the verbs. The nouns are in `longshore.values`; both are imported from here.

A driver stores two things, **jobs** and **records**, and decides nothing: no retry policy, no schedule, no hook.
It inherits from `Driver`, is found through the entry-point group ``longshore.drivers``, and is proven by
``longshore conformance URL``. ``longshore.memory``, made of ``longshore.reference``, is the specification in code:
where words and code differ, the code is right.

Rules for every method:

- **Time is the store's.** `Instant` is whole microseconds since 1970-01-01 UTC by the store's own clock, `Duration`
  whole microseconds. Callers send durations; an instant appears only where a person chose it or a job is restored.
  The time of a call is the statement's, never that of the transaction around it. ``clock``, given to `connect`,
  replaces it (for tests).
- **Every repeat is harmless.** After a broken connection nobody knows whether the last call took effect: raise
  `longshore.errors.Unavailable`; the caller sends the same call again, and is answered what happened. A driver and its
  client library repeat nothing by themselves. Only `claim` is not answered again: what a lost one took is found by
  ``select(Where(holder=…))``, perhaps only later, since a call may still run when its connection is gone.
- **Each element stands alone**, in the order given (`update`: see there); one refused element never spoils its
  neighbours. Rows and keys are locked in id order, claims never wait for a lock, and deadlocks are retried inside the
  driver (not within ``tx``).
- **Methods are synchronous and thread-safe**, and survive fork: a child opens its own connection.
- **``tx``** is the application's own open connection or transaction. The call takes part in it, and commits and rolls
  back nothing. A driver that does not promise `Features.TRANSACTIONS` raises `longshore.errors.Unsupported`.
- **Texts** (ids, queues, tasks, keys, kinds, holders) are 1 to 200 bytes of UTF-8 without NUL, compared and ordered by
  their bytes. Payloads, results, cursors, attempts and record values are bytes that a driver never looks into.
- A job of which something cannot be read (somebody's hand was in the store, or its disk is ill) is answered with the
  rest, and with the note `UNREADABLE` that says what: it must neither hide nor hold up others.
- Sizes and numbers of elements are kept within `Limits` by the caller.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from threading import Condition
from typing import Any, ClassVar, Protocol, Self

from longshore.errors import Unsupported
from longshore.values import (
    ATTEMPTS_KEPT,
    ENDED,
    EVERY,
    HELD,
    KEPT_IN_EACH,
    SECOND,
    UNENDED,
    UNREADABLE,
    Answer,
    By,
    Change,
    Claim,
    Claimed,
    Clock,
    Duration,
    Features,
    Fields,
    IfParentFails,
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
    UniqueScope,
    Where,
    Write,
)

__all__ = [
    "ATTEMPTS_KEPT",
    "ENDED",
    "EVERY",
    "HELD",
    "KEPT_IN_EACH",
    "SECOND",
    "UNENDED",
    "UNREADABLE",
    "Answer",
    "By",
    "Change",
    "Claim",
    "Claimed",
    "Clock",
    "Driver",
    "Duration",
    "Features",
    "Fields",
    "IfParentFails",
    "Inserted",
    "Insertion",
    "Instant",
    "Limits",
    "Listener",
    "NewJob",
    "Order",
    "Outcome",
    "Page",
    "Record",
    "Sleeper",
    "State",
    "StoredJob",
    "UniqueScope",
    "Where",
    "Write",
]


class Listener(Protocol):
    """Keeps listening from the moment it was made until it is closed."""

    def wait(self, timeout: float) -> bool:
        """True as soon as a wake-up came since `wait` last returned True (or since the listener was made), False
        after ``timeout`` seconds. A wake-up may be lost, merged or invented: it is a hint."""

    def interrupt(self) -> None:
        """Makes a `wait` in another thread, or the next one, return at once."""

    def close(self) -> None: ...


class Sleeper:
    """A listener that sleeps until it is rung.

    As it stands it is the listener of a store without wake-ups: nobody rings it. A driver that hears for many listeners
    at once derives its own from it."""

    def __init__(self) -> None:
        self.tell: Callable[[], None] | None = None
        """Called at each wake-up, by the thread that hears it, so it must be quick; `wait` then tells of none."""
        self._changed = Condition()
        self._is_rung = False
        self._is_interrupted = False

    def ring(self) -> None:
        """A wake-up came."""
        if self.tell is not None:
            self.tell()
            return
        with self._changed:
            self._is_rung = True
            self._changed.notify_all()

    def wait(self, timeout: float) -> bool:
        with self._changed:
            self._changed.wait_for(lambda: self._is_rung or self._is_interrupted, max(0.0, timeout))
            rung, self._is_rung, self._is_interrupted = self._is_rung, False, False
            return rung

    def interrupt(self) -> None:
        with self._changed:
            self._is_interrupted = True
            self._changed.notify_all()

    def close(self) -> None:
        self.interrupt()


class Driver(ABC):
    """One connected store. Methods stand here in the order in which every driver has them."""

    handles: ClassVar[tuple[str, ...]] = ()
    """Full names of the types of live objects that `connect` takes instead of a URL."""
    features: Features
    limits: Limits
    target: Any
    """What another `connect` takes, with the same options, to reach the same store: a URL, or a live handle."""

    @property
    def parts(self) -> Sequence[Driver]:
        """The stores that it is made of, each with leases of its own: this one alone, unless it is several at once."""
        return (self,)

    def again(self) -> Driver:
        """Another connection to the same store, opened when it is first needed; only `parts` of several are asked."""
        raise Unsupported(f"{type(self).__name__} is no part of several stores: connect to its target again")

    @classmethod
    @abstractmethod
    def connect(cls, target: Any, *, clock: Clock | None = None, **options: Any) -> Self:
        """Opens the store that ``target``, a URL or a live handle, names.

        The query of a URL carries the same options as ``options``; an unknown one raises
        `longshore.errors.ConfigurationError`. ``namespace`` is known by every driver (a letter, then up to 30 letters,
        digits and ``_``, all lower case): stores with different ones do not see each other. A method that needs the
        schema raises `longshore.errors.SchemaError` before `migrate`. `features` are those of this connection."""

    @classmethod
    def serves(cls, handle: Any) -> bool:
        """Whether a live object of one of the types `handles` is of this kind of store: a library may serve several
        kinds by one type."""
        return True

    @abstractmethod
    def close(self) -> None:
        """Closes what `connect` opened, never a handle that was handed in. May be called twice."""

    @abstractmethod
    def migrate(self) -> None:
        """Creates the schema or brings it up to date. Safe when many processes do it at once. The schema holds its
        version and the oldest version that can still read it; what cannot raises `longshore.errors.SchemaError`."""

    @abstractmethod
    def clear(self) -> None:
        """Removes every job and record of this namespace; not one atomic step."""

    @abstractmethod
    def now(self) -> Instant:
        """The store's clock."""

    def name(self, identity: str, *, beside: Sequence[str] = ()) -> str:
        """The id under which a new job, or a group, can be stored: ``identity``, made by the caller, and whatever tells
        this store where it is to live: in one place with all these names (ids, unique keys, keys, a group), else
        wherever there is a store that answers. Asks no store; a store in one place has nothing to add."""
        return identity

    @abstractmethod
    def insert(self, jobs: Sequence[NewJob | StoredJob], *, tx: Any = None) -> list[Inserted]:
        """Stores new jobs, and answers each. Within a call the earlier of two with one id or unique key wins.

        ``created`` rises by one microsecond from element to element. A slot whose ``unique_until`` has passed is taken
        from its holder. A job with a ``key`` takes the lowest free turn, unless all are taken or a job of this key is
        WAITING: then it is stored WAITING. Wakes ``queue:<name>`` for each queue that was given a PENDING job, when the
        insert is committed. It may have to wait for another's open transaction with the same id, unique key or turn: a
        few seconds at most, then it raises `longshore.errors.Unavailable` with ``unknown`` False.

        A store that is several at once stores what it can, and names in ``elsewhere`` of that error the jobs that are
        certainly not stored and may be stored in another place, under another `name`."""

    @abstractmethod
    def claim(self, claims: Sequence[Claim], *, holder: str, limit: int, max_bytes: int | None = None) -> Claimed:
        """Takes due jobs for ``holder``: generation + 1, ``started`` now; RUNNING with attempt + 1, or RESERVED.

        The claims are served in sequence, in one step, while there are not more than ``limit`` jobs and their payloads
        together stay within ``max_bytes`` (the first job always). One claim takes jobs of all its queues together,
        ordered by priority (high first), due, id; the order is exact for one caller; no job goes to two. What others
        are taking or changing at that moment is passed over, and an answer of no job says so: ``passed_over``. First
        makes due jobs findable, earliest first. Jobs past their deadline that it meets go to EXPIRED, as `update` would
        move them, and do not count. A call may stop after it made 1,000 jobs findable, went by 1,000 of other tasks, or
        expired 1,000. Its cost depends on what it takes and, once for each, on the jobs that it makes findable, goes by
        or expires; not on how many are due later, of other tasks or queues, or ended."""

    @abstractmethod
    def update(self, changes: Sequence[Change], *, tx: Any = None) -> list[Answer]:
        """Applies each change whose guards hold, and answers each: first those that take no slot (fields ``turn``,
        ``unique_held``, ``unique_key``), then the others, each in the order given. A settling change of a run that is
        the job's ``settled`` one, and a move of the run that holds the job to the state it stands in, is REPEATED.
        Wakes nobody."""

    def exchange(
        self,
        changes: Sequence[Change],
        claims: Sequence[Claim],
        *,
        holder: str,
        limit: int,
        max_bytes: int | None = None,
    ) -> tuple[list[Answer], Claimed]:
        """`update`, then `claim`; a driver may make it one round trip and one commit. The claim need not see what
        these changes released."""
        answers = self.update(changes) if changes else []
        return answers, self.claim(claims, holder=holder, limit=limit, max_bytes=max_bytes)

    @abstractmethod
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
        """Jobs by (created, id). With ``where.holder`` it is current. ``each``: of each of ``where.keys``, or else of
        ``where.groups``, at most so many, the first in this order. Without ``body``: payload ``b""``; cursor and
        result None, attempts empty."""

    @abstractmethod
    def count(self, by: By, where: Where = EVERY) -> dict[tuple[Any, ...], int]:
        """How many jobs there are of each combination; exact when nothing moves; zeros are left out. ``where`` may
        give queues, tasks and states; holder only with `By.HOLDER`, groups only with `By.GROUP_STATE`."""

    @abstractmethod
    def delete(self, where: Where, *, limit: int = 1_000) -> list[str]:
        """Removes at most ``limit`` jobs with all that is theirs, oldest first, and answers their ids. Leaves held
        jobs, and jobs that hold the slot of a unique period still running."""

    @abstractmethod
    def read(
        self,
        kind: str,
        keys: Sequence[str] | None = None,
        *,
        prefix: str = "",
        limit: int = 1_000,
        after: str | None = None,
    ) -> list[Record]:
        """The live records of ``keys``, or those whose key begins with ``prefix`` and follows ``after``; by key."""

    @abstractmethod
    def write(self, writes: Sequence[Write], *, tx: Any = None) -> list[int | None]:
        """Writes records, each on its own: answers the new version, an erased record's too, or None where the version
        did not match. For one key a version is larger than any before, also after an erasure and an expiry."""

    def wake(self, topics: Sequence[str]) -> None:
        """Wakes who listens to any of ``topics``. Never raises for a listener that has gone."""
        return

    def listen(self, topics: Sequence[str]) -> Listener:
        """Listens to ``topics`` from now on."""
        return Sleeper()

    def transaction(self) -> AbstractContextManager[Any]:
        """A transaction on a connection of its own, to be given as ``tx``: commits at the end of the block, rolls back
        on an exception. For applications without a connection of their own, and for the kit."""
        raise Unsupported(f"{type(self).__name__} has no transactions; leave out tx, or choose a store that has them")

    def examined(self) -> int | None:
        """Rows or keys examined by this connection so far, None where the store cannot tell. For the kit alone."""
        return None
