"""``longshore groups``: how far they have come, and that no more members are to come."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from longshore.admin import GroupInfo
from longshore.cli.calls import Arguments, MaxAttempts, Notes, Priority, Queue, TaskName, attempts_of, call_of, notes_of
from longshore.cli.opening import AppOption, JsonOption, UrlOption, opened
from longshore.cli.printing import plain, print_json, print_table
from longshore.errors import LongshoreError

groups = typer.Typer(no_args_is_help=True, help="Looks at groups of jobs, and seals them.")

Name = Annotated[str, typer.Argument(metavar="NAME", help="The group's name.")]


@groups.command("list")
def list_groups(
    app: AppOption = None,
    url: UrlOption = None,
    ended: Annotated[bool, typer.Option("--all", help="Also those of which every member has ended.")] = False,
    json: JsonOption = False,
) -> None:
    """Lists the groups of which a member has not ended, or that are about to call back."""
    with opened(app, url) as found:
        shown = found.admin.groups(ended=ended)
    if json:
        print_json([_plain(group) for group in shown])
        return
    columns = ("name", "members", "ended", "sealed", "called", "in states")
    rows = (
        (
            group.name,
            group.size,
            group.ended,
            "yes" if group.sealed else "no",
            "yes" if group.called else "no",
            _states(group),
        )
        for group in shown
    )
    print_table(columns, rows)


@groups.command()
def show(name: Name, app: AppOption = None, url: UrlOption = None, json: JsonOption = False) -> None:
    """Shows how far one group has come."""
    with opened(app, url) as found:
        group = found.admin.group(name)
    if group is None:
        raise LongshoreError(f"nothing is stored of a group {name}")
    if json:
        print_json(_plain(group))
        return
    print(f"members: {group.size}, {group.ended} of them ended")
    for state, number in group.members.items():
        if number:
            print(f"{state.name.lower()}: {number}")
    print(f"sealed: {'yes' if group.sealed else 'no'}")
    if group.callback is not None:
        print(f"callback: {group.callback}, {'stored' if group.called else 'when the last member has ended'}")


@groups.command()
def seal(
    name: Name,
    task: TaskName,
    arguments: Arguments = "{}",
    app: AppOption = None,
    url: UrlOption = None,
    queue: Queue = None,
    priority: Priority = None,
    max_attempts: MaxAttempts = None,
    note: Notes = None,
    json: JsonOption = False,
) -> None:
    """Says that no more members are to come, and what to call when the last has ended; prints that job's id."""
    with opened(app, url) as found:
        call = call_of(
            found,
            app,
            task,
            arguments,
            queue=queue,
            priority=priority,
            max_attempts=attempts_of(max_attempts),
            notes=notes_of(note),
        )
        if found.admin.group(name) is None:
            print(f"longshore: no member of a group {name} is stored: it calls back at once", file=sys.stderr)
        job = found.group(name).seal(call)
    if json:
        print_json({"callback": job.id})
    else:
        print(job.id)


def _plain(group: GroupInfo) -> dict[str, object]:
    return {**plain(group), "size": group.size, "ended": group.ended}


def _states(group: GroupInfo) -> list[str]:
    return [f"{number} {state.name.lower()}" for state, number in group.members.items() if number]
