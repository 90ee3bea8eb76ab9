"""The scripts: one for each method of the contract, with what they share included."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache
from hashlib import sha1
from importlib.resources import files
from typing import Any, Final, NamedTuple

import redis

_INCLUDE: Final = re.compile(r"^-- include (when used )?(.+)$", re.MULTILINE)
_WHEN_USED: Final = "local {name} = when_used(function({name})\n{text}\nend)"
_FOLDER: Final = files("longshore_redis") / "scripts"


class Script(NamedTuple):
    """A script and the name under which a server remembers it."""

    text: str
    digest: str


@cache
def script(name: str) -> Script:
    """The whole text of a script, with what it includes in front of it."""
    text = (_FOLDER / f"{name}.lua").read_text()
    parts = [_included(file, bool(later)) for later, files in _INCLUDE.findall(text) for file in files.split()]
    whole = "\n".join([*parts, text])
    # Redis names scripts by this digest; nothing rests on its strength.
    return Script(whole, sha1(whole.encode(), usedforsecurity=False).hexdigest())


def _included(file: str, is_made_when_used: bool) -> str:
    text = (_FOLDER / file).read_text()
    return _WHEN_USED.format(name=file.removesuffix(".lua"), text=text) if is_made_when_used else text


def run(call: Callable[..., Any], name: str, root: str, *arguments: Any) -> Any:
    """Runs a script by ``call``, which sends a command; the server is told the text only when it does not know it, and
    then has not run it."""
    known = script(name)
    try:
        return call("EVALSHA", known.digest, 1, root, *arguments)
    except redis.exceptions.NoScriptError:
        return call("EVAL", known.text, 1, root, *arguments)
