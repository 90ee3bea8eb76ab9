"""What of a call people may see: secret arguments show as ``***``."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import suppress
from typing import Any, Final

from longshore.codecs import JSON

HIDDEN: Final = "***"
_MOST: Final = 200
_LEAST: Final = 4
"""Shorter texts are not looked for in others: they would be found everywhere."""
_PLACE: Final = re.compile(r"`\$\.(\w+)[^`]*`\Z")
_TELLS_NO_VALUE: Final = ("Object missing required field", "Object contains unknown field", "Missing required argument")


def shown_call(name: str, values: Mapping[str, Any], secret: Collection[str] = ()) -> str:
    """A call as people may see it, long values cut."""
    parts = (f"{key}={HIDDEN if key in secret else shown_value(value)}" for key, value in values.items())
    return f"{name}({', '.join(parts)})"


def shown_error(error: Exception, secret: Collection[str]) -> str:
    """What an error says of arguments, unless it may tell a secret one."""
    text = str(error)
    place = _PLACE.search(text)
    if not secret or text.startswith(_TELLS_NO_VALUE) or (place is not None and place[1] not in secret):
        return text
    return f"what is wrong is not shown, since it may tell the secret {', '.join(sorted(secret))}"


def hider(values: Iterable[object]) -> Callable[[str], str]:
    """A function that replaces in a text whatever these values hold."""
    found = {text for value in values for text in _texts(value) if len(text) >= _LEAST}
    forms = found | {form[1:-1] for text in found for form in (repr(text), json.dumps(text, ensure_ascii=False))}
    if not forms:
        return lambda text: text
    any_of_them = re.compile("|".join(re.escape(form) for form in sorted(forms, key=len, reverse=True)))
    return lambda text: any_of_them.sub(HIDDEN, text)


def _texts(value: object) -> Iterator[str]:
    if value is None or isinstance(value, bool):
        return
    for texts in (_as_stored, _as_shown):
        with suppress(Exception):  # A value's own forms may raise anything; what has no form cannot be seen.
            yield from texts(value)


def _as_stored(value: object) -> list[str]:
    return list(_leaves(JSON.decode(JSON.encode(value))))


def _as_shown(value: object) -> list[str]:
    if isinstance(value, str):
        return [value]
    return [str(value), repr(value), *([value.decode(errors="replace")] if isinstance(value, bytes) else [])]


def _leaves(plain: object) -> Iterator[str]:
    if isinstance(plain, dict):
        for item in plain.values():
            yield from _leaves(item)
    elif isinstance(plain, list):
        for item in plain:
            yield from _leaves(item)
    elif plain is not None and not isinstance(plain, bool):
        yield str(plain)


def shown_value(value: object) -> str:
    """A value as people may see it, cut if it is long."""
    try:
        text = repr(value)
    except Exception:  # noqa: BLE001 - a value's own form may raise anything
        return f"a {type(value).__qualname__} that cannot be shown"
    return text if len(text) <= _MOST else f"{text[:_MOST]}…"
