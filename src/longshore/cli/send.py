"""``longshore send``: a command to workers, and what they answer."""

from __future__ import annotations

from typing import Annotated, Any, Final

import typer

from longshore.app import Longshore
from longshore.cli.calls import json_or_text, notes_of
from longshore.cli.opening import AppOption, JsonOption, UrlOption, opened
from longshore.cli.printing import print_json, text
from longshore.errors import InvalidValue, LongshoreError
from longshore.remote import Reply

_OF_A_JOB: Final = {"stop": ("JOB",), "signal": ("JOB", "SIGNAL")}
"""Commands that go to the worker which runs the job."""


def send(
    command: Annotated[str, typer.Argument(help="pause, resume, scale, stop, signal, or the application's own.")],
    arguments: Annotated[list[str] | None, typer.Argument(help="Its arguments, as JSON or else texts.")] = None,
    named: Annotated[list[str] | None, typer.Option(help="An argument by name, as KEY=JSON; repeatable.")] = None,
    worker: Annotated[list[str] | None, typer.Option("--worker", "-w", help="Only to this one; repeatable.")] = None,
    wait: Annotated[float, typer.Option(min=0, help="For so many seconds for answers.")] = 5.0,
    app: AppOption = None,
    url: UrlOption = None,
    json: JsonOption = False,
) -> None:
    """Has living workers do something; one line for each, and exit code 1 when one has failed or not answered."""
    given = arguments or []
    with opened(app, url) as found:
        if command in _OF_A_JOB:
            if worker or named:
                raise InvalidValue(f"{command} goes to the worker that runs the job: leave out --worker and --named")
            replies = [_to_its_worker(found, command, given, wait)]
        else:
            positional = [json_or_text(each) for each in given]
            by_name = notes_of(named, "an argument") or {}
            replies = found.remote.send(command, *positional, workers=worker, wait=wait, **by_name)
    if json:
        print_json(replies)
    else:
        for reply in replies:
            print("\t".join((reply.worker, *_said(reply))))
    if not replies:
        raise LongshoreError("no worker lives")
    if any(not reply.answered or reply.error is not None for reply in replies):
        raise typer.Exit(1)


def _to_its_worker(found: Longshore, command: str, given: list[str], wait: float) -> Reply:
    wanted = _OF_A_JOB[command]
    if len(given) != len(wanted):
        raise InvalidValue(f"expected {command} {' '.join(wanted)}; got {command} {' '.join(given)}")
    act: Any = getattr(found.remote, command)
    reply: Reply = act(*given, wait=wait)
    return reply


def _said(reply: Reply) -> tuple[str, ...]:
    if not reply.answered:
        return ("no answer",)
    if reply.error is not None:
        return ("failed", text(reply.error))
    return ("done",) if reply.value is None else ("done", text(reply.value))
