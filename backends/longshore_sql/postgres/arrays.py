"""Lists as the text of PostgreSQL's arrays.

The library's own way asks each element for its type and its signs; for a thousand jobs of ten columns that takes longer
than the server needs to store them. A list is nearly always of one type, and then one look at all of it will do.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final

_BYTES: Final = {bytes, bytearray}


def array_text(values: Iterable[Any]) -> str:
    """The text of an array of texts, numbers or bytes; None is NULL."""
    listed = list(values)
    kinds = set(map(type, listed))
    if kinds == {str}:
        return _texts(listed)
    if kinds == {int}:
        return f"{{{str(listed)[1:-1]}}}"
    if kinds and kinds <= _BYTES:
        joined = '","\\\\x'.join([value.hex() for value in listed])
        return f'{{"\\\\x{joined}"}}'
    return f"{{{','.join(map(_element, listed))}}}"


def _texts(values: Sequence[str]) -> str:
    joined = '","'.join(values)
    if "\\" in joined or joined.count('"') > 2 * (len(values) - 1):
        joined = '","'.join(map(_escaped, values))
    return f'{{"{joined}"}}'


def _element(value: Any) -> str:
    if value is None:
        return "NULL"
    if isinstance(value, str):
        return f'"{_escaped(value)}"'
    if isinstance(value, bytes | bytearray):
        return f'"\\\\x{value.hex()}"'
    return str(int(value))


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"')
