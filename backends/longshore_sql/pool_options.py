"""The options that every server's driver takes alike: a namespace, and the numbers of a pool of connections."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Final

from longshore.errors import ConfigurationError
from longshore_sql.schema import NAMESPACE

_NUMBERS: Final[dict[str, Callable[[Any], float]]] = {
    "pool_size": int, "max_overflow": int, "pool_timeout": float, "pool_recycle": float, "lock_timeout": float,
}  # fmt: skip


def check_namespace(namespace: Any) -> None:
    """Raises ConfigurationError for what cannot be a namespace."""
    if not re.fullmatch(NAMESPACE, str(namespace)):
        raise ConfigurationError(f"expected a namespace of a to z, 0 to 9 and _, at most 31 long, got {namespace!r}")


def converted(options: dict[str, Any]) -> dict[str, Any]:
    """The same options, checked, with numbers where a URL has texts."""
    check_namespace(options.get("namespace", "longshore"))
    for name, kind in _NUMBERS.items():
        if name in options:
            options[name] = _number(name, options[name], kind)
    return options


def _number(name: str, value: Any, kind: Callable[[Any], float]) -> float:
    try:
        number = kind(value)
    except (TypeError, ValueError):
        number = -1
    if not number >= 0:
        raise ConfigurationError(f"expected {name} to be a number, 0 or more, got {value!r}")
    return number
