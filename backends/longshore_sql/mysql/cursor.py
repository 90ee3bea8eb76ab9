"""A cursor on a connection of our own that writes values into a statement quickly, and sends several in one trip.

The client library has no parameters: it writes each value into the text, and looks for each at what it is and which of
its signs mean something; and it waits for each answer. Here a value is written by its exact type, texts between quotes
where nothing in them means anything under any setting of the server, else by their digits, as bytes always are. What
nobody waits for goes together with what comes next.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import NoneType
from typing import Any, Final

from pymysql.cursors import Cursor

from longshore_sql.statements import Posting


class WritingCursor(Cursor, Posting):
    """Executes statements whose values are numbers, texts, bytes, None, and lists of these."""

    def __init__(self, connection: Any) -> None:
        super().__init__(connection)
        self._posted: list[str] = []

    def execute(self, query: str, args: Any = None) -> int:
        """Executes what was posted, and then this; how many rows this concerned."""
        text = query if args is None else query % written(args)
        if not self._posted:
            return super().execute(text)
        posted, self._posted = self._posted, []
        super().execute("; ".join([*posted, text]))
        for _ in posted:
            self.nextset()
        return self.rowcount

    def post(self, text: str, values: Sequence[Any] = (), /) -> None:
        """Executes a statement together with the next one; if it fails, that one is not executed."""
        self._posted.append(text % written(values))

    def forget(self) -> None:
        """Does not execute what was posted."""
        self._posted.clear()


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
