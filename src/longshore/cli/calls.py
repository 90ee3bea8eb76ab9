"""Calls of tasks, as commands name them."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from difflib import get_close_matches
from typing import Annotated, Any

import typer
from msgspec import UNSET, UnsetType

from longshore.app import Longshore
from longshore.calls.bonds import bonds_of
from longshore.calls.call import Call, Options
from longshore.errors import InvalidValue
from longshore.tasks import Task

TaskName = Annotated[str, typer.Argument(help="The task's name.")]
Arguments = Annotated[str, typer.Argument(help="Its arguments by name, as a JSON object.")]
Queue = Annotated[str | None, typer.Option("--queue", "-q", help="Another queue than the task's.")]
Priority = Annotated[int | None, typer.Option("--priority", "-p", help="Higher first.")]
MaxAttempts = Annotated[int | None, typer.Option(min=0, help="How often it may run; 0 for no limit.")]
Notes = Annotated[list[str] | None, typer.Option(help="A note, as KEY=JSON; repeatable.")]


def call_of(found: Longshore, app: str | None, task: str, arguments: str, **options: Any) -> Call[Any]:
    """The call that is meant; with the application its arguments are checked, and a task that it lacks is told.

    Args:
        options: as of `longshore.Task.options`; what is None is the task's own.

    Raises:
        InvalidValue: the arguments are not a JSON object, or not the task's.
    """
    given, known = _object(arguments), found.tasks.get(task)
    if known is not None:
        return _checked(known, known.options(**options).call(**given))
    if app is not None:
        print(f"longshore: {_stays(task, found.tasks)}", file=sys.stderr)
    return found.call_by_name(task, given, options=_options(**options))


def attempts_of(given: int | None) -> int | UnsetType | None:
    """How often a job may run, as options say it: nothing was given, or 0 for no limit."""
    return UNSET if given is None else given or None


def notes_of(given: list[str] | None, what: str = "a note") -> dict[str, Any] | None:
    """Notes from ``KEY=JSON``; what is no JSON is a text.

    Raises:
        InvalidValue: there is no ``=``.
    """
    notes: dict[str, Any] = {}
    for each in given or ():
        key, equals, value = each.partition("=")
        if not equals or not key:
            raise InvalidValue(f"expected {what} as KEY=JSON; got {each!r}")
        notes[key] = json_or_text(value)
    return notes or None


def json_or_text(given: str) -> Any:
    """What a word says: JSON, or else a text."""
    try:
        return json.loads(given)
    except ValueError:
        return given


def _checked(task: Task[..., Any], call: Call[Any]) -> Call[Any]:
    task.arguments.decode(call.payload)  # What is no value of its parameter's type is found now, not by a worker.
    return call


def _options(
    *, after: Iterable[str] = (), lax: bool = False, key: str | None = None, group: str | None = None, **given: Any
) -> Options:
    bonds = bonds_of(tuple(after), lax, "cancel", key, 1, group, (None, None, None))
    said = {name: value for name, value in given.items() if value is not None or name == "max_attempts"}
    return Options(bonds=bonds, **said)


def _stays(task: str, known: Iterable[str]) -> str:
    near = get_close_matches(task, known, n=1)
    meant = f" (did you mean {near[0]}?)" if near else ""
    return f"the application has no task {task}{meant}; the job is stored, and stays pending until a worker knows it"


def _object(arguments: str) -> dict[str, Any]:
    try:
        given = json.loads(arguments)
    except ValueError as error:
        raise InvalidValue(f"expected the arguments as a JSON object; this is no JSON: {error}") from error
    if not isinstance(given, dict):
        raise InvalidValue(f"expected the arguments as a JSON object by name; got {arguments}")
    return given
