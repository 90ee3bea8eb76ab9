"""Codecs around another codec."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any, Self

from longshore.codecs.codec import Codec


class Wrapper(Codec[Any]):
    """A codec that makes other bytes of those of another one; its name is the other's, ``+``, and its own."""

    own_name: str
    inner: Codec[Any]

    def __repr__(self) -> str:
        return f"<Codec {self.name}>"

    @property
    def name(self) -> str:
        """The name of the codec within, ``+``, and its own."""
        return f"{self.inner.name}+{self.own_name}"

    @property
    def keeps_types(self) -> bool:
        """Whether the codec within does."""
        return self.inner.keeps_types

    @abstractmethod
    def around(self, inner: Codec[Any]) -> Self:
        """The same wrapper around another codec."""

    @abstractmethod
    def close(self, data: bytes) -> bytes:
        """What is stored of the bytes of the codec within."""

    @abstractmethod
    def open(self, data: bytes) -> bytes:
        """The bytes of the codec within."""

    def of(self, kind: Any) -> Self:
        """The same for values of one type."""
        return self.around(self.inner.of(kind))

    def encode(self, value: Any) -> bytes:
        """The value as bytes."""
        return self.close(self.inner.encode(value))

    def decode(self, data: bytes) -> Any:
        """The value that was encoded."""
        return self.inner.decode(self.open(data))

    def fingerprint(self, data: bytes) -> bytes:
        """The fingerprint of the codec within."""
        return self.inner.fingerprint(self.open(data))
