"""Who comes next of a key, and which turn is free for it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from longshore.contract import HELD, Order, State, StoredJob, Where
from longshore.guard import Guard

_TURN_HOLDERS = (State.PENDING, *HELD)


def heads(store: Guard, keys: Sequence[str]) -> list[StoredJob]:
    """The first waiting job of each key."""
    where = Where(keys=keys, states=(State.WAITING,))
    return store.select(where, order=Order.OLDEST, limit=len(keys), each=1, body=False).jobs if keys else []


def free_turns(store: Guard, waiting: Sequence[StoredJob], freed: Mapping[str, int | None]) -> dict[str, int]:
    """The lowest free turn of each key whose first waiting job is given; keys of which all are taken are left out.

    Args:
        freed: the turn that was just left, where that is known: it is not looked for.
    """
    free: dict[str, int] = {}
    unknown: dict[str, int] = {}
    for job in waiting:
        key = job.key or ""
        turn = freed.get(key)
        if turn is not None:
            free[key] = turn
        else:
            unknown[key] = job.turns
    taken: dict[str, set[int]] = {key: set() for key in unknown}
    if unknown:
        for holder in store.each(Where(keys=tuple(unknown), states=_TURN_HOLDERS), body=False):
            if holder.turn is not None:
                taken[holder.key or ""].add(holder.turn)
    for key, turns in unknown.items():
        turn = next((turn for turn in range(turns) if turn not in taken[key]), None)
        if turn is not None:
            free[key] = turn
    return free
