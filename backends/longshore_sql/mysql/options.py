"""What a MariaDB or MySQL URL or handle, and the options beside it, ask for."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any, Final, NamedTuple, Self
from urllib.parse import urlsplit

import pymysql
from pymysql.constants import CLIENT
from sqlalchemy.dialects.mysql.pymysql import MySQLDialect_pymysql
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from longshore.errors import ConfigurationError
from longshore_sql.pool_options import converted

_SCHEMES: Final = ("mysql", "mariadb", "mysql+pymysql", "mariadb+pymysql")
_ILLEGIBLE: Final = (
    "expected a URL like mariadb://user:password@host:3306/database, percent-encoded where a part has signs of its "
    "own, got one that cannot be read"
)
_KNOWN_FOR_HANDLES: Final = ("namespace",)
_OURS: Final = frozenset(
    {"self", "user", "password", "passwd", "host", "port", "database", "db", "autocommit", "charset", "use_unicode",
     "conv", "cursorclass", "defer_connect", "client_flag", "binary_prefix", "sql_mode", "init_command"}
)  # fmt: skip
"""What a connection is told by us, or by the URL's other parts."""
_SSL: Final = frozenset({"ssl_ca", "ssl_cert", "ssl_key", "ssl_capath", "ssl_cipher", "ssl_check_hostname"})


class Options(NamedTuple):
    """How to connect."""

    url: URL | None  # None: a live object was handed in.
    given: Mapping[str, Any] = {}
    """What is passed on to the client library, by name or from the URL."""
    namespace: str = "longshore"
    pool_size: int = 5
    max_overflow: int = 10
    pool_timeout: float = 10.0
    pool_recycle: float = 1_800.0
    lock_timeout: float = 5.0

    @classmethod
    def of(cls, target: Any, options: Mapping[str, Any]) -> Self:
        """Reads the URL, if it is one, and the options."""
        if not isinstance(target, str):
            return cls(None, **converted(_known(options)))
        url = _legible(target)
        asked: dict[str, Any] = {**url.query, **options}
        own = {name: asked.pop(name) for name in tuple(asked) if name in cls._fields[2:]}
        _check(asked)
        return cls(url.set(query={}), asked, **converted(own))

    def arguments(self) -> dict[str, Any]:
        """What the client library is called with."""
        assert self.url is not None
        named = {name: value for name, value in self.given.items() if not isinstance(value, str)}
        query = {name: value for name, value in self.given.items() if isinstance(value, str)}
        arguments = MySQLDialect_pymysql().create_connect_args(self.url.set(query=query))[1]
        flags = CLIENT.FOUND_ROWS | CLIENT.MULTI_STATEMENTS
        return {**arguments, **named, "client_flag": flags, "charset": "utf8mb4", "autocommit": True}

    def target(self) -> str:
        """The URL by which another process reaches the same."""
        assert self.url is not None
        own = {
            name: str(value)
            for name, value in self._asdict().items()
            if name not in {"url", "given"} and value != self._field_defaults.get(name)
        }
        passed_on = {name: str(value) for name, value in self.given.items()}
        return self.url.set(query={**passed_on, **own}).render_as_string(hide_password=False)


def _legible(target: str) -> URL:
    try:
        parts, url = urlsplit(target), make_url(target)
    except (ValueError, ArgumentError):
        raise ConfigurationError(_ILLEGIBLE) from None
    # With a sign of its own in the password, a part of it would pass for the host or for an option, and be told.
    if "@" in parts.query or parts.netloc.count("@") > 1:
        raise ConfigurationError(_ILLEGIBLE)
    if url.drivername not in _SCHEMES:
        raise ConfigurationError(f"expected one of {', '.join(_SCHEMES)}, got {url.drivername}: connect by PyMySQL")
    if not url.database:
        raise ConfigurationError("expected the name of a database, as in mariadb://user@host/jobs, got none")
    return url


def _check(passed_on: Mapping[str, Any]) -> None:
    known = (set(inspect.signature(pymysql.Connection.__init__).parameters) | _SSL) - _OURS
    if unknown := sorted(passed_on.keys() - known):
        raise ConfigurationError(
            f"MariaDB knows the options {', '.join(Options._fields[2:])} and those of PyMySQL (unix_socket, ssl_ca, "
            f"connect_timeout, …), not {', '.join(unknown)}"
        )


def _known(options: Mapping[str, Any]) -> dict[str, Any]:
    if unknown := sorted(options.keys() - set(_KNOWN_FOR_HANDLES)):
        raise ConfigurationError(
            f"MariaDB knows the options {', '.join(_KNOWN_FOR_HANDLES)} for a live object, not {', '.join(unknown)}"
        )
    return dict(options)
