"""The job state machine, as data: which events there are, from where to where they lead, and what they count.

Drivers know nothing of it: they apply guarded changes. `EVENTS` is the only table; `move` makes a change of a row of
it, and the documentation's table is drawn from it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from msgspec import Struct

from longshore.contract import ENDED, HELD, UNENDED, Change, Fields, State, StoredJob
from longshore.errors import IllegalMove


class Event(Struct, frozen=True):
    """One row of the machine."""

    name: str
    sources: frozenset[State]
    to: State | None
    attempt: int = 0
    crashes: int = 0
    snoozes: int = 0
    own: bool = False  # Done by the run itself: guarded by its generation and holder.
    unless_cancelled: bool = False  # Refused when somebody asked to cancel; `STOP` then takes its place.
    renews: bool = False  # Generation + 1: whatever runs is void.
    meaning: str = ""


_WAITING, _PENDING = State.WAITING, State.PENDING
_RUNNING, _RESERVED = State.RUNNING, State.RESERVED
_QUEUED = frozenset({_WAITING, _PENDING})
_RUNS = frozenset({_RUNNING})

UNBLOCK: Final = Event("unblock", frozenset({_WAITING}), _PENDING, meaning="its parents have ended, its turn has come")
START: Final = Event("start", frozenset({_RESERVED}), _RUNNING, attempt=1, own=True, meaning="a reserved job begins")
RELEASE: Final = Event(
    "release",
    _RUNS,
    _PENDING,
    attempt=-1,
    own=True,
    unless_cancelled=True,
    meaning="handed back, same due time and place",
)
UNRESERVE: Final = Event(
    "unreserve",
    frozenset({_RESERVED}),
    _PENDING,
    own=True,
    unless_cancelled=True,
    meaning="a reserved job is handed back",
)
SNOOZE: Final = Event(
    "snooze", _RUNS, _PENDING, attempt=-1, snoozes=1, own=True, unless_cancelled=True, meaning="again later, uncounted"
)
FINISH: Final = Event(
    "finish", HELD, State.SUCCEEDED, own=True, meaning="its result is kept, also when cancel was asked"
)
FAIL: Final = Event(
    "fail", _RUNS, _PENDING, own=True, unless_cancelled=True, meaning="an attempt failed, more are left"
)
GIVE_UP: Final = Event(
    "give up", _RUNS, State.FAILED, own=True, unless_cancelled=True, meaning="the last attempt failed"
)
DISCARD: Final = Event("discard", _RUNS, State.FAILED, own=True, meaning="failed without another attempt")
STOP: Final = Event("stop", HELD, State.CANCELLED, own=True, meaning="a run ends after somebody asked to cancel")
CANCEL: Final = Event("cancel", _QUEUED | {_RESERVED}, State.CANCELLED, meaning="nobody runs it")
ASK_CANCEL: Final = Event("ask to cancel", _RUNS, None, meaning="the run's end decides")
FORCE_CANCEL: Final = Event("force cancel", UNENDED, State.CANCELLED, meaning="at once; the run is void")
EXPIRE: Final = Event("expire", _QUEUED, State.EXPIRED, meaning="not begun in time; by claims and upkeep")
RESCUE: Final = Event(
    "rescue", _RUNS, _PENDING, attempt=-1, crashes=1, unless_cancelled=True, meaning="its holder is lost"
)
RESCUE_RESERVED: Final = Event(
    "rescue reserved",
    frozenset({_RESERVED}),
    _PENDING,
    unless_cancelled=True,
    meaning="its holder is lost, it never ran",
)
ABANDON: Final = Event("abandon", _RUNS, State.ABANDONED, attempt=-1, crashes=1, meaning="its workers kept dying")
RESCUE_CANCELLED: Final = Event(
    "rescue cancelled", HELD, State.CANCELLED, meaning="its holder is lost after somebody asked to cancel"
)
PURGE: Final = Event("purge", UNENDED, State.ABANDONED, meaning="given up by a person; the run is void")
RETRY: Final = Event(
    "retry", frozenset(State), _PENDING, renews=True, meaning="by a person: crashes forgiven, the old run void"
)
RETRY_IN_LINE: Final = Event(
    "retry in line",
    ENDED | {_WAITING},
    _WAITING,
    renews=True,
    meaning="the same, of a job whose key has another's turn: it waits for its own",
)
EDIT: Final = Event("edit", _QUEUED, None, meaning="queue, priority, due, expires, parents, payload")

EVENTS: Final = (
    UNBLOCK,
    START,
    RELEASE,
    UNRESERVE,
    SNOOZE,
    FINISH,
    FAIL,
    GIVE_UP,
    DISCARD,
    STOP,
    CANCEL,
    ASK_CANCEL,
    FORCE_CANCEL,
    EXPIRE,
    RESCUE,
    RESCUE_RESERVED,
    ABANDON,
    RESCUE_CANCELLED,
    PURGE,
    RETRY,
    RETRY_IN_LINE,
    EDIT,
)
"""All but ``enqueue`` (→ PENDING, or WAITING), ``claim`` (PENDING → RUNNING, attempt + 1, generation + 1) and
``reserve`` (PENDING → RESERVED, generation + 1), which are the driver's `insert` and `claim`."""


def move(event: Event, job: StoredJob, fields: Fields | None = None) -> Change:
    """The change by which an event moves a job as it was read: void if somebody else moved it meanwhile.

    Raises:
        IllegalMove: the event does not lead away from the job's state.
    """
    if job.state not in event.sources:
        raise IllegalMove(
            f"{event.name!r} needs a job that is {_names(event.sources)}; {job.id} is {job.state.name.lower()}"
        )
    values: Fields = {**_fresh_start(job), **(fields or {})} if event.renews else {**(fields or {})}
    if event.attempt:
        values["attempt"] = max(0, job.attempt + event.attempt)
    if event.crashes:
        values["crashes"] = job.crashes + event.crashes
    if event.snoozes:
        values["snoozes"] = job.snoozes + event.snoozes
    if job.state in HELD:
        # Others guard by the run they saw too, but only the run itself can settle.
        guard = False if event.unless_cancelled else None
        own = event.own and event is not START
        return Change(job.id, event.to, values, event.sources, job.generation, job.holder, guard, own, event.renews)
    return Change(job.id, event.to, values, event.sources, job.generation, None, None, False, event.renews)


def stopped(change: Change) -> Change:
    """The change that ends a run as cancelled, where one by which it would go on was refused for that: with all that it
    says of the run itself."""
    fields: Fields = {}
    if "attempt_record" in change.fields:
        fields["attempt_record"] = change.fields["attempt_record"]
    if "notes" in change.fields:
        fields["notes"] = change.fields["notes"]
    if "cursor" in change.fields:
        fields["cursor"] = change.fields["cursor"]
    return Change(change.id, STOP.to, fields, STOP.sources, change.generation, change.holder, None, True)


def _fresh_start(job: StoredJob) -> Fields:
    """What a retry by a person forgives: crashes, a wish to cancel, and attempts that are used up."""
    most = job.max_attempts
    return {
        "crashes": 0,
        "cancel_asked": False,
        "max_attempts": most if most is None else max(most, job.attempt + 1),
    }


def is_ended(state: State) -> bool:
    """Whether a job in this state is over."""
    return state in ENDED


def _names(states: Iterable[State]) -> str:
    names = [state.name.lower() for state in sorted(states)]
    return " or ".join(filter(None, [", ".join(names[:-1]), names[-1]]))
