"""Encryption, around any codec."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any, Final

from longshore.codecs.codec import Codec
from longshore.codecs.keys import Key, keys_of
from longshore.codecs.wrapper import Wrapper
from longshore.errors import MissingPackage, Tampered

_VERSION: Final = b"\1"
_KEY_ENDS: Final = 9
_SALT_ENDS: Final = 25
_HEADER_ENDS: Final = 37
"""A version, a key's id, a salt of 16 bytes and a nonce of 12."""


class Encrypted(Wrapper):
    """What another codec gives, encrypted with AES-256-GCM; needs the extra ``longshore[crypto]``.

    A payload that was changed, or moved under another codec's name, is refused. To change keys, give every process the
    new one behind the old one, then before it, and take the old one away when no job of its time is left.

    Args:
        inner: the codec within.
        keys: the first encrypts; what any of them has encrypted is read.

    Raises:
        MissingPackage: the package ``cryptography`` is not installed.
        ConfigurationError: a key is not of the form that `longshore.codecs.new_key` gives.
    """

    own_name = "aes-gcm"

    def __init__(self, inner: Codec[Any], *, keys: Sequence[bytes | str | Key]) -> None:
        try:
            from longshore.codecs import aes
        except ImportError as error:
            raise MissingPackage(f"encryption needs a package ({error}): pip install 'longshore[crypto]'") from error
        self.inner = inner
        self._aes = aes
        self._keys = keys_of(keys)
        self._by_identity = {key.identity: key for key in self._keys}

    def around(self, inner: Codec[Any]) -> Encrypted:
        """The same keys around another codec."""
        return Encrypted(inner, keys=self._keys)

    def close(self, data: bytes) -> bytes:
        """The bytes, encrypted with the first key."""
        key = self._keys[0]
        header = _VERSION + key.identity + os.urandom(_HEADER_ENDS - _KEY_ENDS)
        return header + self._aes.encrypt(_key_of(key, header), header[_SALT_ENDS:], data, self._about(header))

    def open(self, data: bytes) -> bytes:
        """The bytes that were encrypted.

        Raises:
            Tampered: they were changed, or encrypted with a key that is not given.
        """
        header, content = data[:_HEADER_ENDS], data[_HEADER_ENDS:]
        if len(header) < _HEADER_ENDS or header[:1] != _VERSION:
            raise Tampered("expected encrypted bytes, got others")
        identity = header[1:_KEY_ENDS]
        key = self._by_identity.get(identity)
        if key is None:
            raise Tampered(f"expected bytes that one of the keys given has encrypted; it was key {identity.hex()}")
        opened = self._aes.decrypt(_key_of(key, header), header[_SALT_ENDS:], content, self._about(header))
        if opened is None:
            raise Tampered(f"expected bytes as key {identity.hex()} has encrypted them; they were changed")
        return opened

    def fingerprint(self, data: bytes) -> bytes:
        """That of the codec within, keyed: who has no key cannot find the value by trying."""
        return self._keys[0].derive(b"fingerprint", super().fingerprint(data))

    def _about(self, header: bytes) -> bytes:
        return header + self.name.encode()


def _key_of(key: Key, header: bytes) -> bytes:
    # Each payload has its own: under a single key, random nonces run out after some billion payloads.
    return key.derive(b"payload", header[_KEY_ENDS:_SALT_ENDS])
