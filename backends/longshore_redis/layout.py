"""Between a job and the value that Redis keeps of it; `scripts/job.lua` reads and writes the same.

A value is the length of the head in four bytes; the head, a msgpack map of the fields of `StoredJob` that have another
value than the usual one; digest, cursor, result and payload. Of the first three the head holds the lengths.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from operator import attrgetter
from typing import Any, Final, NamedTuple

from msgspec import NODEFAULT, MsgspecError, defstruct, json, msgpack
from msgspec.structs import fields

from longshore.contract import UNREADABLE, NewJob, State, StoredJob

UNLIMITED: Final = -1
"""Stands for None where that is not the usual value."""

_APART: Final = frozenset({"id", "notes", "digest", "cursor", "result", "payload", "attempts"})
_USUAL: Final[Mapping[str, Any]] = {"priority": 0, "codec": "json"}
"""Of fields that have no default."""
_TYPES: Final[Mapping[str, Any]] = {"digest": int, "cursor": int | None, "result": int | None, "notes": dict[str, str]}
_SHOWN: Final = 1_000


class Shape:
    """The fields of a new or a stored job that stand in a head as they are.

    ``of`` gives their values, by which a head that many jobs have is made once.
    """

    def __init__(self, kind: type[NewJob | StoredJob]) -> None:
        chosen = [field for field in fields(kind) if field.name not in _APART]
        self._names = [field.name for field in chosen]
        self._usual = [_USUAL.get(field.name, field.default) for field in chosen]
        self.of = attrgetter(*self._names)

    def head(self, values: Sequence[Any]) -> dict[str, Any]:
        """Those that are unusual, by name."""
        return {
            name: UNLIMITED if value is None else value
            for name, value, usual in zip(self._names, values, self._usual, strict=True)
            if value != usual
        }


class Seen(NamedTuple):
    """A job as a script answered it."""

    job: StoredJob
    head: bytes  # By which a later call knows whether it is still the same.


def texts_of(notes: Mapping[str, Any]) -> dict[str, str]:
    """Notes, each as a JSON text, so that Lua need not understand them."""
    return {name: json.encode(value).decode() for name, value in notes.items()}


def _head_decoder() -> Any:
    kept = [field for field in fields(StoredJob) if field.name not in {"id", "payload", "attempts"}]
    usual = {field.name: _USUAL.get(field.name, field.default) for field in kept} | {"digest": 0, "notes": {}}
    named = [(field.name, _TYPES.get(field.name, field.type)) for field in kept]
    required = [pair for pair in named if usual[pair[0]] is NODEFAULT]
    others = [(*pair, usual[pair[0]]) for pair in named if usual[pair[0]] is not NODEFAULT]
    return msgpack.Decoder(defstruct("_Head", [*required, *others], gc=False)).decode


_decoded: Final = _head_decoder()


def seen(identity: bytes, value: bytes, attempts: Sequence[bytes] = (), *, body: bool = True) -> Seen:
    """The job that a value holds; of one that is damaged what can be read, with the note `UNREADABLE`."""
    end = 4 + int.from_bytes(value[:4])
    head = value[4:end]
    try:
        return Seen(_job(identity.decode(), _decoded(head), value, end, attempts, body=body), head)
    except (MsgspecError, ValueError) as error:
        return Seen(_damaged(identity.decode(errors="replace"), value, error), head)


def _job(identity: str, head: Any, value: bytes, at: int, attempts: Sequence[bytes], *, body: bool) -> StoredJob:
    at_cursor = at + head.digest
    at_result = at_cursor + (head.cursor or 0)
    at_payload = at_result + (head.result or 0)
    # By position, because naming forty fields costs twice as much as all the rest.
    return StoredJob(
        identity, head.queue, head.task, head.state, head.priority, head.created, head.due, head.codec,
        value[at_payload:] if body else b"", value[at:at_cursor],
        head.generation, head.attempt, None if head.max_attempts == UNLIMITED else head.max_attempts,
        head.crashes, head.max_crashes, head.snoozes, head.holder, head.started, head.ended, head.expires,
        head.settled, head.settled_by, head.cancel_asked, head.awaited, head.releases,
        head.unique_key, head.unique_held, head.unique_scope, head.unique_until,
        head.group, head.key, head.turns, head.turn, head.parents, head.lax, head.if_parent_fails,
        {name: json.decode(text) for name, text in head.notes.items()} if head.notes else {},
        value[at_cursor:at_result] if body and head.cursor is not None else None, head.result_codec,
        value[at_result:at_payload] if body and head.result is not None else None, head.tries, tuple(attempts),
    )  # fmt: skip


def _damaged(identity: str, value: bytes, error: Exception) -> StoredJob:
    damage = f"{error}: {value[:_SHOWN]!r}"
    return StoredJob(
        identity, "unreadable", "unreadable", State.ABANDONED, 0, 0, 0, "json", b"", b"", notes={UNREADABLE: damage}
    )
