"""JSON, with the types that annotations name."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from longshore.codecs.codec import Codec, T, restore, simplify
from longshore.codecs.ordered import in_order
from longshore.errors import ConfigurationError, InvalidValue

_encoder = msgspec.json.Encoder(enc_hook=simplify)
_canonical_encoder = msgspec.json.Encoder(enc_hook=simplify, order="deterministic")


class JsonCodec(Codec[T]):
    """JSON of one type.

    Raises:
        ConfigurationError: the type's values could not be told apart in JSON.
    """

    name = "json"

    def __init__(self, kind: Any) -> None:
        try:
            self._decoder: msgspec.json.Decoder[T] = msgspec.json.Decoder(kind, dec_hook=restore)
        except (TypeError, NotImplementedError) as error:
            raise ConfigurationError(f"expected a type that can come back from JSON: {error}") from error

    def __repr__(self) -> str:
        return "<Codec json>"

    def of(self, kind: Any) -> JsonCodec[Any]:
        """JSON of another type."""
        return JsonCodec(kind)

    def encode(self, value: T) -> bytes:
        """The value as bytes."""
        try:
            return _encoder.encode(value)
        except (TypeError, NotImplementedError, ValueError, OverflowError, RecursionError) as error:
            raise InvalidValue(f"expected a value that has a form in JSON: {error}") from error

    def decode(self, data: bytes) -> T:
        """The value that was encoded, as its type says."""
        try:
            return self._decoder.decode(data)
        except (msgspec.MsgspecError, NotImplementedError, ValueError, TypeError, RecursionError) as error:
            raise InvalidValue(str(error)) from error


JSON: Final[JsonCodec[Any]] = JsonCodec(Any)


def canonical(value: object) -> bytes:
    """Bytes that are equal when values are: keys and the members of sets stand in order.

    Raises:
        InvalidValue: it has no form in JSON.
    """
    try:
        return _canonical_encoder.encode(in_order(value))
    except (TypeError, NotImplementedError, ValueError, OverflowError, RecursionError) as error:
        raise InvalidValue(
            f"arguments that are to be compared must have a form in JSON, or give key=: {error}"
        ) from error
