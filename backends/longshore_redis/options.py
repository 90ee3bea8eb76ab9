"""What a Redis URL or handle, and the options beside it, ask for."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final, NamedTuple, Self
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from longshore.errors import ConfigurationError

_NAMESPACE: Final = r"[a-z][a-z0-9_]{0,30}"
_TLS: Final = ("ssl_ca_certs", "ssl_ca_path", "ssl_cert_reqs", "ssl_certfile", "ssl_check_hostname", "ssl_keyfile")
_KNOWN: Final = ("namespace", "timeout", "db", "wait_replicas", *_TLS)
_KNOWN_FOR_HANDLES: Final = ("namespace", "wait_replicas")
SCHEMES: Final = ("redis", "rediss", "valkey", "unix")


class Options(NamedTuple):
    """How to connect."""

    url: str | None  # As redis-py takes it; None: a live object was handed in.
    namespace: str = "longshore"
    timeout: float = 30.0
    wait_replicas: int = 0
    tls: Mapping[str, str] = {}  # And the number of the database, with a socket.

    @classmethod
    def of(cls, target: Any, options: Mapping[str, Any]) -> Self:
        """Reads the URL, if it is one, and the options."""
        if not isinstance(target, str):
            return cls(None, **_converted(options, _KNOWN_FOR_HANDLES))
        parts = urlsplit(target)
        if parts.scheme not in SCHEMES or not (parts.netloc or parts.path.strip("/")):
            raise ConfigurationError(
                "expected a URL like redis://localhost:6379/0, rediss://… for TLS, or unix:///run/redis.sock"
            )
        plain = parts._replace(scheme=parts.scheme.replace("valkey", "redis"), query="")
        given = _converted({**dict(parse_qsl(parts.query)), **options}, _KNOWN)
        passed: dict[str, str] = {name: str(given.pop(name)) for name in ("db", *_TLS) if name in given}
        return cls(urlunsplit(plain), tls=passed, **given)

    def target(self) -> str:
        """The URL by which another process reaches the same."""
        query = {**self.tls, "namespace": self.namespace, "timeout": self.timeout, "wait_replicas": self.wait_replicas}
        defaults = {"namespace": "longshore", "timeout": 30.0, "wait_replicas": 0}
        given = urlencode({name: value for name, value in query.items() if value != defaults.get(name)})
        return f"{self.url}?{given}" if given else str(self.url)


def _converted(options: Mapping[str, Any], known: tuple[str, ...]) -> dict[str, Any]:
    if unknown := sorted(options.keys() - set(known)):
        raise ConfigurationError(f"Redis knows the options {', '.join(known)} here, not {', '.join(unknown)}")
    converted = dict(options)
    if not re.fullmatch(_NAMESPACE, str(converted.get("namespace", "longshore"))):
        raise ConfigurationError(
            f"expected a namespace of a to z, 0 to 9 and _, at most 31 long, got {converted['namespace']!r}"
        )
    for name, kind in (("timeout", float), ("wait_replicas", int)):
        if name in converted:
            try:
                converted[name] = kind(converted[name])
            except (TypeError, ValueError) as error:
                raise ConfigurationError(f"expected {name} to be a number, got {converted[name]!r}") from error
            if converted[name] < 0:
                raise ConfigurationError(f"expected {name} to be at least 0, got {converted[name]!r}")
    return converted
