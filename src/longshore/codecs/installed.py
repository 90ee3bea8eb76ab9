"""Codecs that other distributions bring, by entry point."""

from __future__ import annotations

from typing import Any, Final

from longshore import plugins
from longshore.codecs.codec import Codec
from longshore.errors import ConfigurationError, UnknownCodec

GROUP: Final = "longshore.codecs"


def load(name: str) -> Codec[Any]:
    """The codec that is registered under a name; no other is imported.

    Raises:
        UnknownCodec: none is.
        MissingPackage: it is there, a package that it needs is not.
        ConfigurationError: the entry point names something else, or there are two.
    """
    if not plugins.is_installed(GROUP, name):
        raise UnknownCodec(
            f"no codec is known as {name!r}: give it as an object, or install the package that has it as an entry "
            f"point in {GROUP}"
        )
    loaded = plugins.load(GROUP, name)
    if isinstance(loaded, type) or not isinstance(loaded, Codec) or loaded.name != name:
        raise ConfigurationError(f"the entry point {name} in {GROUP} must name a Codec called {name}: it is {loaded!r}")
    return loaded
