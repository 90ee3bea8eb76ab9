"""What a codec is, and what every codec must bring back."""

from __future__ import annotations

import math
from pathlib import PurePath
from typing import Any, Protocol, TypeVar, runtime_checkable

T = TypeVar("T")

NATIVE = (str, int, bool, type(None))
"""What JSON gives back as it was, without an annotation; finite floats, and lists and dictionaries of these too."""


@runtime_checkable
class Codec(Protocol[T]):
    """How values become bytes and come back. Immutable, and used by many threads at once.

    A codec as an application chooses it takes whatever its format knows; `of` gives the one for values of a type.
    """

    @property
    def name(self) -> str:
        """Under which it is stored beside each payload: small letters, digits, ``.`` and ``-``; a codec around another
        one adds ``+`` and its own name."""

    @property
    def keeps_types(self) -> bool:
        """Whether values come back as they were without an annotation. Arguments are then given to it as a dictionary
        by name."""
        return False

    def of(self, kind: Any) -> Codec[Any]:
        """The same codec for values of one type.

        Raises:
            longshore.errors.ConfigurationError: the type's values could not be told apart.
        """

    def encode(self, value: T) -> bytes:
        """The value as bytes.

        Raises:
            longshore.errors.InvalidValue: it has no form in them.
        """

    def decode(self, data: bytes) -> T:
        """The value that was encoded, as its type says.

        Raises:
            longshore.errors.InvalidValue: the bytes are no such value.
        """

    def fingerprint(self, data: bytes) -> bytes:
        """Bytes that are equal where the encoded values are: those that were encoded, unless a value gives others each
        time."""
        return data


def is_native(value: object) -> bool:
    """Whether JSON gives this value back as it is."""
    kind = type(value)
    if kind in NATIVE:
        return True
    if kind is float:
        return math.isfinite(value)  # type: ignore[arg-type]
    if kind is list:
        return all(is_native(item) for item in value)  # type: ignore[attr-defined]
    if kind is dict:
        return all(type(key) is str and is_native(item) for key, item in value.items())  # type: ignore[attr-defined]
    return False


def simplify(value: object) -> object:
    """A path or a pydantic model as texts, numbers, lists and dictionaries."""
    if isinstance(value, PurePath):
        return str(value)
    dump = getattr(value, "model_dump", None)
    if dump is not None:
        return dump(mode="json")
    raise NotImplementedError(f"{type(value).__qualname__} has no form in JSON or its like")


def restore(kind: type, value: object) -> object:
    """A path or a pydantic model of what `simplify` made of it."""
    if issubclass(kind, PurePath):
        return kind(value)  # type: ignore[arg-type]
    validate = getattr(kind, "model_validate", None)
    if validate is not None:
        return validate(value)
    raise NotImplementedError(f"{kind.__qualname__} has no form in JSON or its like")
