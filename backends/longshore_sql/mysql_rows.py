"""Whole rows of jobs, read as few values.

The client library is written in Python, and takes half a microsecond for each value of a row and ten for the name of
each column. So the server puts all that is short into one text, which is taken apart in a moment.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from operator import itemgetter
from typing import Any, Final

from msgspec import json
from sqlalchemy import ColumnElement, func

from longshore_sql.rows import COLUMNS
from longshore_sql.statements import Row

_BY_THEMSELVES: Final = ("digest", "parents", "notes", "payload", "cursor", "result")
"""What is binary, or may be long."""
_TOGETHER: Final = tuple(name for name in COLUMNS if name not in _BY_THEMSELVES)
_arranged: Final = itemgetter(*map((*_TOGETHER, *_BY_THEMSELVES, "row").index, (*COLUMNS, "row")))
_decode: Final = json.Decoder(list[Any]).decode


def packed(columns: Sequence[ColumnElement[Any]]) -> list[ColumnElement[Any]]:
    """What to read for `COLUMNS` and what tells rows apart."""
    named = dict(zip((*COLUMNS, "row"), columns, strict=True))
    together = func.json_array(*(named[name] for name in _TOGETHER))
    return [together, *(named[name] for name in _BY_THEMSELVES), named["row"]]


def unpacked(rows: Iterable[Row]) -> list[Row]:
    """The rows as they would have been read."""
    return [_arranged((*_decode(together), *others)) for together, *others in rows]
