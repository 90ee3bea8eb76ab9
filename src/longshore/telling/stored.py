"""How replies and cursors are stored: under which keys, and with the name of the codec beside the bytes."""

from __future__ import annotations

from hashlib import blake2b
from typing import Any, Final

import msgspec
from msgspec import Struct

from longshore.codecs import TypedCodec
from longshore.errors import TooLarge

KIND: Final = "reply"


class Envelope(Struct, frozen=True, array_like=True):
    """A value's bytes, and the codec that they were written with."""

    codec: str
    data: bytes


def packed(value: Any, codec: TypedCodec[Any], what: str, most: int) -> bytes:
    """A value as it is stored.

    Raises:
        InvalidValue: it has no form in the codec's format, or would not come back.
        TooLarge: it takes more than ``most`` bytes.
    """
    data = codec.encode(value)
    codec.decode(data, codec.name)
    if len(data) > most:
        raise TooLarge(f"{what} takes {len(data):,} bytes, more than the {most:,} allowed: store it elsewhere")
    return msgspec.msgpack.encode(Envelope(codec.name, data))


def unpacked(stored: bytes, codec: TypedCodec[Any]) -> Any:
    """The value that was packed.

    Raises:
        InvalidValue: it is not of the type that is asked for.
        UnknownCodec: it was written with a codec that is not known here.
    """
    envelope = msgspec.msgpack.decode(stored, type=Envelope)
    return codec.decode(envelope.data, envelope.codec)


def run_prefix(identity: str, generation: int) -> str:
    """What the keys of all replies of one run begin with, and no others."""
    # A digest: it is short for ids of any length, and none begins with another.
    return f"{blake2b(identity.encode(), digest_size=16).hexdigest()}:{generation:010}:"


def reply_key(prefix: str, number: int) -> str:
    """The key of one reply; later ones follow in the order of bytes."""
    return f"{prefix}{number:010}"


def number_of(key: str) -> int:
    """Which reply of its run it is."""
    return int(key.rpartition(":")[2])
