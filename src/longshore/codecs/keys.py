"""Secret keys: 32 random bytes each."""

from __future__ import annotations

import binascii
import hmac
import secrets
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Sequence
from typing import Final

from longshore.errors import ConfigurationError

KEY_BYTES: Final = 32


def new_key() -> str:
    """A new random key, as text for an environment variable or a secret store."""
    return urlsafe_b64encode(secrets.token_bytes(KEY_BYTES)).decode()


class Key:
    """A secret that does not show."""

    __slots__ = ("_secret", "identity")

    def __init__(self, secret: bytes) -> None:
        self._secret = secret
        self.identity = self.derive(b"identity")[:8]

    def __repr__(self) -> str:
        return f"<Key {self.identity.hex()}>"

    def derive(self, *purpose: bytes) -> bytes:
        """Another key or a signature, from which this one cannot be told."""
        return hmac.digest(self._secret, b"longshore " + b"\0".join(purpose), "sha256")


def keys_of(given: Sequence[bytes | str | Key]) -> tuple[Key, ...]:
    """The keys that an application gives, each as 32 bytes or as the text that `new_key` makes of them.

    Raises:
        ConfigurationError: there is none, or one is of another form.
    """
    if isinstance(given, bytes | str):
        raise ConfigurationError("expected a list of keys, got a single one: write keys=[key]")
    if not given:
        raise ConfigurationError("expected at least one key: make one with longshore.codecs.new_key()")
    return tuple(_key(each, place) for place, each in enumerate(given, 1))


def _key(given: object, place: int) -> Key:
    if isinstance(given, Key):
        return given
    secret = given
    if isinstance(given, str):
        try:
            secret = urlsafe_b64decode(given)
        except (binascii.Error, ValueError):
            secret = None
    if isinstance(secret, bytes) and len(secret) == KEY_BYTES:
        return Key(secret)
    # What came is not told: it may be a key with a slip of the pen.
    raise ConfigurationError(f"key {place} must be {KEY_BYTES} bytes, or a text as longshore.codecs.new_key() makes it")
