"""What the random sequences are made of: few ids, queues and keys, so that they clash.

Drafts are values whose instants are offsets from the time of the call, and whose guards name a run instead of giving
it; both are resolved when the call is made.
"""

from __future__ import annotations

from typing import Any, Literal, TypeVar

from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy
from msgspec import Struct

from longshore.contract import (
    ENDED,
    HELD,
    SECOND,
    By,
    Claim,
    Duration,
    Fields,
    IfParentFails,
    NewJob,
    Order,
    State,
    StoredJob,
    UniqueScope,
    Where,
)

T = TypeVar("T")

IDS = tuple("abcdefghijkl")
HOLDERS = ("anna", "bert")
QUEUES = ("x", "y")
TASKS = ("r", "s")
UNIQUE_KEYS = ("u", "v")
KINDS = ("k", "l")
RECORD_KEYS = ("a", "ab", "b")
OFFSETS = (-2 * SECOND, -1, 0, 1, SECOND, 3 * SECOND)
DURATIONS = (0, 1, SECOND, 3 * SECOND)
STEPS = (0.000_001, 0.5, 1.0, 3.0, 20.0)


def some(*values: T) -> SearchStrategy[T]:
    """One of these."""
    return st.sampled_from(values)


def maybe(strategy: SearchStrategy[T]) -> SearchStrategy[T | None]:
    """Mostly nothing: `one_of` would count several `none` as one."""
    return st.integers(0, 5).flatmap(lambda number: strategy if number == 5 else st.none())


def perhaps(strategy: SearchStrategy[T]) -> SearchStrategy[T | None]:
    """As often as not."""
    return st.none() | strategy


def few(*values: T) -> SearchStrategy[list[T]]:
    """Some of these, each once."""
    return st.lists(st.sampled_from(values), max_size=2, unique=True)


NOTES: SearchStrategy[dict[str, Any]] = st.dictionaries(
    some("m", "n"), some(1, 2, "text", True, None, [1, {"x": None}], {"deep": {"y": 1}}), max_size=2
)
PAYLOADS = some(b"", b"\x00\xff", b"p" * 60, b"q" * 70)

NEW_JOBS = st.builds(
    NewJob,
    id=some(*IDS),
    queue=some(*QUEUES),
    task=some(*TASKS),
    payload=PAYLOADS,
    codec=some("json", "pickle"),
    digest=some(b"", b"d"),
    priority=some(0, 1, -1),
    delay=some(0, 0, 0, SECOND),
    due=maybe(some(*OFFSETS)),
    expires_in=maybe(some(*DURATIONS)),
    expires=maybe(some(*OFFSETS)),
    waiting=some(False, False, False, False, False, True),
    max_attempts=some(5, None),
    unique_key=perhaps(some(*UNIQUE_KEYS)),
    unique_scope=some(UniqueScope.END, UniqueScope.START, UniqueScope.PERIOD),
    unique_for=perhaps(some(*DURATIONS)),
    group=maybe(some("g", "h")),
    key=maybe(some("k", "l")),
    turns=some(1, 2),
    parents=few(*IDS).map(tuple),
    lax=st.booleans(),
    if_parent_fails=some(*IfParentFails),
    notes=NOTES,
    awaited=st.booleans(),
)


@st.composite
def stored_jobs(draw: DrawFn) -> StoredJob:
    """A job to restore, as it may have stood in another store."""
    state = draw(some(*State))
    held, ended = state in HELD, state in ENDED
    key = draw(maybe(some(*UNIQUE_KEYS)))
    return StoredJob(
        id=draw(some(*IDS)),
        queue=draw(some(*QUEUES)),
        task=draw(some(*TASKS)),
        state=state,
        priority=draw(some(0, 1)),
        created=draw(some(*OFFSETS)),
        due=draw(some(*OFFSETS)),
        codec="json",
        payload=draw(PAYLOADS),
        digest=b"",
        generation=draw(some(1, 2)) if held else draw(some(0, 2)),
        attempt=draw(some(0, 2)),
        holder=draw(some(*HOLDERS)) if held else None,
        started=draw(some(*OFFSETS)) if held else None,
        ended=draw(some(*OFFSETS)) if ended else None,
        expires=draw(maybe(some(*OFFSETS))),
        settled=1 if ended else None,
        settled_by=draw(some(*HOLDERS)) if ended else None,
        unique_key=key,
        unique_held=key is not None and not ended,
        group=draw(maybe(some("g"))),
        parents=tuple(draw(few(*IDS))),
        notes=draw(NOTES),
        result=b"result" if ended else None,
        releases=draw(st.booleans()) if ended else False,
        attempts=draw(some((), (b"1", b"2"))),
        tries=2,
    )


CLAIMS = st.lists(
    st.builds(
        Claim,
        queues=st.lists(some(*QUEUES), min_size=1, max_size=2, unique=True).map(tuple),
        tasks=perhaps(st.frozensets(some(*TASKS), max_size=1)),
        min_priority=perhaps(some(-1, 0, 1)),
        id=maybe(some(*IDS)),
        limit=maybe(some(0, 1, 2)),
        reserve=some(False, False, True),
    ),
    min_size=1,
    max_size=2,
)

Whose = Literal["anybody", "run", "old run", "stranger"]


class ChangeDraft(Struct, frozen=True):
    """A change whose run is named, not given."""

    id: str
    to: State | None = None
    fields: Fields = {}
    states: frozenset[State] | None = None
    whose: Whose = "anybody"
    cancel_asked: bool | None = None
    settles: bool = False
    renews: bool = False


PLAIN_FIELDS: dict[str, SearchStrategy[Any]] = {
    "queue": some(*QUEUES),
    "priority": some(-1, 0, 1),
    "delay": some(0, SECOND),
    "due": some(*OFFSETS),
    "expires": maybe(some(*OFFSETS)),
    "attempt": some(0, 3),
    "max_attempts": some(None, 3),
    "crashes": some(0, 1),
    "max_crashes": some(3, 4),
    "snoozes": some(1),
    "codec": some("json", "pickle"),
    "payload": PAYLOADS,
    "digest": some(b"e"),
    "cursor": some(None, b"c"),
    "notes": st.dictionaries(some("m", "n"), some(None, 3, {"deep": {"z": None}}, {"other": 1}), max_size=2),
    "parents": few(*IDS).map(tuple),
    "lax": st.booleans(),
    "if_parent_fails": some(*IfParentFails),
    "cancel_asked": st.booleans(),
    "awaited": st.booleans(),
    "unique_until": some(None, *OFFSETS),
    "attempt_record": some(b"1", b"2"),
}
RESULT_FIELDS = {"result": some(None, b"r"), "result_codec": some(None, "json")}
SLOT_FIELDS = {"unique_key": some(None, *UNIQUE_KEYS), "unique_held": st.booleans(), "turn": some(0, 1)}
STATES = maybe(st.frozensets(some(*State), max_size=4))
WHOSE: SearchStrategy[Whose] = some("anybody", "run", "run", "old run", "stranger")


def fields(known: dict[str, SearchStrategy[Any]], most: int = 5) -> SearchStrategy[Any]:
    """Values for a few of the fields."""
    names = st.lists(st.sampled_from(sorted(known)), max_size=most, unique=True)
    return names.flatmap(lambda chosen: st.fixed_dictionaries({name: known[name] for name in chosen}))


SETTLE = st.builds(
    ChangeDraft,
    id=some(*IDS),
    to=some(*sorted(ENDED)),
    fields=fields({name: PLAIN_FIELDS[name] for name in ("notes", "cursor", "attempt_record")} | RESULT_FIELDS),
    whose=some("run", "run", "run", "old run", "stranger"),
    states=some(HELD, None, frozenset({State.RUNNING})),
    settles=st.just(True),
)
RETRY_LATER = st.builds(
    ChangeDraft,
    id=some(*IDS),
    to=st.just(State.PENDING),
    fields=some(*({"delay": 5 * SECOND, "attempt_record": record} for record in (b"1", b"2"))),
    whose=some("run", "run", "old run"),
    states=some(HELD, None),
    settles=st.just(True),
)
MOVE = st.builds(
    ChangeDraft,
    id=some(*IDS),
    to=some(State.WAITING, State.PENDING, State.PENDING, State.CANCELLED, State.EXPIRED, State.ABANDONED),
    fields=fields(PLAIN_FIELDS),
    states=STATES,
    whose=WHOSE,
    cancel_asked=maybe(st.booleans()),
)
EDIT = st.builds(
    ChangeDraft,
    id=some(*IDS),
    fields=fields(PLAIN_FIELDS | RESULT_FIELDS | {"releases": st.just(False)}, most=8),
    states=STATES,
    whose=WHOSE,
    cancel_asked=maybe(st.booleans()),
)
SLOT = st.builds(
    ChangeDraft,
    id=some(*IDS),
    to=some(None, State.PENDING, State.WAITING),
    fields=fields(SLOT_FIELDS | {"priority": some(0, 1)}),
    states=STATES,
    whose=some("anybody", "anybody", "run"),
    renews=st.booleans(),
)
START = st.builds(
    ChangeDraft,
    id=some(*IDS),
    to=st.just(State.RUNNING),
    fields=fields({"attempt": some(1, 2)}),
    states=st.just(frozenset({State.RESERVED})),
    whose=some("run", "run", "old run", "stranger"),
)


def drafts(*strategies: SearchStrategy[ChangeDraft]) -> SearchStrategy[list[ChangeDraft]]:
    """Changes of different jobs."""
    return st.lists(st.one_of(*strategies), min_size=1, max_size=4, unique_by=lambda draft: draft.id)


CHANGES = drafts(SETTLE, SETTLE, RETRY_LATER, MOVE, EDIT, SLOT, START)
SETTLING = drafts(SETTLE, RETRY_LATER)

COUNTED = {
    "queues": maybe(few(*QUEUES)),
    "tasks": maybe(few(*TASKS)),
    "states": maybe(st.lists(some(*State), max_size=3, unique=True)),
}
HOLDER = {"holder": maybe(some(*HOLDERS))}
GROUPS = {"groups": maybe(few("g", "h"))}
ASKED = (COUNTED | HOLDER | GROUPS) | {
    "ids": maybe(few(*IDS)),
    "parents": maybe(few(*IDS)),
    "keys": maybe(few("k", "l")),
    "releases": maybe(st.booleans()),
    "unique_key": maybe(some(*UNIQUE_KEYS)),
    "notes": maybe(st.dictionaries(some("m", "n"), some(1, 2, "text", True), max_size=1)),
    "due": maybe(some(*DURATIONS)),
    "expired": maybe(some(*DURATIONS)),
    "ended": maybe(some(*DURATIONS)),
    "changed": maybe(some(*DURATIONS)),
}
WHERES = st.builds(Where, **ASKED)
ORDERS = some(*Order)


def question(method: str, **arguments: SearchStrategy[Any]) -> SearchStrategy[tuple[str, dict[str, Any]]]:
    """A method that changes nothing, and its arguments."""
    return st.tuples(st.just(method), st.fixed_dictionaries(arguments))


def where(*known: dict[str, SearchStrategy[Any]]) -> SearchStrategy[Where]:
    """What is asked for."""
    return st.builds(Where, **{name: strategy for some_known in known for name, strategy in some_known.items()})


QUESTIONS = st.one_of(
    question("select", where=WHERES, order=ORDERS, limit=some(1, 2, 5), body=st.booleans()),
    question("select", where=where(COUNTED, {"keys": few("k", "l")}), order=ORDERS, each=some(1, 2)),
    question("select", where=where(COUNTED, {"groups": few("g", "h")}), order=ORDERS, each=some(1, 2)),
    question("count", by=some(By.QUEUE_STATE, By.QUEUE_TASK_STATE), where=where(COUNTED)),
    question("count", by=st.just(By.HOLDER), where=where(COUNTED, HOLDER)),
    question("count", by=st.just(By.GROUP_STATE), where=where(COUNTED, GROUPS)),
    question(
        "read",
        kind=some(*KINDS),
        keys=maybe(few(*RECORD_KEYS)),
        prefix=some("", "a", "ab", "c"),
        limit=some(1, 2, 10),
        after=maybe(some(*RECORD_KEYS)),
    ),
)


class WriteDraft(Struct, frozen=True):
    """A write whose version is named, not given."""

    kind: str
    key: str
    value: bytes | None
    version: Literal["any", "none", "current", "old"]
    lifetime: Duration | None


WRITES = st.lists(
    st.builds(
        WriteDraft,
        kind=some(*KINDS),
        key=some(*RECORD_KEYS),
        value=some(None, b"", b"1", b"2"),
        version=some("any", "none", "current", "current", "old"),
        lifetime=maybe(some(1, SECOND, 3 * SECOND)),
    ),
    min_size=1,
    max_size=3,
    unique_by=lambda draft: (draft.kind, draft.key),
)
