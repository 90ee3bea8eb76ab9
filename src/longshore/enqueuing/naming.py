"""Under which ids calls are stored: where there are several stores, an id says in which of them its job lives."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from longshore.calls.call import Bonds, Call
from longshore.errors import PartialInsert, StoreError, Unavailable
from longshore.guard import Guard

_NO_BONDS = Bonds()


class Naming:
    """The ids of calls: their own, or new ones, made so that jobs which wait for each other live in one place.

    Args:
        given: the calls as others name them as their parents, in the same order.

    Attributes:
        ids: in the order of the calls.
        is_bound: whether one of them is tied to others.
    """

    def __init__(
        self, store: Guard, calls: Sequence[Call[Any]], make_id: Callable[[], str], given: Sequence[Call[Any]]
    ) -> None:
        self.calls = calls
        self.given = given
        self._store = store
        self._make_id = make_id
        self.ids = [call.options.id or "" for call in calls]
        self._movable: set[str] = set()
        self.is_bound = any(call.options.bonds is not None for call in calls)
        self._name(range(len(calls)))

    def part(self, start: int, stop: int) -> Naming:
        """The same for some of the calls, with the ids they have."""
        part = Naming(self._store, (), self._make_id, self.given[start:stop])
        part.calls, part.ids, part.is_bound = self.calls[start:stop], self.ids[start:stop], self.is_bound
        part._movable = self._movable.intersection(part.ids)
        return part

    def moves(self, error: StoreError | PartialInsert) -> bool:
        """Whether some of the jobs have new ids now, under which another store may take them: of those that were named
        here, only what is certainly not stored, now or by any call before."""
        cause = error.__cause__ if isinstance(error, PartialInsert) else error
        elsewhere = cause.elsewhere if isinstance(cause, Unavailable) else frozenset()
        self._movable &= elsewhere
        moving = [place for place, name in enumerate(self.ids) if name in self._movable]
        for place in moving:
            self.ids[place] = ""
        self._name(moving)
        return bool(moving)

    def _name(self, places: Sequence[int]) -> None:
        if self.is_bound:
            self._name_families(places)
            return
        for place in places:
            if not self.ids[place]:
                slot = self.calls[place].slot
                self._give(place, [slot.key] if slot else ())

    def _name_families(self, places: Sequence[int]) -> None:
        for family in self._families(places):
            beside = self._names_of(family)
            for place in family:
                if not self.ids[place]:
                    self._give(place, beside)
                    beside = beside or [self.ids[place]]

    def _give(self, place: int, beside: Sequence[str]) -> None:
        self.ids[place] = name = self._store.name(self._make_id(), beside=beside)
        self._movable.add(name)

    def _families(self, places: Sequence[int]) -> Iterable[Sequence[int]]:
        """The places of calls that wait for each other, together."""
        head = list(range(len(self.calls)))
        for place, parent in self._ties():
            mine, other = _head_of(head, place), _head_of(head, parent)
            head[max(mine, other)] = min(mine, other)
        families: dict[int, list[int]] = {}
        for place in places:
            families.setdefault(_head_of(head, place), []).append(place)
        return families.values()

    def _ties(self) -> Iterator[tuple[int, int]]:
        """The places of each call that waits for another of the bulk, and of that."""
        at = {id(call): place for place, call in enumerate(self.given)}
        named = {name: place for place, name in enumerate(self.ids) if name}
        for place, call in enumerate(self.calls):
            for parent in (call.options.bonds or _NO_BONDS).after:
                within = at.get(id(parent)) if isinstance(parent, Call) else named.get(_text_of(parent))
                if within is not None:
                    yield place, within

    def _names_of(self, family: Sequence[int]) -> list[str]:
        """What the family must live beside: what names its jobs or what they wait for; else its groups."""
        names: list[str] = []
        groups: list[str] = []
        for place in family:
            call = self.calls[place]
            bonds = call.options.bonds or _NO_BONDS
            own = (self.ids[place], call.slot and call.slot.key, bonds.key)
            names += [name for name in (*own, *map(_text_of, bonds.after)) if name]
            groups += [bonds.group] if bonds.group else []
        return names or groups


def _head_of(head: list[int], place: int) -> int:
    while head[place] != place:
        head[place] = head[head[place]]
        place = head[place]
    return place


def _text_of(parent: Any) -> str:
    """The id of a parent that is no call of this bulk; empty for one that is, or is none."""
    name = parent if isinstance(parent, str) else getattr(parent, "id", None)
    return name if isinstance(name, str) else ""
