"""Who descends from whom."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from longshore.contract import UNENDED, Order, StoredJob, Where
from longshore.following.parents import is_callback
from longshore.guard import Guard

_BATCH: Final = 500


def descendants(store: Guard, identities: Sequence[str]) -> list[str]:
    """The ids of all unended jobs that these jobs, or others in between, are parents of; parents first.

    Without the calls that are made at a job's end.
    """
    seen = dict.fromkeys(identities)
    unended: list[str] = []
    generation = list(seen)
    while generation:
        children = [job for job in _children(store, generation) if job.id not in seen]
        generation = list(dict.fromkeys(job.id for job in children))
        seen |= dict.fromkeys(generation)
        unended += dict.fromkeys(job.id for job in children if job.state in UNENDED)
    return unended


def _children(store: Guard, parents: Sequence[str]) -> list[StoredJob]:
    found: list[StoredJob] = []
    for start in range(0, len(parents), _BATCH):
        where = Where(parents=tuple(parents[start : start + _BATCH]))
        found += [job for job in store.each(where, order=Order.OLDEST, body=False) if not is_callback(job)]
    return found
