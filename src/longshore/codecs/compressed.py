"""Compression, around any codec."""

from __future__ import annotations

import zlib
from typing import Any, Final

from longshore.codecs.codec import Codec
from longshore.codecs.wrapper import Wrapper
from longshore.errors import InvalidValue, TooLarge

_AS_IT_WAS: Final = b"\0"
_DEFLATED: Final = b"\1"
_LARGEST: Final = 64 * 1024 * 1024


class Compressed(Wrapper):
    """What another codec gives, compressed with zlib where that makes it smaller.

    Args:
        inner: the codec within.
        least: bytes below which it is not tried.
        largest: bytes that the uncompressed form may have; what would swell to more is refused.
    """

    own_name = "zlib"

    def __init__(self, inner: Codec[Any], *, least: int = 1024, largest: int = _LARGEST) -> None:
        self.inner = inner
        self._least = least
        self._largest = largest

    def around(self, inner: Codec[Any]) -> Compressed:
        """The same compression around another codec."""
        return Compressed(inner, least=self._least, largest=self._largest)

    def close(self, data: bytes) -> bytes:
        """The bytes, compressed if that is worth it.

        Raises:
            TooLarge: they could not be opened again.
        """
        if len(data) > self._largest:
            raise TooLarge(f"expected at most {self._largest:,} bytes to compress, got {len(data):,}")
        if len(data) >= self._least:
            deflated = zlib.compress(data)
            if len(deflated) < len(data):
                return _DEFLATED + deflated
        return _AS_IT_WAS + data

    def open(self, data: bytes) -> bytes:
        """The bytes that were compressed.

        Raises:
            InvalidValue: these are no compressed ones.
            TooLarge: they would swell to more than the largest allowed.
        """
        mark, content = data[:1], data[1:]
        if mark == _AS_IT_WAS:
            return content
        if mark != _DEFLATED:
            raise InvalidValue("expected compressed bytes, got others")
        inflating = zlib.decompressobj()
        try:
            opened = inflating.decompress(content, self._largest + 1)
        except zlib.error as error:
            raise InvalidValue(f"expected compressed bytes: {error}") from error
        if len(opened) > self._largest:
            raise TooLarge(f"expected compressed bytes that swell to at most {self._largest:,}, these are more")
        if not inflating.eof or inflating.unused_data:
            raise InvalidValue("expected compressed bytes, whole and alone: some are missing or follow")
        return opened
