"""Which versions each side gave to its records: they differ, but must rise alike."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from longshore.contract import Write
from longshore.testing.model.drafts import WriteDraft

Side = Literal["memory", "store"]
Name = tuple[str, str]


class Versions:
    """The versions of every record, first to last."""

    def __init__(self) -> None:
        self._given: dict[Side, dict[Name, list[int]]] = {"memory": {}, "store": {}}

    def resolved(self, draft: WriteDraft, side: Side) -> Write:
        """The write, with the version that the draft names."""
        return Write(draft.kind, draft.key, draft.value, self._named(draft, side), draft.lifetime)

    def _named(self, draft: WriteDraft, side: Side) -> int | None:
        if draft.version == "any":
            return None
        given = self._given[side].get((draft.kind, draft.key), [])
        if draft.version == "none" or not given:
            return 0
        return given[-1] if draft.version == "current" else given[0]

    def last(self, kind: str, key: str) -> int | None:
        """The version that the store gave last."""
        given = self._given["store"].get((kind, key))
        return given[-1] if given else None

    def remember(self, writes: Sequence[Write], found: Sequence[int | None], wanted: Sequence[int | None]) -> None:
        """Keeps what was answered; a version must be larger than any before."""
        for write, version, other in zip(writes, found, wanted, strict=True):
            if version is None or other is None:
                continue
            name = (write.kind, write.key)
            given = self._given["store"].setdefault(name, [])
            assert not given or version > given[-1], f"gave version {version} of {name} after {given[-1]}"
            given.append(version)
            self._given["memory"].setdefault(name, []).append(other)
