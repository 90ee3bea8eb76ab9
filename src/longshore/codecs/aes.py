"""AES-GCM; imported only where something is encrypted, since ``cryptography`` may not be installed."""

from __future__ import annotations

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM


def encrypt(key: bytes, nonce: bytes, data: bytes, about: bytes) -> bytes:
    """The data, encrypted and bound to what is said about it."""
    return AESGCM(key).encrypt(nonce, data, about)


def decrypt(key: bytes, nonce: bytes, data: bytes, about: bytes) -> bytes | None:
    """The data that was encrypted; None if it, or what is said about it, was changed."""
    try:
        return AESGCM(key).decrypt(nonce, data, about)
    except InvalidTag:
        return None
