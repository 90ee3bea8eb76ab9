"""Records of several stores: each at the home of its key."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from longshore.contract import KEPT_IN_EACH, Record, Write
from longshore_multi.asking import Asked, of_all, of_some
from longshore_multi.homes import Homes
from longshore_multi.part import Part


def read(parts: Mapping[str, Part], homes: Homes, kind: str, keys: Sequence[str] | None, **how: Any) -> list[Record]:
    """The live records of keys, or of a prefix; by key.

    Raises:
        Unavailable: a store did not answer that may have one of them.
    """
    if kind in KEPT_IN_EACH:
        found = of_some(parts.values(), lambda part: part.read(kind, keys, **how))
    elif keys is not None:
        of_part = {tag: [keys[place] for place in places] for tag, places in _places(homes, keys).items()}
        found = of_all([parts[tag] for tag in of_part], lambda part: part.read(kind, of_part[part.tag], **how))
    else:
        found = of_all(_with_prefix(parts, homes, how["prefix"]), lambda part: part.read(kind, **how))
    return _merged(found)[: how["limit"]]


def write(parts: Mapping[str, Part], homes: Homes, writes: Sequence[Write]) -> list[int | None]:
    """Writes each at its home, and answers each.

    Raises:
        Unavailable: a store did not answer; the others have theirs.
    """
    versions: dict[int, int | None] = {}
    asked = Asked()
    for tag, places in _places(homes, [write.key for write in writes]).items():
        of_part = [writes[place] for place in places]
        answers = asked.ask(lambda tag=tag, of_part=of_part: parts[tag].write(of_part))  # type: ignore[misc]
        versions.update(zip(places, answers or (), strict=answers is not None))
    for write in writes:
        if write.kind in KEPT_IN_EACH and write.version is None:
            for part in parts.values():
                if part.tag != homes.of(write.key):
                    asked.ask(lambda part=part, write=write: part.write([write]))  # type: ignore[misc]
    asked.must_be_whole()
    return [versions[place] for place in range(len(writes))]


def _places(homes: Homes, keys: Sequence[str]) -> dict[str, list[int]]:
    places: dict[str, list[int]] = {}
    for place, key in enumerate(keys):
        places.setdefault(homes.of(key), []).append(place)
    return places


def _with_prefix(parts: Mapping[str, Part], homes: Homes, prefix: str) -> list[Part]:
    """Where records with keys of this prefix are: what belongs to a job with a tag is with it."""
    tag = homes.tag_in(prefix) if prefix.endswith(":") else None
    return list(parts.values()) if tag is None else [parts[tag]]


def _merged(found: Sequence[Sequence[Record]]) -> list[Record]:
    by_key: dict[str, Record] = {}
    for records in found:
        for record in records:
            by_key.setdefault(record.key, record)
    return sorted(by_key.values(), key=lambda record: record.key.encode())
