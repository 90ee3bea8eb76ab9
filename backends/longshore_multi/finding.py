"""Finding jobs of several stores: which parts are asked for what."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from msgspec.structs import replace

from longshore.contract import Page, Where
from longshore_multi.asking import Asked
from longshore_multi.homes import Homes
from longshore_multi.paging import Question, merged
from longshore_multi.part import Part


class Finding:
    """One question about jobs."""

    def __init__(self, parts: Mapping[str, Part], homes: Homes, where: Where) -> None:
        self._parts = parts
        self._homes = homes
        self._where = where

    def select(self, question: Question, after: str | None) -> Page:
        """One page of them.

        Raises:
            Unavailable: a store did not answer that may have some of them.
        """
        ids = self._where.ids
        if ids is None:
            return merged(self._parts, self._wheres(), question, after)
        if after is not None or len(ids) > question.limit:
            return merged(self._parts, self._of_ids(self._located(ids)), question, after)
        page = merged(self._parts, self._of_ids(self._at_home(ids)), question, None)
        if page.after is not None or not self._strays(ids, {job.id for job in page.jobs}):
            return page
        located = self._located(ids)
        return page if located == self._at_home(ids) else merged(self._parts, self._of_ids(located), question, None)

    def delete(self, limit: int) -> list[str]:
        """Removes some of them, of each store the oldest.

        Raises:
            Unavailable: a store did not answer; the others removed theirs.
        """
        ids = self._where.ids
        wheres = self._wheres() if ids is None else self._of_ids(self._located(ids))
        asked = Asked()
        removed: list[str] = []
        for tag, where in wheres.items():
            left = limit - len(removed)
            if left > 0:
                removed += asked.ask(lambda tag=tag, where=where, left=left: self._remove(tag, where, left)) or []  # type: ignore[misc]
        asked.must_be_whole()
        return removed

    def _remove(self, tag: str, where: Where, limit: int) -> list[str]:
        return self._parts[tag].delete(where, limit=limit)

    def _wheres(self) -> dict[str, Where]:
        """What each part is asked: of what has a name only its home."""
        where = self._where
        for field in ("keys", "parents"):
            names = getattr(where, field)
            if names is not None:
                return {tag: replace(where, **{field: of_part}) for tag, of_part in self._at_home(names).items()}
        if where.unique_key is not None:
            return {self._homes.of(where.unique_key): where}
        return dict.fromkeys(self._parts, where)

    def _of_ids(self, ids: Mapping[str, Sequence[str]]) -> dict[str, Where]:
        return {tag: replace(self._where, ids=of_part) for tag, of_part in ids.items()}

    def _at_home(self, names: Iterable[str]) -> dict[str, list[str]]:
        at_home: dict[str, list[str]] = {}
        for name in dict.fromkeys(names):
            at_home.setdefault(self._homes.of(name), []).append(name)
        return at_home

    def _strays(self, ids: Iterable[str], found: set[str]) -> list[str]:
        """Those that are not where they should be, and may be elsewhere: they may be older than the list of stores."""
        return [name for name in dict.fromkeys(ids) if name not in found and self._homes.tag_in(name) is None]

    def _located(self, ids: Sequence[str]) -> dict[str, list[str]]:
        """The ids by where their jobs are; of those that are nowhere, by their homes."""
        located = self._at_home(ids)
        untagged = self._strays(ids, set())
        for tag, strays in self._at_home(untagged).items():
            here = self._there(self._parts[tag], strays)
            for part in self._parts.values():
                missing = [name for name in strays if name not in here]
                if missing and part.tag != tag:
                    there = self._there(part, missing)
                    here |= there
                    if there:
                        located[tag] = [name for name in located[tag] if name not in there]
                        located.setdefault(part.tag, []).extend(sorted(there))
        return {tag: names for tag, names in located.items() if names}

    @staticmethod
    def _there(part: Part, ids: Sequence[str]) -> set[str]:
        page = part.select(Where(ids=ids), limit=len(ids), body=False)
        return {job.id for job in page.jobs}
