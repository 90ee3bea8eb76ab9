"""Jobs that take the place of another, under ids that each of its runs makes again (docs/design/completing.md)."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b
from typing import Any, Final, TypeVar

from msgspec.structs import replace

from longshore.contract import Fields, StoredJob

C = TypeVar("C")
NOTE: Final = "longshore.replaced"
"""The note of a job that says how often it has ended by being replaced."""


def under_lasting_ids(job: StoredJob, calls: Sequence[C]) -> list[C]:
    """The calls with ids that every run of the job makes of the same calls, until it has ended by being replaced.

    They sort in the order of the calls. A call that has an id of its own keeps it.
    """
    start = _digest(10, job.id.encode(), str(_times(job)).encode())
    return [_under_id(call, f"{start}{number:06}") for number, call in enumerate(calls)]


def counted(job: StoredJob) -> Fields:
    """What the change that ends the job says, so that a run after a retry by a person makes other ids."""
    return {"notes": {NOTE: _times(job) + 1}}


def _times(job: StoredJob) -> int:
    stored = job.notes.get(NOTE, 0)
    return stored if isinstance(stored, int) else 0


def _under_id(call: Any, start: str) -> Any:
    if call.options.id is not None:
        return call
    # Other calls than those of a run that crashed are other jobs, not conflicts.
    identity = start + _digest(4, call.task.encode(), call.fingerprint or call.payload)
    return replace(call, options=replace(call.options, id=identity))


def _digest(size: int, *parts: bytes) -> str:
    digest = blake2b(digest_size=size)
    for part in parts:
        digest.update(len(part).to_bytes(8, "big") + part)
    return digest.hexdigest()
