"""What a MongoDB URL or handle, and the options beside it, ask for."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final, NamedTuple, Self
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from longshore.errors import ConfigurationError

_NAMESPACE: Final = r"[a-z][a-z0-9_]{0,30}"
_DATABASE: Final = r"[^/\\. \"$*<>:|?\0]{1,63}"
_SCHEMES: Final = ("mongodb", "mongodb+srv")


class Options(NamedTuple):
    """How to connect."""

    url: str | None  # As pymongo takes it; None: a live object was handed in.
    namespace: str = "longshore"
    database: str | None = None  # None: the URL's, or else the namespace's default.
    timeout: float = 10.0

    @classmethod
    def of(cls, target: Any, options: Mapping[str, Any]) -> Self:
        """Reads the URL, if it is one, and the options."""
        if not isinstance(target, str):
            return cls(None, **_converted(options))
        parts = urlsplit(target)
        if parts.scheme not in _SCHEMES or not parts.netloc:
            raise ConfigurationError("expected a URL like mongodb://user:password@host:27017/database?replicaSet=name")
        asked = parse_qsl(parts.query, keep_blank_values=True)
        own = {name: value for name, value in asked if name in cls._fields[1:]}
        query = urlencode([(name, value) for name, value in asked if name not in own])
        return cls(urlunsplit(parts._replace(path=parts.path or "/", query=query)), **_converted({**own, **options}))

    def target(self) -> str:
        """The URL by which another process reaches the same."""
        parts = urlsplit(self.url or "")
        own = {name: value for name, value in self._asdict().items() if value != self._field_defaults.get(name)}
        own.pop("url")
        query = "&".join(filter(None, [parts.query, urlencode(own)]))
        return urlunsplit(parts._replace(query=query))


def _converted(options: Mapping[str, Any]) -> dict[str, Any]:
    known = Options._fields[1:]
    if unknown := sorted(options.keys() - set(known)):
        raise ConfigurationError(f"MongoDB knows the options {', '.join(known)} here, not {', '.join(unknown)}")
    converted = dict(options)
    for name, form, example in (("namespace", _NAMESPACE, "a to z, 0 to 9 and _"), ("database", _DATABASE, "letters")):
        if converted.get(name) is not None and not re.fullmatch(form, str(converted[name])):
            raise ConfigurationError(f"expected a {name} of {example}, got {converted[name]!r}")
    try:
        converted["timeout"] = float(converted.get("timeout", 10.0))
    except (TypeError, ValueError) as error:
        raise ConfigurationError(f"expected timeout to be seconds, got {converted['timeout']!r}") from error
    if not converted["timeout"] > 0:
        raise ConfigurationError(f"expected timeout to be more than 0 seconds, got {converted['timeout']!r}")
    return converted
