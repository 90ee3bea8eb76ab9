"""How arguments and results become bytes and come back: JSON, with the types that annotations name.

Dataclasses, `datetime`, `UUID`, `Decimal`, `bytes`, enums, sets, tuples and named tuples come back as annotated; so do
paths, and pydantic models where pydantic is installed.
"""

from __future__ import annotations

import math
from pathlib import PurePath
from typing import Any, Generic, TypeVar

import msgspec

from longshore.errors import ConfigurationError, InvalidValue

T = TypeVar("T")

NATIVE = (str, int, bool, type(None))
"""What JSON gives back as it was, without an annotation; finite floats, and lists and dictionaries of these too."""


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


def _encode_other(value: object) -> object:
    if isinstance(value, PurePath):
        return str(value)
    dump = getattr(value, "model_dump", None)
    if dump is not None:
        return dump(mode="json")
    raise NotImplementedError(f"a {type(value).__qualname__} has no form in JSON")


def _decode_other(kind: type, value: object) -> object:
    if issubclass(kind, PurePath):
        return kind(value)  # type: ignore[arg-type]
    validate = getattr(kind, "model_validate", None)
    if validate is not None:
        return validate(value)
    raise NotImplementedError(f"{kind.__qualname__} has no form in JSON")


_encoder = msgspec.json.Encoder(enc_hook=_encode_other)


class JsonCodec(Generic[T]):
    """JSON of one type.

    Raises:
        ConfigurationError: the type's values could not be told apart in JSON.
    """

    name = "json"

    def __init__(self, kind: Any) -> None:
        try:
            self._decoder: msgspec.json.Decoder[T] = msgspec.json.Decoder(kind, dec_hook=_decode_other)
        except (TypeError, NotImplementedError) as error:
            raise ConfigurationError(f"expected a type that can come back from JSON: {error}") from error

    def encode(self, value: T) -> bytes:
        """The value as bytes.

        Raises:
            InvalidValue: it has no form in JSON.
        """
        try:
            return _encoder.encode(value)
        except (TypeError, NotImplementedError, ValueError, OverflowError, RecursionError) as error:
            raise InvalidValue(f"expected a value that has a form in JSON: {error}") from error

    def decode(self, data: bytes) -> T:
        """The value that was encoded, as its type says.

        Raises:
            InvalidValue: the bytes are no JSON, or not of this type.
        """
        try:
            return self._decoder.decode(data)
        except (msgspec.MsgspecError, NotImplementedError, ValueError, TypeError, RecursionError) as error:
            raise InvalidValue(str(error)) from error
