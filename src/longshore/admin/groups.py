"""The groups that an operator sees."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from msgspec import Struct

from longshore.contract import ENDED, UNENDED, By, State, Where
from longshore.following import CALLED, SEALED, callback_id
from longshore.guard import Guard

_BATCH: Final = 500


class GroupInfo(Struct, frozen=True, kw_only=True):
    """A group that has members, or was sealed, as it was when they were counted."""

    name: str
    members: Mapping[State, int]
    """How many are in each state, of those that are stored."""
    sealed: bool
    """Whether it calls back when its members have ended, or has."""
    called: bool
    """Whether all had ended, and the callback was stored."""
    callback: str | None
    """The id of the job that is the callback; None: the group is not sealed."""

    @property
    def size(self) -> int:
        """How many members are stored."""
        return sum(self.members.values())

    @property
    def ended(self) -> int:
        """How many of them have ended."""
        return sum(number for state, number in self.members.items() if state in ENDED)


def shown_groups(store: Guard, *, ended: bool) -> tuple[GroupInfo, ...]:
    """The groups of which a member has not ended, or that are about to call back, or all that are known, by name."""
    where = Where() if ended else Where(states=tuple(UNENDED))
    names = {str(group) for group, _ in store.count(By.GROUP_STATE, where)} | _recorded(store, SEALED)
    if ended:
        names |= _recorded(store, CALLED)
    every = sorted(names)
    batches = (every[start : start + _BATCH] for start in range(0, len(every), _BATCH))
    return tuple(info for batch in batches for info in _shown(store, batch))


def shown_group(store: Guard, name: str) -> GroupInfo | None:
    """One group; None: nothing of it is stored."""
    (info,) = _shown(store, [name])
    return info if info.size or info.sealed else None


def _shown(store: Guard, names: Sequence[str]) -> list[GroupInfo]:
    members = {name: dict.fromkeys(State, 0) for name in names}
    for (group, state), number in store.count(By.GROUP_STATE, Where(groups=names)).items():
        members[str(group)][State(state)] += number
    # In this order: a group that calls back in between is in both.
    sealed, called = ({record.key for record in store.read(kind, names)} for kind in (SEALED, CALLED))
    return [
        GroupInfo(
            name=name,
            members=members[name],
            sealed=name in sealed | called,
            called=name in called,
            callback=callback_id(name) if name in sealed | called else None,
        )
        for name in names
    ]


def _recorded(store: Guard, kind: str) -> set[str]:
    names: set[str] = set()
    after: str | None = None
    while records := store.read(kind, after=after):
        names |= {record.key for record in records}
        after = records[-1].key
    return names
