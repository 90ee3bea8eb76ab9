"""Pickle, for applications that switch it on: signed, and verified before anything is loaded."""

from __future__ import annotations

import hmac
import pickle
from collections.abc import Sequence
from typing import Any, Final

from longshore.codecs.codec import Codec
from longshore.codecs.json import canonical
from longshore.codecs.keys import Key, keys_of
from longshore.errors import InvalidValue, Tampered

_SIGNATURE_BYTES: Final = 32
_PURPOSE: Final = b"pickle"


class Pickle(Codec[Any]):
    """Any object that pickle takes, in the first 32 bytes signed with HMAC-SHA256.

    Loading a pickle runs code that its writer chose: who has a key can do what the workers can.

    Args:
        keys: the first signs; what any of them has signed is read.

    Raises:
        ConfigurationError: a key is not of the form that `longshore.codecs.new_key` gives.
    """

    name = "pickle"
    keeps_types = True

    def __init__(self, *, keys: Sequence[bytes | str]) -> None:
        self._keys = keys_of(keys)

    def __repr__(self) -> str:
        return f"<Codec pickle, keys: {len(self._keys)}>"

    def of(self, kind: Any) -> Pickle:
        """The same: a pickle says itself of what type it is."""
        return self

    def encode(self, value: Any) -> bytes:
        """The value as signed bytes."""
        try:
            data = pickle.dumps(value, protocol=5)
        except Exception as error:  # an object's own way to be pickled may raise anything
            raise InvalidValue(f"expected a value that can be pickled: {error}") from error
        return _signature(self._keys[0], data) + data

    def decode(self, data: bytes) -> Any:
        """The value that was encoded.

        Raises:
            Tampered: it is signed with none of the keys; nothing was loaded.
            InvalidValue: its class or module is not there any more.
        """
        signature, content = data[:_SIGNATURE_BYTES], data[_SIGNATURE_BYTES:]
        # All keys are tried: how long it takes does not tell which one it was.
        matches = [hmac.compare_digest(signature, _signature(key, content)) for key in self._keys]
        if not any(matches):
            raise Tampered("expected a pickle that is signed with one of the keys given; it was changed, or never was")
        try:
            return pickle.loads(content)  # noqa: S301 - it is signed by a key of this application
        except Exception as error:  # loading may run and raise anything
            raise InvalidValue(f"{type(error).__name__}: {error}") from error

    def fingerprint(self, data: bytes) -> bytes:
        """Bytes that are equal where the values are, if they have a form in JSON; pickles of equal sets may differ."""
        try:
            return canonical(self.decode(data))
        except InvalidValue:
            return data


def _signature(key: Key, data: bytes) -> bytes:
    return key.derive(_PURPOSE, data)
