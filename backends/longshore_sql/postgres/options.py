"""What a PostgreSQL URL or handle, and the options beside it, ask for."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final, NamedTuple, Self
from urllib.parse import SplitResult, parse_qsl, quote, urlencode, urlsplit, urlunsplit

import psycopg
from psycopg.conninfo import conninfo_to_dict

from longshore.errors import ConfigurationError
from longshore_sql.pool_options import converted

_SCHEME: Final = "postgresql"
_SCHEMA: Final = r"[A-Za-z_][A-Za-z0-9_]{0,62}"
_ILLEGIBLE: Final = (
    "expected a URL like postgresql://user:password@host:5432/database, percent-encoded where a part has signs of its "
    "own, got one that cannot be read"
)
_KNOWN_FOR_HANDLES: Final = ("namespace", "schema")


class Options(NamedTuple):
    """How to connect."""

    url: str | None  # As libpq reads it; None: a live object was handed in.
    namespace: str = "longshore"
    schema: str | None = None
    pool_size: int = 5
    max_overflow: int = 10
    pool_timeout: float = 10.0
    pool_recycle: float = 1_800.0
    lock_timeout: float = 5.0

    @classmethod
    def of(cls, target: Any, options: Mapping[str, Any]) -> Self:
        """Reads the URL, if it is one, and the options."""
        if not isinstance(target, str):
            return cls(None, **_converted(_known(options, _KNOWN_FOR_HANDLES)))
        parts = _split(target)
        if parts is None:
            raise ConfigurationError(_ILLEGIBLE)
        asked = {**dict(parse_qsl(parts.query, keep_blank_values=True)), **options}
        own = {name: asked.pop(name) for name in tuple(asked) if name in cls._fields[1:]}
        query = urlencode({name: str(value) for name, value in asked.items()}, quote_via=quote)
        url = urlunsplit(parts._replace(scheme=_SCHEME, query=query))
        _check(url, asked)
        return cls(url, **_converted(own))

    def target(self) -> str:
        """The URL by which another process reaches the same."""
        parts = urlsplit(self.url or "")
        own = {name: value for name, value in self._asdict().items() if value != self._field_defaults.get(name)}
        own.pop("url")
        query = "&".join(filter(None, [parts.query, urlencode(own)]))
        return urlunsplit(parts._replace(query=query))


def _check(url: str, passed_on: Mapping[str, Any]) -> None:
    known = {option.keyword.decode() for option in psycopg.pq.Conninfo.get_defaults()}
    if unknown := sorted(passed_on.keys() - known):
        raise ConfigurationError(
            f"PostgreSQL knows the options {', '.join(Options._fields[1:])} and those of libpq (sslmode, "
            f"application_name, connect_timeout, …), not {', '.join(unknown)}"
        )
    if not _is_legible(url):
        raise ConfigurationError(_ILLEGIBLE)


def _is_legible(url: str) -> bool:
    try:
        conninfo_to_dict(url)
    except (psycopg.ProgrammingError, UnicodeError):
        return False  # What libpq says is not told, as it would show the URL, and so a password.
    return True


def _split(url: str) -> SplitResult | None:
    try:
        parts = urlsplit(url)
    except ValueError:
        return None
    # With a sign of its own in the password, a part of it would pass for the host or for an option, and be told.
    return None if "@" in parts.query or parts.netloc.count("@") > 1 else parts


def _known(options: Mapping[str, Any], known: tuple[str, ...]) -> dict[str, Any]:
    if unknown := sorted(options.keys() - set(known)):
        raise ConfigurationError(
            f"PostgreSQL knows the options {', '.join(known)} for a live object, not {', '.join(unknown)}"
        )
    return dict(options)


def _converted(options: dict[str, Any]) -> dict[str, Any]:
    options = converted(options)
    if options.get("schema") is not None and not re.fullmatch(_SCHEMA, str(options["schema"])):
        raise ConfigurationError(f"expected schema to be a plain name, as in schema=jobs, got {options['schema']!r}")
    return options
