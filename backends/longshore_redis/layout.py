"""Between a job and the value that Redis keeps of it; `scripts/job.lua` reads and writes the same."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from struct import Struct
from typing import Any, Final, NamedTuple

from msgspec import MsgspecError, json, msgpack

from longshore.contract import UNREADABLE, IfParentFails, State, StoredJob, UniqueScope

NONE: Final = -1
"""What stands in a head for a number or a length that is not there; for a text it is an empty one."""

FIELDS: Final = (
    "state", "queue", "task", "priority", "created", "due", "codec", "generation", "attempt", "max_attempts",
    "crashes", "max_crashes", "snoozes", "holder", "started", "ended", "expires", "settled", "settled_by",
    "cancel_asked", "awaited", "releases", "unique_key", "unique_held", "unique_scope", "unique_until",
    "group", "key", "turns", "turn", "parents", "lax", "if_parent_fails", "result_codec", "tries",
    "digest", "notes", "cursor", "result", "payload",
)  # fmt: skip
"""The head, in order. Of the last five it holds the lengths; they stand behind it."""
POSITION: Final = {name: position for position, name in enumerate(FIELDS, 1)}
"""As Lua counts."""
TEXTS: Final = frozenset({"holder", "settled_by", "unique_key", "group", "key", "result_codec"})
"""Those that may be None."""
PIECES: Final = frozenset({"digest", "notes", "cursor", "result", "payload"})

_STATES: Final = {int(member): member for member in State}
_SCOPES: Final = {int(member): member for member in UniqueScope}
_IF_PARENT_FAILS: Final = {int(member): member for member in IfParentFails}
_LENGTHS: Final = Struct(">II")
_head: Final = msgpack.Decoder(list[Any]).decode
_notes: Final = msgpack.Decoder(dict[str, str]).decode
_UNREADABLE: Final = (LookupError, TypeError, ValueError, MsgspecError)
_SHOWN: Final = 1_000


class Seen(NamedTuple):
    """A job as a script answered it."""

    job: StoredJob
    head: bytes  # By which a later call knows whether it is still the same.


def number(value: int | None) -> int:
    """A number as it is stored."""
    return NONE if value is None else value


def texts_of(notes: Mapping[str, Any]) -> dict[str, str]:
    """Notes, each as a JSON text, so that Lua need not understand them."""
    return {name: json.encode(value).decode() for name, value in notes.items()}


def packed(job: StoredJob) -> tuple[bytes, bytes]:
    """The head of a job, and what stands behind it."""
    notes = msgpack.encode(texts_of(job.notes)) if job.notes else b""
    cursor, result = job.cursor, job.result
    head = msgpack.encode((
        job.state, job.queue, job.task, job.priority, job.created, job.due, job.codec,
        job.generation, job.attempt, number(job.max_attempts), job.crashes, job.max_crashes, job.snoozes,
        job.holder or "", number(job.started), number(job.ended), number(job.expires),
        number(job.settled), job.settled_by or "", job.cancel_asked, job.awaited, job.releases,
        job.unique_key or "", job.unique_held, job.unique_scope, number(job.unique_until),
        job.group or "", job.key or "", job.turns, number(job.turn), job.parents, job.lax, job.if_parent_fails,
        job.result_codec or "", job.tries, len(job.digest), len(notes),
        NONE if cursor is None else len(cursor), NONE if result is None else len(result), len(job.payload),
    ))  # fmt: skip
    return head, b"".join((job.digest, notes, cursor or b"", result or b"", job.payload))


def seen(identity: bytes, value: bytes, attempts: Sequence[bytes] = (), *, body: bool = True) -> Seen:
    """The job that a value holds; of one that is damaged what can be read, with the note `UNREADABLE`."""
    text = identity.decode(errors="replace")
    try:
        length, _ = _LENGTHS.unpack_from(value)
        head = value[8 : 8 + length]
        return Seen(_job(text, _head(head), value, 8 + length, attempts, body=body), head)
    except _UNREADABLE as error:
        return Seen(_damaged(text, value, error), value[8:])


def _job(identity: str, head: list[Any], value: bytes, at: int, attempts: Sequence[bytes], *, body: bool) -> StoredJob:
    # By position, because naming forty fields costs fifty times as much.
    (
        state, queue, task, priority, created, due, codec, generation, attempt, max_attempts,
        crashes, max_crashes, snoozes, holder, started, ended, expires, settled, settled_by,
        cancel_asked, awaited, releases, unique_key, unique_held, unique_scope, unique_until,
        group, key, turns, turn, parents, lax, if_parent_fails, result_codec, tries,
        digest, notes, cursor, result, payload,
    ) = head  # fmt: skip
    at_notes = at + digest
    at_cursor = at_notes + notes
    at_result = at_cursor + max(cursor, 0)
    at_payload = at_result + max(result, 0)
    return StoredJob(
        identity, queue, task, _STATES[state], priority, created, due, codec,
        value[at_payload : at_payload + payload] if body else b"", value[at:at_notes],
        generation, attempt, None if max_attempts == NONE else max_attempts, crashes, max_crashes, snoozes,
        holder or None, None if started == NONE else started, None if ended == NONE else ended,
        None if expires == NONE else expires, None if settled == NONE else settled, settled_by or None,
        cancel_asked, awaited, releases,
        unique_key or None, unique_held, _SCOPES[unique_scope], None if unique_until == NONE else unique_until,
        group or None, key or None, turns, None if turn == NONE else turn, tuple(parents), lax,
        _IF_PARENT_FAILS[if_parent_fails],
        {name: json.decode(text) for name, text in _notes(value[at_notes:at_cursor]).items()} if notes else {},
        value[at_cursor:at_result] if body and cursor != NONE else None, result_codec or None,
        value[at_result:at_payload] if body and result != NONE else None, tries, tuple(attempts),
    )  # fmt: skip


def _damaged(identity: str, value: bytes, error: Exception) -> StoredJob:
    damage = f"{error}: {value[:_SHOWN]!r}"
    return StoredJob(
        identity, "unreadable", "unreadable", State.ABANDONED, 0, 0, 0, "json", b"", b"", notes={UNREADABLE: damage}
    )
