"""What was called, told so that it can be read."""

from __future__ import annotations

import time
from collections.abc import Mapping
from enum import Enum
from typing import Any

from msgspec import NODEFAULT, Struct
from msgspec.structs import fields


class EnoughTried(BaseException):
    """Ends the search, for more sequences or for a shorter one: Hypothesis knows no such bound."""


class Search:
    """How long sequences are tried, and the shortest that failed."""

    def __init__(self, seconds: float, seconds_to_shorten: float) -> None:
        self._end = time.monotonic() + seconds
        self._seconds_to_shorten = seconds_to_shorten
        self.is_over = False
        self.shortest: list[str] | None = None

    def begin(self) -> None:
        """Begins one more sequence; raises `EnoughTried` when time is up."""
        self.is_over = time.monotonic() > self._end
        if self.is_over:
            raise EnoughTried

    def failed(self, story: list[str]) -> None:
        """Keeps a sequence that failed, if it is the shortest."""
        if self.shortest is None:
            self._end = time.monotonic() + self._seconds_to_shorten
        if self.shortest is None or (len(story), len(str(story))) < (len(self.shortest), len(str(self.shortest))):
            self.shortest = list(story)


def shown(value: Any) -> str:
    """A value as it would be written, without what has its default."""
    if isinstance(value, Struct):
        given = [(field, getattr(value, field.name)) for field in fields(value)]
        words = [f"{field.name}={shown(found)}" for field, found in given if not _is_default(field, found)]
        return f"{type(value).__name__}({', '.join(words)})"
    if isinstance(value, Enum):
        return f"{type(value).__name__}.{value.name}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(shown(element) for element in value)}]"
    if isinstance(value, frozenset):
        return "{" + ", ".join(sorted(shown(element) for element in value)) + "}"
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key!r}: {shown(found)}" for key, found in value.items()) + "}"
    return repr(value)


def _is_default(field: Any, value: Any) -> bool:
    if field.default_factory is not NODEFAULT:
        return bool(value == field.default_factory())
    return bool(value == field.default)
