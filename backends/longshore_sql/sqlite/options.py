"""What an SQLite URL or handle, and the options beside it, ask for."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple, Self

from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from longshore.errors import ConfigurationError
from longshore_sql.pool_options import check_namespace

_KNOWN: Final = ("namespace", "synchronous", "timeout")
_KNOWN_FOR_HANDLES: Final = ("namespace", "timeout")
_SYNCHRONOUS: Final = ("FULL", "EXTRA", "NORMAL", "OFF")


class Options(NamedTuple):
    """How to connect."""

    path: str | None  # None: a live object was handed in.
    namespace: str = "longshore"
    synchronous: str = "FULL"
    timeout: float = 10.0

    @classmethod
    def of(cls, target: Any, options: Mapping[str, Any]) -> Self:
        """Reads the URL, if it is one, and the options."""
        if not isinstance(target, str):
            return cls(None, **_converted(options, _KNOWN_FOR_HANDLES))
        try:
            url = make_url(target)
        except ArgumentError as error:
            raise ConfigurationError(f"expected a URL like sqlite:///jobs.db, got {target!r}") from error
        if not url.database or url.database == ":memory:" or url.database.startswith("file:"):
            raise ConfigurationError(
                f"expected the path of a file, as in sqlite:///jobs.db or sqlite:////absolute/jobs.db, got {target!r}; "
                "for a store in memory use memory://"
            )
        return cls(str(Path(url.database).absolute()), **_converted({**url.query, **options}, _KNOWN))

    def url(self, path: str) -> URL:
        """The URL by which another process reaches the same."""
        query = {"namespace": self.namespace, "synchronous": self.synchronous, "timeout": str(self.timeout)}
        defaults = Options(None)
        given = {name: value for name, value in query.items() if value != str(getattr(defaults, name))}
        return URL.create("sqlite", database=path, query=given)


def _converted(options: Mapping[str, Any], known: tuple[str, ...]) -> dict[str, Any]:
    if unknown := sorted(options.keys() - set(known)):
        raise ConfigurationError(f"SQLite knows the options {', '.join(known)} here, not {', '.join(unknown)}")
    converted = dict(options)
    check_namespace(converted.get("namespace", "longshore"))
    if "synchronous" in converted:
        converted["synchronous"] = str(converted["synchronous"]).upper()
        if converted["synchronous"] not in _SYNCHRONOUS:
            raise ConfigurationError(
                f"expected synchronous to be one of {', '.join(_SYNCHRONOUS)}, got {options['synchronous']!r}"
            )
    if "timeout" in converted:
        converted["timeout"] = _seconds(converted["timeout"])
    return converted


def _seconds(value: Any) -> float:
    try:
        seconds = float(value)
    except (TypeError, ValueError):
        seconds = -1.0
    if not seconds >= 0:
        raise ConfigurationError(f"expected timeout to be a number of seconds, got {value!r}")
    return seconds
