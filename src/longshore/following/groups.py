"""When a group is sealed and its last member has ended, its callback is inserted: once."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from typing import Final

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from longshore.contract import SECOND, UNENDED, NewJob, State, Where, Write
from longshore.errors import IdConflict, StoreError
from longshore.guard import Guard
from longshore.motion import in_motion

_log = logging.getLogger("longshore.worker")
SEALED: Final = "group"
CALLED: Final = "group called"
"""The kinds of the records of groups that wait for their last member, and of those that have called back."""
_REMEMBERED: Final = 90 * 86_400 * SECOND


class _Seal(Struct, frozen=True):
    callback: NewJob


def callback_id(group: str) -> str:
    """The id of the one callback that a group ever has."""
    return f"group:{group}:done"


def seal(store: Guard, group: str, callback: NewJob) -> None:
    """No more members are to come: the callback is inserted when the last has ended, perhaps now.

    Raises:
        IdConflict: the group was sealed with another callback before.
    """
    value = msgspec.json.encode(_Seal(replace(callback, id=callback_id(group), group=None)))
    known = store.read(CALLED, [group])
    if not known and store.write([Write(SEALED, group, value, 0)])[0] is None:
        known = store.read(SEALED, [group]) or store.read(CALLED, [group])
    if known and known[0].value != value:
        raise IdConflict(f"expected group {group!r} to be open; it was sealed with another callback before")
    complete(store, [group])


def complete(store: Guard, groups: Sequence[str]) -> list[NewJob]:
    """Inserts the callbacks of those of these groups that are sealed and have no member left; gives what was inserted.

    The seals are read before the members: who is added after the sealing is not waited for. Of several stores each may
    have members; one that does not answer may too, so what is asked for one of them is left to upkeep then.
    """
    try:
        return _complete(store, groups)
    except StoreError as error:
        if store.whole is store:
            raise
        _log.warning("groups call back later: %s", error)
        return []


def _complete(part: Guard, groups: Sequence[str]) -> list[NewJob]:
    store = part.whole
    seals = {record.key: record for record in store.read(SEALED, groups)}
    ended = list(seals)
    for each in (part, store) if part is not store else (store,):  # Most have all their members where one has ended.
        ended = _without_members(each, ended)
    if not ended or in_motion(store):
        return []  # Members may be in another store, or on their way.
    callbacks = [msgspec.json.decode(seals[group].value, type=_Seal).callback for group in ended]
    store.insert(callbacks)
    # A crash before this leaves a callback that is inserted once more, under its id: nothing is doubled.
    store.write([Write(CALLED, group, seals[group].value, lifetime=_REMEMBERED) for group in ended])
    store.write([Write(SEALED, group, None, seals[group].version) for group in ended])
    return callbacks


def complete_all(store: Guard) -> list[NewJob]:
    """The same for every sealed group: what a crash has left."""
    callbacks: list[NewJob] = []
    after: str | None = None
    while records := store.read(SEALED, after=after, limit=500):
        callbacks += complete(store, [record.key for record in records])
        after = records[-1].key
    return callbacks


def _without_members(store: Guard, groups: list[str]) -> list[str]:
    """Those in which every member has ended.

    A look at one state alone costs nothing however many members there are, but only a look at all states at once is
    sure: between two looks a member may go from one state to another.
    """
    for states in ((State.PENDING,), (State.WAITING,), tuple(UNENDED)):
        groups = _without(store, groups, states)
    return groups


def _without(store: Guard, groups: list[str], states: Iterable[State]) -> list[str]:
    if not groups:
        return []
    where = Where(groups=groups, states=tuple(states))
    found = {job.group for job in store.select(where, limit=len(groups), each=1, body=False).jobs}
    return [group for group in groups if group not in found]
