"""Changing jobs where they are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from longshore.contract import Answer, Change, Claim, Claimed
from longshore_multi.asking import Asked, choosable, shuffled
from longshore_multi.claiming import Taking
from longshore_multi.homes import Homes
from longshore_multi.part import Part


class Changing:
    """The changes of one call."""

    def __init__(self, parts: Mapping[str, Part], homes: Homes, changes: Sequence[Change]) -> None:
        self._parts = parts
        self._homes = homes
        self._changes = changes
        self._answers: dict[int, Answer] = {}
        self._asked = Asked()
        self._places: dict[str, list[int]] = {}
        for place, change in enumerate(changes):
            self._places.setdefault(homes.of(change.id), []).append(place)

    def update(self) -> list[Answer]:
        """Applies them, each at its home, and where it is if it is not there.

        Raises:
            Unavailable: a part did not answer; the others were changed.
        """
        for tag, places in self._places.items():
            self._change(tag, places)
        return self._whole()

    def exchange(
        self, claims: Sequence[Claim], *, holder: str, limit: int, max_bytes: int | None
    ) -> tuple[list[Answer], Claimed]:
        """The same, and claims: the last part is changed and claimed from in one step.

        Raises:
            Unavailable: a part did not answer; the others were changed, and nothing was claimed.
        """
        *before, (tag, places) = self._places.items()
        for other, of_other in before:
            self._change(other, of_other)
        self._asked.must_be_whole()
        taking = Taking(claims, holder=holder, limit=limit, max_bytes=max_bytes)
        some = [self._changes[place] for place in places]
        answers, claimed = self._parts[tag].exchange(some, claims, holder=holder, limit=limit, max_bytes=max_bytes)
        self._answers.update(zip(places, answers, strict=True))
        taking.add(claimed)
        others = [part for part in choosable(self._parts) if part.tag != tag and not part.rests]
        _without_failing(taking, others)
        return self._whole(), taking.taken()

    def _whole(self) -> list[Answer]:
        self._look_elsewhere()
        self._asked.must_be_whole()
        return [self._answers[place] for place in range(len(self._changes))]

    def _change(self, tag: str, places: Sequence[int]) -> None:
        changes = [self._changes[place] for place in places]
        answers = self._asked.ask(lambda: self._parts[tag].update(changes))
        if answers is not None:
            self._answers.update(zip(places, answers, strict=True))

    def _look_elsewhere(self) -> None:
        """Jobs may be older than the list of stores; not those whose id says where they are."""
        for tag in self._parts:
            missing = [
                place
                for place, answer in self._answers.items()
                if answer.state is None
                and self._homes.tag_in(self._changes[place].id) is None
                and self._homes.of(self._changes[place].id) != tag
            ]
            if missing:
                self._change(tag, missing)


def _without_failing(taking: Taking, parts: Sequence[Part]) -> None:
    """Takes from others what there is: what was claimed already must be given."""
    if not taking.is_enough:
        asked = Asked()
        asked.ask(lambda: taking.take_from(shuffled(parts)))
