"""Which codec values are written with, and which they are read with."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any, Final, Generic

from longshore.codecs.codec import Codec, T
from longshore.codecs.compressed import Compressed
from longshore.codecs.installed import load
from longshore.codecs.json import JSON
from longshore.codecs.messagepack import MESSAGEPACK
from longshore.codecs.wrapper import Wrapper
from longshore.errors import ConfigurationError, UnknownCodec

_NAME: Final = re.compile(r"(?=.{1,100}\Z)[a-z0-9][a-z0-9.-]*(\+[a-z0-9][a-z0-9.-]*)*")
_ALWAYS: Final = (JSON, MESSAGEPACK, Compressed(JSON))


class Choice:
    """The codec that an application or a task writes with, and by their names those that it reads.

    JSON, MessagePack and compression are always read, other codecs if they are given here: what is stored never chooses
    what is loaded. A name that stands for one codec around another is read where both are.

    Args:
        chosen: a codec, or the name of an installed one.
        others: codecs that stored jobs may be in besides; the first of a name is taken.

    Raises:
        UnknownCodec: none is installed under a name.
        MissingPackage: one is, a package that it needs is not.
        ConfigurationError: one is not of the form that is needed.
    """

    def __init__(self, chosen: Codec[Any] | str = JSON, others: Iterable[Codec[Any] | str] = ()) -> None:
        self._codecs: list[Codec[Any]] = list(_ALWAYS)
        for codec in reversed([chosen, *others]):
            self._codecs.insert(0, self._by_name(codec) if isinstance(codec, str) else _checked(codec))
        self.chosen = self._codecs[0]

    def instead(self, chosen: Codec[Any] | str) -> Choice:
        """Another codec to write with; what could be read still is."""
        return Choice(self._by_name(chosen) if isinstance(chosen, str) else chosen, self._codecs)

    def named(self, name: str) -> Codec[Any]:
        """The codec that values were written with.

        Raises:
            UnknownCodec: none is known by this name.
        """
        for codec in self._layers():
            if codec.name == name:
                return codec
        inner, _, wrapper = name.rpartition("+")
        for codec in self._layers():
            if isinstance(codec, Wrapper) and codec.own_name == wrapper:
                return codec.around(self.named(inner))
        raise UnknownCodec(f"no codec is known as {name!r}: list it in old_codecs, if this application has used it")

    def _by_name(self, name: str) -> Codec[Any]:
        try:
            return self.named(name)
        except UnknownCodec:
            return load(name)

    def _layers(self) -> Iterator[Codec[Any]]:
        yield from self._codecs
        for codec in self._codecs:
            layer = codec
            while isinstance(layer, Wrapper):
                layer = layer.inner
                yield layer


def _checked(codec: object) -> Codec[Any]:
    if isinstance(codec, type) or not isinstance(codec, Codec):
        found = codec.__qualname__ if isinstance(codec, type) else f"a {type(codec).__qualname__}"
        raise ConfigurationError(f"expected a codec, such as longshore.codecs.JSON, or the name of one; got {found}")
    if not _NAME.fullmatch(codec.name):
        raise ConfigurationError(
            f"a codec's name must be 1 to 100 small letters, digits, '.' and '-', with '+' between those of codecs "
            f"around each other; it is {codec.name!r}"
        )
    return codec


class TypedCodec(Generic[T]):
    """The codecs of values of one type: they are written with the chosen one, and read with the one they were written
    with.

    Attributes:
        name: of the chosen codec.

    Raises:
        ConfigurationError: the chosen codec could not tell the type's values apart.
    """

    def __init__(self, choice: Choice, kind: Any) -> None:
        self._choice = choice
        self._kind = kind
        chosen: Codec[T] = choice.chosen.of(kind)
        self.name = chosen.name
        self.keeps_types = chosen.keeps_types
        self.encode = chosen.encode
        self.fingerprint = chosen.fingerprint
        self._by_name: dict[str, Codec[T]] = {chosen.name: chosen}

    def decode(self, data: bytes, name: str) -> T:
        """The value that was encoded with the codec of this name.

        Raises:
            InvalidValue: the bytes are no value of this type.
            UnknownCodec: no codec is known by this name.
        """
        codec = self._by_name.get(name)
        if codec is None:
            codec = self._by_name[name] = self._choice.named(name).of(self._kind)
        return codec.decode(data)
