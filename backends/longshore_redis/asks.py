"""What the scripts are asked: jobs, claims and changes as arrays of plain values."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from msgspec import msgpack

from longshore import reference
from longshore.contract import Change, Claim, NewJob, StoredJob, UniqueScope
from longshore_redis.layout import NONE, PIECES, POSITION, TEXTS, number, packed, texts_of

_NEW, _DUE_IN, _EXPIRES_IN, _UNIQUE_FOR = 1, 2, 4, 8
_APART: Final = frozenset({"delay", "notes", "attempt_record"}) | PIECES


class Arguments:
    """Bytes that a script is given beside what it is asked, and their positions as Lua counts."""

    def __init__(self, first: int) -> None:
        self.values: list[bytes] = []
        self._first = first

    def add(self, value: bytes) -> int:
        """Where it will be found."""
        self.values.append(value)
        return self._first + len(self.values) - 1


def insert_asked(jobs: Sequence[NewJob | StoredJob]) -> list[Any]:
    """The arguments of `insert.lua`."""
    kinds: list[int] = []
    attempts: list[int] = []
    arguments: list[Any] = []
    records: list[bytes] = []
    for position, job in enumerate(jobs, 1):
        if isinstance(job, NewJob):
            kinds.append(_kind(job))
            job = reference.born(job, 0, 0)  # noqa: PLW2901  # Durations stand where the script puts instants.
        else:
            kinds.append(0)
            if job.attempts:
                first = 3 + 3 * len(jobs) + len(records)
                attempts += (position, first, first + len(job.attempts) - 1)
                records += job.attempts
        arguments += (job.id, *packed(job))
    return [msgpack.encode((kinds, attempts)), *arguments, *records]


def _kind(job: NewJob) -> int:
    kind = _NEW
    if job.due is None:
        kind += _DUE_IN
    if job.expires is None and job.expires_in is not None:
        kind += _EXPIRES_IN
    if job.unique_scope is UniqueScope.PERIOD and job.unique_key is not None:
        kind += _UNIQUE_FOR
    return kind


def claims_asked(claims: Iterable[Claim], holder: str, limit: int, max_bytes: int | None) -> tuple[Any, ...]:
    """What `claim.lua` is asked."""
    asked = [
        (
            list(dict.fromkeys(claim.queues)),
            False if claim.tasks is None else sorted(claim.tasks),
            False if claim.min_priority is None else claim.min_priority,
            claim.id or "",
            number(claim.limit),
            claim.reserve,
        )
        for claim in claims
    ]
    return asked, holder, limit, number(max_bytes)


def changes_asked(changes: Iterable[Change], arguments: Arguments) -> list[tuple[Any, ...]]:
    """What `update.lua` is asked."""
    return [_change_asked(change, arguments) for change in changes]


def _change_asked(change: Change, arguments: Arguments) -> tuple[Any, ...]:
    fields: dict[str, Any] = dict(change.fields)
    plain = [
        part for name, value in fields.items() if name not in _APART for part in (POSITION[name], _plain(name, value))
    ]
    pieces = [
        part
        for name, value in fields.items()
        if name in PIECES and name != "notes"
        for part in (POSITION[name], NONE if value is None else arguments.add(value))
    ]
    return (
        change.id,
        change.to or 0,
        NONE if change.states is None else sum(1 << state for state in change.states),
        number(change.generation),
        change.holder or "",
        NONE if change.cancel_asked is None else int(change.cancel_asked),
        change.settles,
        change.renews,
        plain,
        fields.get("delay", False),
        arguments.add(fields["attempt_record"]) if "attempt_record" in fields else 0,
        pieces,
        arguments.add(_merging(fields["notes"])) if "notes" in fields else 0,
        "unique_held" in fields or "unique_key" in fields,
        "turn" in fields,
    )


def _merging(notes: Mapping[str, Any]) -> bytes:
    """Notes to merge; an empty text removes one."""
    return msgpack.encode(dict.fromkeys(notes, "") | texts_of(reference.merged({}, notes)))


def _plain(name: str, value: Any) -> Any:
    if value is None:
        return "" if name in TEXTS else NONE
    return value
