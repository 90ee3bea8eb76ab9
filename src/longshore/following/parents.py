"""What becomes of a job that waits for its parents, by how they stand."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum, auto
from typing import Final

from longshore.contract import ENDED, IfParentFails, NewJob, State, StoredJob

PARENT_FAILED: Final = "longshore.parent_failed"
"""The note of a job that was cancelled because this parent of it ended other than by success."""


class Fate(Enum):
    """What is to become of a waiting job, as far as its parents decide."""

    STAY = auto()
    RUN = auto()
    CANCEL = auto()
    REMOVE = auto()


def is_callback(job: NewJob | StoredJob) -> bool:
    """Whether it was stored with its parent, to be called at its end."""
    return job.if_parent_fails in (IfParentFails.REMOVE, IfParentFails.RUN)


def fate_of(job: NewJob | StoredJob, states: Mapping[str, State | None]) -> Fate:
    """Decides by the states of all its parents; one that is missing has None, or is not named."""
    parents = [states.get(parent) for parent in job.parents]
    failed = any(state in ENDED and state is not State.SUCCEEDED for state in parents)
    is_open = any(state is not None and state not in ENDED for state in parents)
    if failed and not job.lax and job.if_parent_fails is IfParentFails.CANCEL:
        return Fate.CANCEL
    if is_open:
        return Fate.STAY
    if is_callback(job):
        return _fate_of_callback(job, failed=failed, is_orphan=None in parents)
    if failed and not job.lax:
        return Fate.STAY
    return Fate.RUN


def failed_parent(job: StoredJob, states: Mapping[str, State | None]) -> str:
    """The first parent that ended other than by success."""
    return next(parent for parent in job.parents if states.get(parent) in ENDED - {State.SUCCEEDED})


def _fate_of_callback(job: NewJob | StoredJob, *, failed: bool, is_orphan: bool) -> Fate:
    if is_orphan:
        return Fate.REMOVE
    wanted = True if job.lax else failed is (job.if_parent_fails is IfParentFails.RUN)
    return Fate.RUN if wanted else Fate.REMOVE
