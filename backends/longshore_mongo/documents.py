"""Between a job and its document."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from operator import attrgetter
from typing import Any, Final, NamedTuple

from bson import ObjectId
from msgspec import MsgspecError, json
from msgspec.structs import fields

from longshore.contract import UNREADABLE, IfParentFails, Instant, NewJob, State, StoredJob, UniqueScope
from longshore.reference import born

Document = dict[str, Any]

BODY: Final = ("payload", "result", "cursor", "attempts")
WITHOUT_BODY: Final = dict.fromkeys(BODY, 0)
UNREAD: Final[Any] = object()
"""What stands in a job for a body that was not read: as it is the same before and after, nobody writes it."""

_DERIVED_OF_JOB: Final = ("lane", "later", "unique_slot")
_DERIVED: Final = {"birth", "revision", "trace", "condemned", "heralds", "part", "now", "size", *_DERIVED_OF_JOB}
_FIELDS: Final = fields(StoredJob)
_DEFAULTS: Final = {field.name: field.default for field in _FIELDS if not field.required} | {"notes": {}}
_NAMES: Final = tuple(field.name for field in _FIELDS if field.name not in {"id", "notes", "attempts"})
_LEFT_OUT: Final = tuple(_DEFAULTS.get(name, UNREAD) for name in _NAMES)
_values_of: Final = attrgetter(*_NAMES)
_OWN: Final = {"id", "payload", "digest"}
_rest_of: Final = attrgetter(*(field.name for field in fields(NewJob) if field.name not in _OWN))
_STATES: Final = {int(member): member for member in State}
_INSTANTS: Final = {"created", "due", "started", "ended", "expires", "unique_until"}
_notes: Final = json.Decoder(dict[str, Any]).decode
_CONVERTED: Final[Mapping[str, Callable[[Any], Any]]] = {
    "unique_scope": UniqueScope,
    "if_parent_fails": IfParentFails,
    "parents": tuple,
    "attempts": tuple,
    "notes": lambda members: _notes("{" + ",".join(members) + "}"),
}
_SIMPLE: Final = (str, int, bytes)
_SHOWN: Final = 1_000


class Known(NamedTuple):
    """A document as a look or a write of ours left it, and its job."""

    document: Document
    job: StoredJob


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


def documents_of(given: Sequence[NewJob | StoredJob], now: Instant) -> Iterator[Document]:
    """The documents of jobs that are to be stored. Many come at once, and most are alike: what neighbours have in
    common is put together once."""
    alike, common = None, {}
    for position, job in enumerate(given):
        if isinstance(job, StoredJob):
            yield document_of(job, now)
            continue
        rest = _rest_of(job)
        if rest != alike or job.notes:  # Equal notes may differ in type.
            alike, common = rest, document_of(born(job, now, position), now)
        yield {**common, "_id": job.id, "created": now + position, "payload": job.payload, "digest": job.digest}


def document_of(job: StoredJob, now: Instant) -> Document:
    """The document of a job: what has its default is left out."""
    values = zip(_NAMES, _values_of(job), _LEFT_OUT, strict=True)
    document: Document = {"_id": job.id, **{name: value for name, value, left_out in values if value != left_out}}
    document["state"] = int(job.state)
    if job.notes:
        document["notes"] = _members(job)
    if job.attempts:
        document["attempts"] = job.attempts
    document.update(_derived(job, now))
    return document


def _derived(job: StoredJob, now: Instant) -> Document:
    """By which fields claims find it, and which slot it holds."""
    derived: Document = {}
    if job.state is State.PENDING:
        derived["lane" if job.due <= now else "later"] = job.queue
    if job.unique_held and job.unique_key is not None:
        derived["unique_slot"] = job.unique_key
    return derived


def _members(job: StoredJob) -> list[str]:
    return [member_of(name, value) for name, value in job.notes.items()]


def member_of(name: str, value: Any) -> str:
    """A note as a member of a JSON object: equal only to one that is equal in type."""
    return f"{json.encode(name).decode()}:{json.encode(value).decode()}"


def job_of(document: Mapping[str, Any]) -> StoredJob:
    """The job that a document holds; of one that is damaged what can be read, with the note `UNREADABLE`."""
    values = dict(document)
    for name in _DERIVED & values.keys():
        del values[name]
    try:
        return _job(values)
    except (LookupError, TypeError, ValueError, MsgspecError) as error:
        return _damaged(values, error)


def _job(values: Document) -> StoredJob:
    values["id"] = values.pop("_id")
    values["state"] = _STATES[values["state"]]
    for name in _INSTANTS & values.keys():
        values[name] = int(values[name])  # A number of 64 bits comes as a type of pymongo's own.
    for name in _CONVERTED.keys() & values.keys():
        values[name] = _CONVERTED[name](values[name])
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


def edit_of(
    document: Document,
    before: StoredJob,
    after: StoredJob,
    effects: Mapping[str, Any],
    now: Instant,
    token: bytes,
    *,
    alone: bool = False,
) -> Edit:
    """What turns the document that was looked at, and the job that was read from it, into that of the job after, from
    which it differs in no other fields than ``effects``."""
    values: Document = {}
    removed: list[str] = []
    for name, wanted in effects.items():
        stands = getattr(before, name)
        if stands is wanted or stands == wanted:
            continue
        if wanted == _DEFAULTS.get(name, UNREAD):
            removed.append(name)
        else:
            values[name] = wanted
    attempt = values.pop("attempts", (None,))[-1]
    if "notes" in values:
        values["notes"] = _members(after)
    derived = _derived(after, now)
    removed += [name for name in _DERIVED_OF_JOB if name in document and name not in derived]
    for name, should in derived.items():
        stands = document.get(name)
        if stands != should and not (name == "lane" and str(stands).startswith(f"{should}\0")):
            values[name] = should  # What stands aside may go on to.
    identity, birth, revision = document["_id"], document["birth"], document["revision"]
    return Edit(identity, birth, revision, token, values, tuple(removed), attempt, alone)


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


def births(number: int) -> Iterator[bytes]:
    """A token for each document of a call."""
    call = token()
    return (call + position.to_bytes(3) for position in range(number))
