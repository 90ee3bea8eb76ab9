"""Whole rows of jobs, read as few values.

The client library is written in Python, and takes a microsecond for each value of a row and ten for the name of each
column. So the server puts all that is short into one text, which is taken apart in a moment, and what few jobs have is
read for these alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from operator import itemgetter
from typing import Any, Final

from msgspec import json
from sqlalchemy import ColumnElement, func, or_

from longshore_sql.rows import COLUMNS
from longshore_sql.statements import Row

RARE: Final = ("parents", "notes", "cursor", "result")
"""What may be long, and few jobs that are claimed have."""
_TOGETHER: Final = tuple(name for name in COLUMNS if name not in {*RARE, "digest", "payload"})
_arranged: Final = itemgetter(*map((*_TOGETHER, "row", "digest", "payload", *RARE).index, (*COLUMNS, "row")))
_decode: Final = json.Decoder(list[Any]).decode
_NOTHING: Final = (None,) * len(RARE)

Rest = Callable[[list[int]], Mapping[int, Row]]
"""`RARE` of those rows, by what tells them apart."""


def packed(columns: Sequence[ColumnElement[Any]]) -> list[ColumnElement[Any]]:
    """What to read for `COLUMNS` and what tells rows apart."""
    named = dict(zip((*COLUMNS, "row"), columns, strict=True))
    has_more = or_(*(named[name].is_not(None) for name in RARE))
    together = func.json_array(*(named[name] for name in _TOGETHER), named["row"], has_more, func.hex(named["digest"]))
    return [together, named["payload"]]


def unpacked(found: Iterable[Row], rest: Rest) -> list[Row]:
    """The rows as they would have been read."""
    taken = [(_decode(together), payload) for together, payload in found]
    more = [short[-3] for short, _ in taken if short[-2]]
    rare = rest(more) if more else {}
    return [
        _arranged((*short[:-2], bytes.fromhex(short[-1]), payload, *rare.get(short[-3], _NOTHING)))
        for short, payload in taken
    ]
