"""Calls of tasks that are not yet enqueued."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from functools import lru_cache
from hashlib import blake2b
from typing import Any, Final, Generic, Protocol, TypeAlias, TypeGuard, TypeVar

from msgspec import UNSET, Struct, UnsetType

from longshore.calls.unique import Rule, Slot, Uniqueness
from longshore.codecs import JSON, is_native
from longshore.contract import IfParentFails, NewJob, UniqueScope
from longshore.durations import Seconds, instant, microseconds
from longshore.errors import InvalidValue

R = TypeVar("R")
DEFAULT_QUEUE = "default"
MOST_PARENTS: Final = 1_000
MOST_TURNS: Final = 1_000


class Named(Protocol):
    """A handle: of a job or a group."""

    @property
    def id(self) -> str: ...


Parent: TypeAlias = "str | Named | Call[Any]"
"""A job's id, its handle, or another call of the same bulk."""


class Bonds(Struct, frozen=True):
    """Of one call. See `longshore.tasks.Task.options`."""

    after: tuple[Parent, ...] = ()
    lax: bool = False
    if_parent_fails: IfParentFails = IfParentFails.CANCEL
    key: str | None = None
    turns: int = 1
    group: str | None = None
    on_success: Call[Any] | None = None
    on_failure: Call[Any] | None = None
    on_end: Call[Any] | None = None

    def __post_init__(self) -> None:
        if len(self.after) > MOST_PARENTS:
            raise InvalidValue(
                f"a job can have {MOST_PARENTS:,} parents; {len(self.after):,} are given: put the many into a group"
            )
        if not 1 <= self.turns <= MOST_TURNS:
            raise InvalidValue(f"turns must be between 1 and {MOST_TURNS:,}; they are {self.turns}")
        if self.key is None and self.turns != 1:
            raise InvalidValue(f"turns are those of a key: give key too, or leave out turns={self.turns}")


class Options(Struct, frozen=True):
    """How a call is enqueued; what is None or unset is the task's own."""

    id: str | None = None
    queue: str = DEFAULT_QUEUE
    priority: int = 0
    delay: Seconds = 0.0
    at: datetime | None = None
    expires: Seconds | datetime | None = None
    max_attempts: int | UnsetType | None = UNSET
    notes: Mapping[str, Any] = {}
    unique: Uniqueness | None = None
    bonds: Bonds | None = None
    """What ties the job to others."""


class Call(Struct, Generic[R], frozen=True, gc=False):
    """One call of a task with its arguments: the value for `Longshore.enqueue` and `Longshore.enqueue_many`."""

    task: str
    payload: bytes
    options: Options
    max_attempts: int | None = 5
    slot: Slot | None = None
    codec: str = JSON.name
    fingerprint: bytes = b""
    """Equal where the arguments are; empty: the payload is."""

    def __repr__(self) -> str:
        return f"<Call {self.task}>"  # Arguments may be secret.


def new_job(call: Call[Any], identity: str, digest: bytes) -> NewJob:
    """The job that a call becomes.

    Raises:
        InvalidValue: an option is not of the form that is needed.
    """
    options, slot = call.options, call.slot
    _check_options(options, slot)
    max_attempts = call.max_attempts if options.max_attempts is UNSET else options.max_attempts
    expires = options.expires
    if options.delay or options.at or expires is not None or options.notes or slot:
        return NewJob(
            identity,
            options.queue,
            call.task,
            call.payload,
            call.codec,
            digest,
            options.priority,
            delay=slot.wait if slot and slot.wait else microseconds(options.delay, name="delay"),
            due=instant(options.at, name="at") if options.at else None,
            expires_in=microseconds(expires, name="expires") if _is_length(expires) else None,
            expires=instant(expires, name="expires") if isinstance(expires, datetime) else None,
            max_attempts=max_attempts,
            unique_key=slot.key if slot else None,
            unique_scope=slot.scope if slot else UniqueScope.END,
            unique_for=slot.period if slot else None,
            notes=options.notes,
        )
    return NewJob(
        identity,
        options.queue,
        call.task,
        call.payload,
        call.codec,
        digest,
        options.priority,
        max_attempts=max_attempts,
    )


def _check_options(options: Options, slot: Slot | None) -> None:
    if options.delay and options.at is not None:
        raise InvalidValue("give delay or at, not both")
    notes: object = options.notes
    if notes and not (isinstance(notes, Mapping) and is_native(dict(notes))):
        raise InvalidValue(f"notes must be a JSON object: texts as keys, JSON values; they are {notes!r}")
    if slot and slot.rule is Rule.DEBOUNCE and (options.delay or options.at):
        raise InvalidValue("a debounced call is due after its own wait: give neither delay nor at")


def digest_of(call: Call[Any]) -> bytes:
    """By what a repeat of the call is told from another call under its id."""
    hashed = _hash_of(call.task).copy()
    hashed.update(call.fingerprint or call.payload)
    return hashed.digest()


# The names of tasks are few, and come with every call.
@lru_cache(maxsize=1_024)
def _hash_of(task: str) -> blake2b:
    return blake2b(digest_size=16, key=task.encode(errors="replace")[:64])


def _is_length(expires: Seconds | datetime | None) -> TypeGuard[Seconds]:
    return expires is not None and not isinstance(expires, datetime)
