"""How workers share the tokens of one limit: what the record should become when one of them asks."""

from __future__ import annotations

from msgspec import Struct
from msgspec.structs import replace

from longshore.contract import Instant
from longshore.limits.stored import StoredLimit


class Asking(Struct, frozen=True):
    """What a worker asks for: jobs for its ``free`` slots, and so many ``wanted`` in all.

    Without ``is_claiming`` nothing is taken: what lies here unused is given back. ``monotonic`` is by the process's own
    clock, ``now`` by the store's.
    """

    holder: str
    wanted: int
    free: int
    monotonic: float
    now: Instant = 0
    is_claiming: bool = True
    is_ending: bool = False


class Standing(Struct, frozen=True):
    """How a worker stands to its tokens: how many are in use, and whether it should let go of the others."""

    used: int
    is_unused: bool
    is_turn_over: bool


def has_rivals(stored: StoredLimit, holder: str) -> bool:
    """Whether others wait for tokens."""
    return any(each != holder for each in stored.waiting)


def shared_out(stored: StoredLimit, asking: Asking, standing: Standing) -> StoredLimit:
    """The record with the share that the worker should have, and with whether it waits for more."""
    running, holder = stored.rule.running, asking.holder
    if running is None:
        return stored.without([holder])
    others = sum(stored.shares.values()) - stored.shares.get(holder, 0)
    fair = running // len(stored.parties | {holder})
    # What runs counts, also where it should not have begun: before the limit was known here.
    mine = max(stored.shares.get(holder, 0), standing.used)
    kept = _kept(mine, running - others, fair, has_rivals(stored, holder), asking, standing)
    share = kept
    if kept == mine and asking.is_claiming and not asking.is_ending:
        share += _taken(mine, running - others - mine, fair, has_rivals(stored, holder), asking, standing.used)
    shares = {name: number for name, number in stored.shares.items() if name != holder} | {holder: share}
    is_short = share - standing.used < asking.free and share < min(running, max(1, fair))
    waits = is_short if asking.is_claiming else holder in stored.waiting and not standing.is_unused
    waiting = [each for each in stored.waiting if each != holder or (waits and not asking.is_ending)]
    if waits and not asking.is_ending and holder not in waiting:
        waiting.append(holder)
    return replace(stored, shares={name: number for name, number in shares.items() if number}, waiting=tuple(waiting))


def _kept(mine: int, room: int, fair: int, rivals: bool, asking: Asking, standing: Standing) -> int:
    """How many of its tokens a worker keeps, those in use at least."""
    used = standing.used
    if asking.is_ending or standing.is_unused:
        return used
    if mine > room:
        return max(used, room)
    if rivals:
        needed = min(mine, used + asking.free)
        return max(used, min(needed, fair)) if standing.is_turn_over else needed
    return mine


def _taken(mine: int, left: int, fair: int, rivals: bool, asking: Asking, used: int) -> int:
    """How many more a worker takes: for its free slots, and ahead of them no more than half of what is left."""
    spare = mine - used
    need = asking.wanted - spare
    if need <= 0 or left <= 0:
        return 0
    most = min(left, max(asking.free - spare, left // 2))
    if rivals:
        most = min(most, max(1, fair) - mine)
    # More than is needed now, so that a worker whose wants grow does not come back each time.
    return max(0, min(most, max(need, mine // 2)))
