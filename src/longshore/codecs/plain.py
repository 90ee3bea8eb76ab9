"""Any format that knows texts, numbers, lists and dictionaries."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from longshore.codecs.codec import Codec, T, restore, simplify
from longshore.codecs.json import JsonCodec
from longshore.errors import InvalidValue


class PlainCodec(Codec[T]):
    """A codec of your own, made of two functions; annotated types come back as they do from JSON.

    Args:
        name: under which it is stored.
        dump: makes bytes of a text, a number, a boolean, None, or a list or dictionary of these.
        load: gives back what ``dump`` was given.
        kind: the type of its values.

    Raises:
        ConfigurationError: the type's values could not be told apart.
    """

    def __init__(
        self, name: str, *, dump: Callable[[Any], bytes], load: Callable[[bytes], Any], kind: Any = Any
    ) -> None:
        JsonCodec[Any](kind)  # What is no type for JSON is none for any plain format.
        self._name = name
        self._dump = dump
        self._load = load
        self._kind = kind

    def __repr__(self) -> str:
        return f"<Codec {self.name}>"

    @property
    def name(self) -> str:
        """Under which it is stored."""
        return self._name

    def of(self, kind: Any) -> PlainCodec[Any]:
        """The same format for values of another type."""
        return PlainCodec(self._name, dump=self._dump, load=self._load, kind=kind)

    def encode(self, value: T) -> bytes:
        """The value as bytes."""
        try:
            return self._dump(msgspec.to_builtins(value, str_keys=True, enc_hook=simplify))
        except Exception as error:  # a format of somebody's own may raise anything
            raise InvalidValue(f"expected a value that has a form in {self.name}: {error}") from error

    def decode(self, data: bytes) -> T:
        """The value that was encoded, as its type says."""
        try:
            value: T = msgspec.convert(self._load(data), self._kind, str_keys=True, dec_hook=restore)
        except Exception as error:  # a format of somebody's own may raise anything
            raise InvalidValue(str(error)) from error
        return value
