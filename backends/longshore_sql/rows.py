"""Between a row and a job."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from operator import attrgetter
from types import NoneType
from typing import Any, Final

from msgspec import MsgspecError, json

from longshore.contract import UNREADABLE, IfParentFails, Instant, State, StoredJob, UniqueScope
from longshore_sql.schema import Lane
from longshore_sql.statements import Row

COLUMNS: Final = tuple(
    "unique_slot" if name == "unique_held" else name for name in StoredJob.__struct_fields__ if name != "attempts"
)
"""The columns of a whole row, in the order of the fields of a job."""

# Looking up beats calling the enumeration by a factor of five.
_STATES: Final = {int(member): member for member in State}
_SCOPES: Final = {int(member): member for member in UniqueScope}
_IF_PARENT_FAILS: Final = {int(member): member for member in IfParentFails}
_PLAIN: Final = tuple(name for name in COLUMNS if name not in {"unique_slot", "parents", "notes"})
_plain: Final = attrgetter(*_PLAIN)
_BOUND_AS_IT_IS: Final = frozenset({NoneType, str, int, float})

_parents: Final = json.Decoder(tuple[str, ...]).decode
_notes: Final = json.Decoder(dict[str, Any]).decode

_UNREADABLE: Final = (LookupError, TypeError, ValueError, MsgspecError)
_SHOWN: Final = 1_000
"""How much of what cannot be read is kept in sight."""
_READ: Final[dict[str, tuple[Callable[[Any], Any], Any]]] = {
    "state": (_STATES.__getitem__, int(State.ABANDONED)),
    "unique_scope": (_SCOPES.__getitem__, int(UniqueScope.END)),
    "if_parent_fails": (_IF_PARENT_FAILS.__getitem__, int(IfParentFails.CANCEL)),
    "parents": (_parents, None),
    "notes": (_notes, None),
}
"""What may turn out to be unreadable, and what stands in its place."""


def job_of(row: Row, attempts: tuple[bytes, ...] = ()) -> StoredJob:
    """The job that a row of `COLUMNS` holds; of one that is damaged what can be read, with the note `UNREADABLE`."""
    # By position, because naming forty fields costs fifty times as much.
    (
        identity, queue, task, state, priority, created, due, codec, payload, digest,
        generation, attempt, max_attempts, crashes, max_crashes, snoozes,
        holder, started, ended, expires, settled, settled_by, cancel_asked, awaited, releases,
        unique_key, unique_slot, unique_scope, unique_until, group, key, turns, turn,
        parents, lax, if_parent_fails, notes, cursor, result_codec, result, tries,
    ) = row  # fmt: skip
    try:
        return StoredJob(
            identity, queue, task, _STATES[state], priority, created, due, codec, payload, digest,
            generation, attempt, max_attempts, crashes, max_crashes, snoozes,
            holder, started, ended, expires, settled, settled_by, cancel_asked == 1, awaited == 1, releases == 1,
            unique_key, unique_slot is not None, _SCOPES[unique_scope], unique_until, group, key, turns, turn,
            () if parents is None else _parents(parents), lax == 1, _IF_PARENT_FAILS[if_parent_fails],
            {} if notes is None else _notes(notes), cursor, result_codec, result, tries, attempts,
        )  # fmt: skip
    except _UNREADABLE:
        return job_of(_mended(row), attempts)


def _mended(row: Row) -> Row:
    """The row with something that can be read in place of what cannot, and a note that says what that was."""
    values = dict(zip(COLUMNS, row, strict=True))
    damage: list[str] = []
    for name, (read, instead) in _READ.items():
        try:
            if values[name] is not None:
                read(values[name])
        except _UNREADABLE:
            damage.append(f"{name} is {str(values[name])[:_SHOWN]!r}")
            values[name] = instead
    notes = {} if values["notes"] is None else _notes(values["notes"])
    values["notes"] = json.encode({**notes, UNREADABLE: "; ".join(damage)}).decode()
    return tuple(values.values())


def columns_of(job: StoredJob, now: Instant) -> dict[str, Any]:
    """The row of a job by column, without its attempts; the columns that are left out are empty."""
    values = {
        name: value if type(value) in _BOUND_AS_IT_IS else stored(value)
        for name, value in zip(_PLAIN, _plain(job), strict=True)
        if value is not None
    }
    if job.unique_held and job.unique_key is not None:
        values["unique_slot"] = job.unique_key
    if job.parents:
        values["parents"] = json_of(job.parents)
    if job.notes:
        values["notes"] = json_of(job.notes)
    values["lane"] = int(lane_of(job.state, job.due, now))
    return values


def changed_columns(before: StoredJob, after: StoredJob, now: Instant) -> dict[str, Any]:
    """What is another in the row of a job after a change, by column, and the lane of one that is pending."""
    pairs = zip(_PLAIN, _plain(before), _plain(after), strict=True)
    values = {name: stored(new) for name, old, new in pairs if old is not new and old != new}
    if (before.unique_held, before.unique_key) != (after.unique_held, after.unique_key):
        values["unique_slot"] = after.unique_key if after.unique_held else None
    if before.parents != after.parents:
        values["parents"] = json_of(after.parents)
    if before.notes != after.notes:
        values["notes"] = json_of(after.notes)
    if State.PENDING in (before.state, after.state):  # Perhaps it stands aside, or was not promoted yet.
        values["lane"] = int(lane_of(after.state, after.due, now))
    return values


def lane_of(state: State, due: Instant, now: Instant) -> Lane:
    """The lane in which a job is put."""
    if state is not State.PENDING:
        return Lane.NONE
    return Lane.READY if due <= now else Lane.FUTURE


def stored(value: Any) -> Any:
    """The value as drivers bind it without a detour: exact types, and no ``bytes`` where ``bytearray`` will do."""
    if isinstance(value, bytes):
        return bytearray(value)
    return int(value) if isinstance(value, int) else value


def json_of(value: Mapping[str, Any] | Sequence[str]) -> str | None:
    """JSON text, or None for what is empty."""
    return json.encode(value).decode() if value else None
