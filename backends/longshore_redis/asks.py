"""What the scripts are asked: jobs, claims and changes as maps of plain values."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any, Final

from msgspec import msgpack

from longshore import reference
from longshore.contract import Change, Claim, NewJob, StoredJob
from longshore_redis.layout import UNLIMITED, Shape, texts_of

_NEW: Final = Shape(NewJob)
_STORED: Final = Shape(StoredJob)
_PIECES: Final = ("digest", "cursor", "result", "payload")
_TAKING: Final = {"unique_held": "takes_unique", "unique_key": "takes_unique", "turn": "takes_turn"}


class Arguments:
    """Bytes that a script is given beside what it is asked, since msgpack in Redis 6.2 knows texts alone."""

    def __init__(self, first: int) -> None:
        self.values: list[bytes] = []
        self._first = first

    def add(self, value: bytes) -> int:
        """Where it will be found, as Lua counts."""
        self.values.append(value)
        return self._first + len(self.values) - 1


def insert_asked(jobs: Sequence[NewJob | StoredJob]) -> list[Any]:
    """The arguments of `insert.lua`."""
    arguments: list[Any] = [len(jobs)]
    attempts: list[bytes] = []
    for job in jobs:
        if isinstance(job, NewJob):
            values, digest = _NEW.of(job), len(job.digest)
            head = _noted_head(values, digest, job.notes) if job.notes else _new_head(values, digest)
            arguments += (job.id, head, job.digest + job.payload)
        else:
            arguments += (
                job.id,
                _stored_head(job),
                job.digest + (job.cursor or b"") + (job.result or b"") + job.payload,
            )
            attempts += job.attempts
    return arguments + attempts


# Jobs of one task have the same head, but for those with times or names of their own.
@lru_cache(maxsize=256)
def _new_head(values: tuple[Any, ...], digest: int) -> bytes:
    return msgpack.encode(_NEW.head(values) | {"digest": digest})


def _noted_head(values: tuple[Any, ...], digest: int, notes: Mapping[str, Any]) -> bytes:
    texts = texts_of(reference.merged({}, notes))
    return msgpack.encode(_NEW.head(values) | {"digest": digest} | ({"notes": texts} if texts else {}))


def _stored_head(job: StoredJob) -> bytes:
    head = _STORED.head(_STORED.of(job)) | {"digest": len(job.digest), "attempts": len(job.attempts)}
    head |= {name: len(value) for name in ("cursor", "result") if (value := getattr(job, name)) is not None}
    if job.notes:
        head["notes"] = texts_of(job.notes)
    return msgpack.encode(head)


def claims_asked(claims: Iterable[Claim], holder: str, limit: int, max_bytes: int | None) -> bytes:
    """What `claim.lua` is asked."""
    return _claims_asked(tuple(claims), holder, limit, max_bytes)


# A worker that is woken asks for the same each time.
@lru_cache(maxsize=256)
def _claims_asked(claims: tuple[Claim, ...], holder: str, limit: int, max_bytes: int | None) -> bytes:
    asked = [
        {
            "queues": list(dict.fromkeys(claim.queues)),
            "tasks": None if claim.tasks is None else sorted(claim.tasks),
            "min_priority": claim.min_priority,
            "id": claim.id,
            "limit": claim.limit,
            "reserve": claim.reserve,
        }
        for claim in claims
    ]
    return msgpack.encode({"claims": asked, "holder": holder, "limit": limit, "max_bytes": max_bytes})


def changes_asked(changes: Iterable[Change], arguments: Arguments) -> bytes:
    """What `update.lua` is asked."""
    return msgpack.encode([_change_asked(change, arguments) for change in changes])


def _change_asked(change: Change, arguments: Arguments) -> dict[str, Any]:
    asked: dict[str, Any] = {"id": change.id}
    if change.to is not None:
        asked["to"] = change.to
    if change.states is not None:
        asked["states"] = sum(1 << state for state in change.states)
    if change.generation is not None:
        asked["generation"] = change.generation
    if change.holder is not None:
        asked["holder"] = change.holder
    if change.cancel_asked is not None:
        asked["cancel_asked"] = change.cancel_asked
    if change.settles:
        asked["settles"] = True
    if change.renews:
        asked["renews"] = True
    for name, value in change.fields.items():
        _ask_field(asked, name, value, arguments)
    return asked


def _ask_field(asked: dict[str, Any], name: str, value: Any, arguments: Arguments) -> None:
    if name in _PIECES:
        asked.setdefault("pieces", {})[name] = False if value is None else arguments.add(value)
    elif name == "delay":
        asked["delay"] = value
    elif name == "notes":
        asked["notes"] = dict.fromkeys(value, "") | texts_of(reference.merged({}, value))
    elif name == "attempt_record":
        asked["record"] = arguments.add(value)
    elif value is None and name != "max_attempts":
        asked.setdefault("unset", []).append(name)  # In a map Lua would not see it.
    else:
        asked.setdefault("fields", {})[name] = UNLIMITED if value is None else value
    if name in _TAKING:
        asked[_TAKING[name]] = True
