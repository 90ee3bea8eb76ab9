"""Between a job and its document."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final, NamedTuple

from bson import ObjectId
from msgspec import MsgspecError, json
from msgspec.structs import fields

from longshore.contract import UNREADABLE, IfParentFails, Instant, State, StoredJob, UniqueScope

Document = dict[str, Any]

BODY: Final = ("payload", "result", "cursor", "attempts")
WITHOUT_BODY: Final = dict.fromkeys(BODY, 0)
UNREAD: Final[Any] = object()
"""What stands in a job for a body that was not read: as it is the same before and after, nobody writes it."""

_DERIVED: Final = ("birth", "revision", "trace", "condemned", "lane", "later", "unique_slot", "heralds", "part", "size")
_OWN: Final = {"birth", "revision", "trace", "condemned", "heralds", "part", "size"}
"""What no job has, and no change of a job concerns."""

_FIELDS: Final = fields(StoredJob)
_DEFAULTS: Final = {field.name: field.default for field in _FIELDS if not field.required} | {"notes": {}}
_NAMES: Final = tuple(field.name for field in _FIELDS if field.name not in {"id", "notes", "attempts"})
_STATES: Final = {int(member): member for member in State}
_SCOPES: Final = {int(member): member for member in UniqueScope}
_IF_PARENT_FAILS: Final = {int(member): member for member in IfParentFails}
_INSTANTS: Final = {"created", "due", "started", "ended", "expires", "unique_until"}
_notes: Final = json.Decoder(dict[str, Any]).decode
_SIMPLE: Final = (str, int, bytes)
_SHOWN: Final = 1_000


class Edit(NamedTuple):
    """What is to be written to one document, if it is still as it was looked at."""

    id: str
    birth: bytes
    revision: int
    token: bytes  # Of the call.
    values: Document
    removed: tuple[str, ...]
    attempt: bytes | None = None
    alone: bool = False  # It may be refused, so it is not written with others.


def document_of(job: StoredJob, now: Instant) -> Document:
    """The document of a job: what has its default is left out."""
    document: Document = {"_id": job.id}
    for name in _NAMES:
        value = getattr(job, name)
        if name not in _DEFAULTS or value != _DEFAULTS[name]:
            document[name] = value if isinstance(value, bytes) or value is UNREAD else _plain(value)
    if job.notes:
        document["notes"] = [member_of(name, value) for name, value in job.notes.items()]
    if job.attempts:
        document["attempts"] = list(job.attempts)
    if job.state is State.PENDING:
        document["lane" if job.due <= now else "later"] = job.queue
    if job.unique_held and job.unique_key is not None:
        document["unique_slot"] = job.unique_key
    return document


def _plain(value: Any) -> Any:
    if isinstance(value, tuple):
        return list(value)
    return int(value) if isinstance(value, int) and not isinstance(value, bool) else value


def member_of(name: str, value: Any) -> str:
    """A note as a member of a JSON object: equal only to one that is equal in type."""
    return f"{json.encode(name).decode()}:{json.encode(value).decode()}"


def job_of(document: Mapping[str, Any]) -> StoredJob:
    """The job that a document holds; of one that is damaged what can be read, with the note `UNREADABLE`."""
    values = dict(document)
    for name in _DERIVED:
        values.pop(name, None)
    try:
        return _job(values)
    except (LookupError, TypeError, ValueError, MsgspecError) as error:
        return _damaged(values, error)


def _job(values: Document) -> StoredJob:
    values["id"] = values.pop("_id")
    values["state"] = _STATES[values["state"]]
    for name in _INSTANTS & values.keys():
        values[name] = int(values[name])  # A number of 64 bits comes as a type of pymongo's own.
    for name, members in (("unique_scope", _SCOPES), ("if_parent_fails", _IF_PARENT_FAILS)):
        if name in values:
            values[name] = members[values[name]]
    for name in ("parents", "attempts"):
        if name in values:
            values[name] = tuple(values[name])
    if "notes" in values:
        values["notes"] = _notes("{" + ",".join(values["notes"]) + "}")
    values.setdefault("payload", b"")
    return StoredJob(**values)


def _damaged(values: Document, error: Exception) -> StoredJob:
    instead: Document = {"state": State.ABANDONED, "payload": b"", "digest": b""}
    instead |= dict.fromkeys(("queue", "task", "codec"), "unreadable") | dict.fromkeys(
        ("priority", "created", "due"), 0
    )
    state = _STATES.get(values.get("state"), State.ABANDONED)  # type: ignore[arg-type]
    kinds = {name: type(default) for name, default in (_DEFAULTS | instead).items() if default is not None}
    readable = {name: values[name] for name in _NAMES if isinstance(values.get(name), kinds.get(name, _SIMPLE))}
    damage = {UNREADABLE: f"{error}: {str(values)[:_SHOWN]}"}
    identity = str(values.get("id", values.get("_id")))
    return StoredJob(**{**instead, **readable, "id": identity, "state": state, "notes": damage})


def edit_of(document: Document, after: StoredJob, now: Instant, token: bytes, *, alone: bool = False) -> Edit:
    """What turns the document that was looked at, without its body, into that of the job."""
    stands = {name: value for name, value in document.items() if name not in _OWN}
    wanted = document_of(after, now)
    attempts = wanted.pop("attempts", None)
    if "lane" in wanted and str(stands.get("lane")).startswith(f"{wanted['lane']}\0"):
        wanted["lane"] = stands["lane"]  # It stands aside, and may go on to.
    values = {name: value for name, value in wanted.items() if name not in stands or stands[name] != value}
    removed = tuple(sorted(stands.keys() - wanted.keys()))
    attempt = attempts[-1] if attempts else None
    return edited(document, token, values, removed, attempt=attempt, alone=alone)


def edited(
    document: Document,
    token: bytes,
    values: Document,
    removed: Iterable[str] = (),
    *,
    attempt: bytes | None = None,
    alone: bool = False,
) -> Edit:
    """An edit of the document that was looked at."""
    return Edit(document["_id"], document["birth"], document["revision"], token, values, tuple(removed), attempt, alone)


def unread(document: Document) -> Document:
    """A document that was read without its body, ready to be told from what it becomes."""
    return {**document, **dict.fromkeys(("payload", "result", "cursor"), UNREAD)}


def lapsed(holder: Document, of: bytes) -> Edit:
    """What takes its slot from a job whose unique period has passed."""
    return edited(holder, of, {}, ("unique_held", "unique_slot"))


def token() -> bytes:
    """By which a call knows what it wrote."""
    return ObjectId().binary
