"""The nouns of the contract: what is stored, and what goes in and out of a driver's methods.

All are immutable. Jobs and records are the only things stored; the rest are questions and answers. Those that come in
great numbers are not looked at by the garbage collector (``gc=False``): they hold plain data, so they form no cycles.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from enum import Enum, Flag, IntEnum, auto
from typing import Any, Final, TypeAlias, TypedDict

from msgspec import Struct

Instant: TypeAlias = int
Duration: TypeAlias = int
Clock: TypeAlias = Callable[[], Instant]
SECOND: Final[Duration] = 1_000_000
ATTEMPTS_KEPT: Final = 20
UNREADABLE: Final = "longshore.unreadable"
"""The note that a driver gives a job of which it cannot read everything: it says what. Nobody runs such a job."""
KEPT_IN_EACH: Final = frozenset({"holder", "moving"})
"""The kinds of records of which each of several stores has its own: leases, which its own clock judges, and its seal.
Who writes one unconditionally writes it in all; who reads finds what is in any."""


class State(IntEnum):
    """Where a job stands. The numbers are stored; they never change."""

    WAITING = 1  # For its parents, or for its turn.
    PENDING = 2  # May be claimed once it is due.
    RESERVED = 3  # Locked by hand, not started.
    RUNNING = 4
    SUCCEEDED = 5
    FAILED = 6  # Its attempts are used up, or it was discarded.
    CANCELLED = 7
    EXPIRED = 8  # Not begun in time.
    ABANDONED = 9  # Given up without an answer: purged, or its workers kept dying.


HELD: Final = frozenset({State.RESERVED, State.RUNNING})
UNENDED: Final = frozenset({State.WAITING, State.PENDING}) | HELD
ENDED: Final = frozenset(State) - UNENDED


class Features(Flag):
    """What a connected driver promises beyond the contract; the kit tests each one, and that each other is refused."""

    DURABLE = auto()  # What was answered survives a crash of the store's process and of the machine.
    SHARED = auto()  # Several processes may use the store at once.
    TRANSACTIONS = auto()  # ``tx`` commits and rolls back with the caller.
    WAKEUPS = auto()  # `Driver.listen` returns within milliseconds of a wake-up from any process.
    ONE_PLACE = auto()  # All jobs stand in one exact order, and a job may have any names together.


class Limits(Struct, frozen=True):
    """What one call may carry, and how fine the store's clock is."""

    payload: int = 64 * 1024 * 1024  # Bytes of a payload, result or record value.
    claims: int = 16  # Claims of one call.
    batch: int = 1_000  # Elements of one call.
    batch_bytes: int = 16 * 1024 * 1024  # Bytes of all payloads, results and values of one call.
    resolution: Duration = 1


class UniqueScope(IntEnum):
    """How long a job holds its unique key."""

    START = 1  # Until it is claimed to run.
    END = 2  # Until it ends.
    PERIOD = 3  # Until `StoredJob.unique_until`, whatever becomes of the job.


class IfParentFails(IntEnum):
    """What becomes of a job that is not lax when a parent ends other than by success. No driver looks into it."""

    CANCEL = 1
    WAIT = 2  # It waits until somebody retries the parent.
    REMOVE = 3  # It is removed, as if it had never been: a call for the parent's success, or, lax, for its end.
    RUN = 4  # Only then it runs; else it is removed: a call for the parent's failure.


class NewJob(Struct, frozen=True, gc=False):
    """A job to insert."""

    id: str
    queue: str
    task: str
    payload: bytes
    codec: str = "json"
    digest: bytes = b""  # Up to 32 bytes by which the core tells a repeat from another job with the same id.
    priority: int = 0  # -32768 to 32767; higher is claimed first.
    delay: Duration = 0  # Due so long after the insert.
    due: Instant | None = None  # Due then, instead of ``delay``.
    expires_in: Duration | None = None
    expires: Instant | None = None  # A deadline to begin any run; instead of ``expires_in``.
    waiting: bool = False  # Begins WAITING, not PENDING: the core will release it.
    max_attempts: int | None = 5  # None: no limit.
    max_crashes: int = 3
    unique_key: str | None = None
    unique_scope: UniqueScope = UniqueScope.END
    unique_for: Duration | None = None  # The length of `UniqueScope.PERIOD`.
    group: str | None = None
    key: str | None = None  # Jobs of one key run in order of insertion, ``turns`` of them at a time.
    turns: int = 1
    parents: tuple[str, ...] = ()
    lax: bool = False
    if_parent_fails: IfParentFails = IfParentFails.CANCEL
    notes: Mapping[str, Any] = {}
    """A JSON object: texts without NUL and lone surrogates, finite numbers, integers within ±2^53. None is left out."""
    awaited: bool = False


class StoredJob(Struct, frozen=True, gc=False):
    """A job as it is stored. Inserting one restores it as it stands, in any state (for copies of stores)."""

    id: str
    queue: str
    task: str
    state: State
    priority: int
    created: Instant
    due: Instant
    codec: str
    payload: bytes
    digest: bytes
    generation: int = 0  # Rises with every claim and every manual retry, and with nothing else.
    attempt: int = 0  # Runs that count against ``max_attempts``.
    max_attempts: int | None = 5
    crashes: int = 0
    max_crashes: int = 3
    snoozes: int = 0
    holder: str | None = None  # Who has it RESERVED or RUNNING: one incarnation of one process.
    started: Instant | None = None  # When the last claim, or start of a reserved job, was.
    ended: Instant | None = None
    expires: Instant | None = None
    settled: int | None = None  # The generation of the last run that settled itself, and by whom it was held.
    settled_by: str | None = None
    cancel_asked: bool = False
    awaited: bool = False  # Somebody waits for its end.
    releases: bool = False
    """It ended while WAITING jobs named it as a parent, or waited for the turn it had. The core clears it."""
    unique_key: str | None = None
    unique_held: bool = False  # Whether it has the slot of its ``unique_key`` now.
    unique_scope: UniqueScope = UniqueScope.END
    unique_until: Instant | None = None
    group: str | None = None
    key: str | None = None
    turns: int = 1
    turn: int | None = None  # Which of the slots 0 to ``turns`` - 1 of its key it holds, if any.
    parents: tuple[str, ...] = ()
    lax: bool = False
    if_parent_fails: IfParentFails = IfParentFails.CANCEL
    notes: Mapping[str, Any] = {}
    cursor: bytes | None = None
    result_codec: str | None = None
    result: bytes | None = None
    tries: int = 0  # How many attempts were ever appended.
    attempts: tuple[bytes, ...] = ()  # The last `ATTEMPTS_KEPT` of them, oldest first.


class Insertion(Enum):
    """What became of an inserted job."""

    INSERTED = auto()
    REPEATED = auto()  # A job with this id is stored already. The id is checked before the unique key.
    HELD = auto()  # Another job holds the unique key, or the turn of a restored job; nothing was stored.


class Inserted(Struct, frozen=True, gc=False):
    """The answer to one inserted job."""

    outcome: Insertion
    state: State = State.PENDING  # REPEATED: the stored job's.
    held_by: str | None = None  # HELD: the holder's id (None: it has just left).
    task: str | None = None  # REPEATED: the stored job's.
    digest: bytes | None = None


class Claim(Struct, frozen=True):
    """Which jobs a worker would take."""

    queues: tuple[str, ...] = ()
    tasks: frozenset[str] | None = None  # Only of these tasks; None: of any.
    min_priority: int | None = None
    id: str | None = None  # Only this job: it replaces queues and order; state, due, expiry and tasks still hold.
    limit: int | None = None  # At most so many by this claim, within the call's own limit.
    reserve: bool = False  # To RESERVED, not RUNNING.


class Claimed(Struct, frozen=True):
    """The answer to a list of claims."""

    jobs: list[StoredJob]  # With payload, cursor and notes; without attempts and result.
    expired: list[str] = []  # Jobs whose deadline had passed, met on the way and moved to EXPIRED.
    next_due: Duration | None = None
    """When no job is answered: none of these queues, whatever its task and priority, becomes due sooner (None: none is
    stored); 0: ask again, the call stopped before it had looked at all that is due."""
    passed_over: bool = False
    """When no job is answered: others are at jobs that are due, perhaps to take them; ask again in a moment."""


class Fields(TypedDict, total=False):
    """What a change may set besides the state: the closed list. What is not named stays."""

    queue: str
    priority: int
    delay: Duration  # ``due`` becomes now + delay.
    due: Instant
    expires: Instant | None
    attempt: int
    max_attempts: int | None
    crashes: int
    max_crashes: int
    snoozes: int
    codec: str
    payload: bytes
    digest: bytes
    result_codec: str | None
    result: bytes | None
    cursor: bytes | None
    notes: Mapping[str, Any]  # Merged: each top-level key replaces the stored one, a value None removes it.
    parents: tuple[str, ...]
    lax: bool
    if_parent_fails: IfParentFails
    cancel_asked: bool
    awaited: bool
    releases: bool
    unique_key: str | None
    unique_until: Instant | None
    unique_held: bool
    """True takes the slot, or the answer is HELD and nothing changed; False frees it. Always False without a key."""
    turn: int  # Takes this slot of the job's key, or the answer is HELD and nothing changed.
    attempt_record: bytes  # Appended to ``attempts``, of which the last `ATTEMPTS_KEPT` stay; ``tries`` rises by one.


class Change(Struct, frozen=True, gc=False):
    """One change of one job, applied only where every guard that is given holds. An id stands once in a call.

    Moving to an end sets ``ended``, clears ``holder``, frees the turn and the unique slot (not that of a PERIOD still
    running), and sets ``releases`` if there is somebody to release. Moving to WAITING or PENDING clears ``holder``,
    ``ended``, ``result`` and ``releases``; to RUNNING sets ``started``, and frees the unique slot of scope START.
    """

    id: str
    to: State | None = None
    fields: Fields = {}
    states: frozenset[State] | None = None
    generation: int | None = None
    holder: str | None = None
    cancel_asked: bool | None = None
    settles: bool = False
    """The run (generation, holder) settles itself by this change; the job remembers it as ``settled``."""
    renews: bool = False  # Generation + 1: a manual retry.


class Outcome(Enum):
    """What became of a change."""

    MOVED = auto()
    REPEATED = auto()
    """The guards fail, but this very run made its change before: it settled itself, or stands in ``to`` already."""
    REFUSED = auto()
    HELD = auto()  # The unique slot or the turn it should take is another job's.


class Answer(Struct, frozen=True, gc=False):
    """The answer to one change: what became of it, and how the job stands now."""

    outcome: Outcome
    state: State | None = None  # None: there is no such job.
    generation: int = 0
    cancel_asked: bool = False
    awaited: bool = False
    releases: bool = False
    """`StoredJob.releases`. A job inserted at that moment may be missed: who inserts WAITING jobs looks at parents and
    turn again once the insert is committed, and one of the two sees the other."""


class Where(Struct, frozen=True):
    """Which jobs: all that is given must hold. `longshore.reference.matches` says it in code."""

    ids: Sequence[str] | None = None
    queues: Sequence[str] | None = None
    tasks: Sequence[str] | None = None
    states: Sequence[State] | None = None
    holder: str | None = None
    groups: Sequence[str] | None = None
    parents: Sequence[str] | None = None  # At least one of these is among its parents.
    keys: Sequence[str] | None = None
    unique_key: str | None = None
    notes: Mapping[str, Any] | None = None
    """Each top-level key is there with an equal value: a text, an integer or a boolean, equal in type too."""
    releases: bool | None = None
    due: Duration | None = None  # Due so long ago or longer; the same for the next two.
    expired: Duration | None = None
    ended: Duration | None = None
    changed: Duration | None = None  # Held now, or created or ended so long ago or less.


EVERY: Final = Where()


class Order(Enum):
    """By (created, id)."""

    NEWEST = auto()
    OLDEST = auto()


class Page(Struct, frozen=True):
    """Some of the jobs that were selected."""

    jobs: list[StoredJob]
    after: str | None = None
    """Opaque; None: this was the last page. A page may be short, even empty, while it carries one."""


class By(Enum):
    """What jobs are counted by; the values are the parts of an answer's keys, in order."""

    QUEUE_STATE = ("queue", "state")
    QUEUE_TASK_STATE = ("queue", "task", "state")
    HOLDER = ("holder",)  # Only held jobs.
    GROUP_STATE = ("group", "state")  # Only jobs with a group.


class Record(Struct, frozen=True, gc=False):
    """A small versioned document."""

    kind: str
    key: str
    value: bytes
    version: int
    expires: Instant | None = None


class Write(Struct, frozen=True, gc=False):
    """One write of one record. A record stands once in a call."""

    kind: str
    key: str
    value: bytes | None  # None erases.
    version: int | None = None
    """Only if the stored version is this one; 0: only if there is none; None: whatever is there."""
    lifetime: Duration | None = None  # The record is gone so long after the write; None: it stays.
