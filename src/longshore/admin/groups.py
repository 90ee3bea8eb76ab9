"""The groups that an operator sees."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct

from longshore.contract import By, State, Where
from longshore.following import CALLED, SEALED
from longshore.guard import Guard


class GroupInfo(Struct, frozen=True, kw_only=True):
    """A group that has members, or was sealed."""

    name: str
    sealed: bool
    """Whether it calls back when its members have ended, or has."""
    called: bool
    members: Mapping[State, int]
    """How many are in each state, of those that are stored."""


def shown_groups(store: Guard, name: str | None = None) -> list[GroupInfo]:
    """One group, or all that are known, by name."""
    members: dict[str, dict[State, int]] = {}
    where = Where() if name is None else Where(groups=(name,))
    for (group, state), number in store.count(By.GROUP_STATE, where).items():
        members.setdefault(str(group), {})[State(state)] = number
    sealed, called = (_recorded(store, kind, name) for kind in (SEALED, CALLED))
    return [
        GroupInfo(name=group, sealed=group in sealed | called, called=group in called, members=members.get(group, {}))
        for group in sorted(members.keys() | sealed | called)
    ]


def _recorded(store: Guard, kind: str, name: str | None) -> set[str]:
    if name is not None:
        return {record.key for record in store.read(kind, [name])}
    names: set[str] = set()
    after: str | None = None
    while records := store.read(kind, after=after):
        names |= {record.key for record in records}
        after = records[-1].key
    return names
