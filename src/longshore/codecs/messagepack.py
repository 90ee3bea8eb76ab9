"""MessagePack, with the types that annotations name: smaller than JSON where there are bytes and numbers."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from longshore.codecs.codec import Codec, T, restore, simplify
from longshore.errors import ConfigurationError, InvalidValue

_encoder = msgspec.msgpack.Encoder(enc_hook=simplify)


class MessagePackCodec(Codec[T]):
    """MessagePack of one type. Its integers have at most 64 bits; a datetime with a time zone comes back in UTC.

    Raises:
        ConfigurationError: the type's values could not be told apart in MessagePack.
    """

    name = "messagepack"

    def __init__(self, kind: Any) -> None:
        try:
            self._decoder: msgspec.msgpack.Decoder[T] = msgspec.msgpack.Decoder(kind, dec_hook=restore)
        except (TypeError, NotImplementedError) as error:
            raise ConfigurationError(f"expected a type that can come back from MessagePack: {error}") from error

    def __repr__(self) -> str:
        return "<Codec messagepack>"

    def of(self, kind: Any) -> MessagePackCodec[Any]:
        """MessagePack of another type."""
        return MessagePackCodec(kind)

    def encode(self, value: T) -> bytes:
        """The value as bytes."""
        try:
            return _encoder.encode(value)
        except (TypeError, NotImplementedError, ValueError, OverflowError, RecursionError) as error:
            raise InvalidValue(f"expected a value that has a form in MessagePack: {error}") from error

    def decode(self, data: bytes) -> T:
        """The value that was encoded, as its type says."""
        try:
            return self._decoder.decode(data)
        except (msgspec.MsgspecError, NotImplementedError, ValueError, TypeError, RecursionError) as error:
            raise InvalidValue(str(error)) from error


MESSAGEPACK: Final[MessagePackCodec[Any]] = MessagePackCodec(Any)
