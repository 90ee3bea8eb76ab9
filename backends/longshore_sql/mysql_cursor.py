"""A cursor that writes values into a statement quickly, on a connection of our own.

The client library has no parameters: it writes each value into the text, and looks for each at what it is and which of
its signs mean something. Here a value is written by its exact type, texts between quotes where nothing in them means
anything under any setting of the server, else by their digits, as bytes always are.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import NoneType
from typing import Any, Final

from pymysql.cursors import Cursor


class WritingCursor(Cursor):
    """Executes statements whose values are numbers, texts, bytes, None, and lists of these."""

    def execute(self, query: str, args: Any = None) -> int:
        """Executes one statement, or several without values; how many rows it concerned."""
        return super().execute(query if args is None else query % written(args))


def written(values: Sequence[Any]) -> tuple[str, ...]:
    """Each value as it stands in a statement."""
    return tuple([_WRITTEN[type(value)](value) for value in values])


def _text(value: str) -> str:
    if "'" in value or "\\" in value:
        return f"_utf8mb4 x'{value.encode().hex()}'"
    return f"'{value}'"


def _bytes(value: bytes | bytearray) -> str:
    return f"x'{value.hex()}'"


def _listed(values: Sequence[Any]) -> str:
    return f"({','.join(written(values))})"


_WRITTEN: Final[Mapping[type, Callable[[Any], str]]] = {
    bool: lambda value: "1" if value else "0",
    bytearray: _bytes,
    bytes: _bytes,
    int: int.__repr__,
    list: _listed,
    NoneType: lambda value: "NULL",
    str: _text,
    tuple: _listed,
}
