"""The page `docs/reference.md`, drawn from what is public. ``make pages`` writes it anew."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from enum import Enum
from importlib import import_module
from pathlib import Path
from types import FunctionType
from typing import Any

import msgspec

PAGE = Path(__file__).parents[2] / "docs" / "reference.md"
ROOMS = {
    "longshore": "What applications are made of.",
    "longshore.admin": "What `app.admin` is, and what it answers: [look at jobs, and act on them](admin.md).",
    "longshore.codecs": "How arguments and results become bytes: [codecs](codecs.md).",
    "longshore.hooks": "What `app.hooks` and `task.hooks` are, and what hooks are told: [hooks](hooks.md).",
    "longshore.moving": "From store to store: [moving between stores](moving.md).",
    "longshore.resources": "What `app.resources` is: [resources](hooks.md#resources).",
    "longshore.recipes": "Short ways to what other systems offer: [recipes](recipes.md).",
    "longshore.testing": "For tests of applications: [testing](testing.md).",
    "longshore.worker.settings": "How a worker works: [workers](workers.md).",
}
HANDED_OUT = {
    *("Attempt", "Call", "Context", "Cursor", "Fetch", "FetchedJob", "Job", "JobInfo", "Lock", "Progress"),
    *("Aborted", "Carried"),
    *("Replies", "Reply", "Restarted", "Task", "Worker", "Message"),
    *("Enqueued", "Enqueuing", "Hooks", "Payload", "Point", "Settled", "Starting", "TaskHooks", "Worked", "Resources"),
}
"""What applications are given, and do not make."""
INTRODUCTION = """\
# Reference

Every public name, with its signature and the first sentence of what it says of itself; `help(name)` in Python tells the
rest: arguments, guarantees, and what is raised. This page is drawn from the code by `make pages`.

A length of time is a number of seconds or a `timedelta` (`Seconds`). What is awaited begins with an `a`
([on an event loop](async.md)). All that is raised is in [the list of errors](errors.md); what drivers implement is in
`longshore.contract` ([write a driver](write-a-driver.md)); commands are in [the command line](command-line.md).
"""


def page() -> str:
    """The whole page."""
    return "\n".join([INTRODUCTION, *(line for room in ROOMS for line in room_lines(room))])


def room_lines(room: str) -> Iterator[str]:
    module = import_module(room)
    yield f"## `{room}`\n"
    yield f"{ROOMS[room]}\n"
    for name in names_of(module):
        yield from name_lines(name, getattr(module, name))


def names_of(module: Any) -> list[str]:
    """What a module exports; where it does not say, the classes and functions that are made in it."""
    kinds = (type, FunctionType)
    own = [
        name for name, each in vars(module).items() if isinstance(each, kinds) and each.__module__ == module.__name__
    ]
    listed = getattr(module, "__all__", None) or [name for name in own if not name.startswith("_")]
    return sorted(listed, key=str.lower)


def name_lines(name: str, value: Any) -> Iterator[str]:
    if not isinstance(value, type):
        yield f"### `{name}{signature(value)}`\n" if isinstance(value, FunctionType) else f"### `{name}`\n"
        yield f"{first_sentence(value)}\n"
        return
    yield f"### `{name}{signature(value) if is_made_by_users(name, value) else ''}`\n"
    yield f"{first_sentence(value)}\n"
    if issubclass(value, Enum):
        yield f"{', '.join(f'`{member.name}`' for member in value)}\n"
    told = arguments_of(value)
    methods = [(shown, sentence or told.pop(shown, "")) for shown, sentence in members_of(value)]
    members = [*told.items(), *methods]
    if members:
        yield "| | |\n| --- | --- |"
        yield from (f"| `{shown}` | {sentence} |" for shown, sentence in members)
        yield ""


def is_made_by_users(name: str, kind: type) -> bool:
    if issubclass(kind, BaseException):
        return "__init__" in vars(kind)
    return not issubclass(kind, Enum) and name not in HANDED_OUT


def arguments_of(kind: type) -> dict[str, str]:
    """What a class says of its arguments or attributes, in sections of Google's form."""
    found: dict[str, str] = {}
    for section in re.findall(r"^(?:Args|Attributes):\n((?:[ ]+.*\n?)+)", inspect.getdoc(kind) or "", re.MULTILINE):
        for names, text in re.findall(r"^    (\w[\w, ]*): (.+(?:\n     .+)*)", section, re.MULTILINE):
            found[names] = prose(text)
    return found


def members_of(kind: type) -> Iterator[tuple[str, str]]:
    """Public methods and properties, those of public classes above it too, in the order in which they are written."""
    seen: set[str] = set()
    for owner in kind.__mro__:
        if not owner.__module__.startswith("longshore"):
            continue
        for name, member in vars(owner).items():
            if name.startswith("_") or name in seen or name in getattr(kind, "__struct_fields__", ()):
                continue
            seen.add(name)
            function = getattr(member, "__func__", member)
            if isinstance(member, property):
                yield name, first_sentence(member)
            elif isinstance(function, FunctionType):
                prefix = "await " if inspect.iscoroutinefunction(function) else ""
                yield f"{prefix}{name}{signature(function, bound=member is function)}", first_sentence(function)


def signature(value: Any, *, bound: bool = False) -> str:
    """The parameters with their defaults; types are left to the reader's editor and to ``help``."""
    if isinstance(value, type) and issubclass(value, msgspec.Struct):
        fields, defaults = value.__struct_fields__, value.__struct_defaults__
        given = dict(zip(fields[len(fields) - len(defaults) :], defaults, strict=True))
        shown = (f"{field}{default(given[field]) if field in given else ''}" for field in fields)
        return f"({', '.join(shown)})"
    try:
        parameters = list(inspect.signature(value).parameters.values())[bound:]
    except (TypeError, ValueError):
        return ""
    shown_parameters: list[str] = []
    is_open = True
    for each in parameters:
        if each.kind is each.KEYWORD_ONLY and is_open:
            shown_parameters.append("*")
        is_open = is_open and each.kind in (each.POSITIONAL_ONLY, each.POSITIONAL_OR_KEYWORD)
        stars = {each.VAR_POSITIONAL: "*", each.VAR_KEYWORD: "**"}.get(each.kind, "")
        shown_parameters.append(f"{stars}{each.name}{'' if each.default is each.empty else default(each.default)}")
    return f"({', '.join(shown_parameters)})"


def default(value: Any) -> str:
    if value is msgspec.NODEFAULT:
        return ""
    plain = (bool, int, float, str, type(None))
    is_short = isinstance(value, plain) or (isinstance(value, tuple) and all(isinstance(each, plain) for each in value))
    return f"={value!r}" if is_short and not isinstance(value, Enum) else "=…"


def first_sentence(value: Any) -> str:
    paragraph = (inspect.getdoc(value) or "").partition("\n\n")[0]
    return prose(re.split(r"(?<=\.)\s(?=[A-Z`])", paragraph, maxsplit=1)[0])


def prose(text: str) -> str:
    """Text of a docstring, as Markdown: one line, a full stop at its end."""
    line = " ".join(text.split()).rstrip(":;").replace("``", "`").replace("|", "\\|")
    return line if line.endswith((".", "…")) or not line else f"{line}."
