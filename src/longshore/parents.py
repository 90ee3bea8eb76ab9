"""What a child sees of its parents."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

import msgspec
from msgspec import Struct

from longshore.codecs import TypedCodec
from longshore.contract import State, StoredJob, Where
from longshore.guard import Guard
from longshore.info import Attempt

_BATCH: Final = 500


class Parent(Struct, frozen=True, kw_only=True):
    """A parent as it stood when it was asked for.

    Attributes:
        state: how it stands; None: there is no such job any more.
        result: what its task returned, if it succeeded.
        error: what its last attempt said, if it did not.
    """

    id: str
    task: str | None = None
    state: State | None = None
    result: Any = None
    error: str | None = None


def parents_of(store: Guard, result_codec: Callable[[str], TypedCodec[Any]], identities: Sequence[str]) -> list[Parent]:
    """The jobs of these ids, in their order, read at once; results by the codec of each one's task."""
    found: dict[str, StoredJob] = {}
    for start in range(0, len(identities), _BATCH):
        some = identities[start : start + _BATCH]
        found |= {job.id: job for job in store.select(Where(ids=some), limit=len(some)).jobs}
    return [
        _parent(result_codec, found[identity]) if identity in found else Parent(id=identity) for identity in identities
    ]


def _parent(result_codec: Callable[[str], TypedCodec[Any]], job: StoredJob) -> Parent:
    result = error = None
    if job.state is State.SUCCEEDED and job.result is not None and job.result_codec is not None:
        result = result_codec(job.task).decode(job.result, job.result_codec)
    elif job.state is not State.SUCCEEDED and job.attempts:
        error = msgspec.json.decode(job.attempts[-1], type=Attempt).error
    return Parent(id=job.id, task=job.task, state=job.state, result=result, error=error)
