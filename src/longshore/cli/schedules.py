"""``longshore schedules``: what workers do by the clock."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from typing import Annotated, Any

import typer

from longshore.admin.scheduling import ScheduleInfo, Schedules
from longshore.cli.calls import Arguments, MaxAttempts, Notes, Priority, Queue, TaskName, attempts_of, call_of, notes_of
from longshore.cli.opening import AppOption, JsonOption, UrlOption, opened
from longshore.cli.printing import plain, print_json, print_table, text
from longshore.errors import InvalidValue, LongshoreError
from longshore.schedules import Cron, Every

schedules = typer.Typer(no_args_is_help=True, help="Looks at schedules, and changes them.")


class Missed(StrEnum):
    """What becomes of ticks that nobody was there for."""

    ONCE = "once"
    SKIP = "skip"
    ALL = "all"


Name = Annotated[str, typer.Argument(metavar="NAME", help="The schedule's name.")]
Names = Annotated[list[str], typer.Argument(metavar="NAME...", help="The schedules' names.")]
CronOption = Annotated[str | None, typer.Option("--cron", "-c", help="A cron expression.")]
ZoneOption = Annotated[str, typer.Option("--zone", "-z", help="The time zone of the expression.")]
EveryOption = Annotated[float | None, typer.Option("--every", help="So many seconds, instead of an expression.")]
MissedOption = Annotated[Missed | None, typer.Option(help="Of ticks that nobody was there for: once, skip or all.")]
GraceOption = Annotated[float | None, typer.Option(help="Seconds that a tick may be late, where missed are skipped.")]
MostOption = Annotated[int | None, typer.Option(help="How many are made up for at once, at most.")]


@schedules.command("list")
def list_schedules(app: AppOption = None, url: UrlOption = None, json: JsonOption = False) -> None:
    """Lists the schedules, with their last tick and the next."""
    with opened(app, url) as found:
        shown = found.admin.schedules.all()
    if json:
        print_json([_plain(each) for each in shown])
        return
    columns = ("name", "when", "task", "queue", "paused", "next", "last", "last job")
    rows = (
        (s.name, s.shown_when, s.task, s.queue, "yes" if s.paused else "no", s.next, s.last, s.last_job) for s in shown
    )
    print_table(columns, rows)


@schedules.command()
def show(name: Name, app: AppOption = None, url: UrlOption = None, json: JsonOption = False) -> None:
    """Shows one schedule."""
    with opened(app, url) as found:
        shown = found.admin.schedules.get(name)
    if shown is None:
        raise _missing(name)
    if json:
        print_json(_plain(shown))
        return
    for key, value in _plain(shown).items():
        if value not in (None, {}):
            print(f"{key}: {text(value)}")


@schedules.command()
def put(
    name: Name,
    task: TaskName,
    arguments: Arguments = "{}",
    app: AppOption = None,
    url: UrlOption = None,
    cron: CronOption = None,
    zone: ZoneOption = "UTC",
    every: EveryOption = None,
    missed: MissedOption = None,
    grace: GraceOption = None,
    most: MostOption = None,
    queue: Queue = None,
    priority: Priority = None,
    max_attempts: MaxAttempts = None,
    note: Notes = None,
) -> None:
    """Stores a schedule, in place of one that is there, and prints its next tick; a pause stays."""
    when = _when(cron, zone, every)
    if when is None:
        raise InvalidValue("expected when it ticks: --cron or --every")
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
        stored = found.admin.schedules.put(name, when, call, **_given(missed=missed, grace=grace, most=most))
    print(f"{name}\t{text(stored.next) or 'paused'}")


@schedules.command()
def change(
    name: Name,
    app: AppOption = None,
    url: UrlOption = None,
    cron: CronOption = None,
    zone: ZoneOption = "UTC",
    every: EveryOption = None,
    missed: MissedOption = None,
    grace: GraceOption = None,
    most: MostOption = None,
) -> None:
    """Changes when a schedule ticks, or what becomes of missed ticks; stays until its code says something else."""
    given = _given(when=_when(cron, zone, every), missed=missed, grace=grace, most=most)
    if not given:
        raise InvalidValue("expected something to change: --cron, --every, --missed, --grace or --most")
    with opened(app, url) as found:
        if not found.admin.schedules.change(name, **given):
            raise _missing(name)
    print(f"{name}\tchanged")


@schedules.command()
def pause(names: Names, app: AppOption = None, url: UrlOption = None) -> None:
    """Lets schedules rest until they are resumed, also over a restart."""
    _each(app, url, names, "paused", lambda kept, name: kept.pause(name))


@schedules.command()
def resume(names: Names, app: AppOption = None, url: UrlOption = None) -> None:
    """Lets schedules go on with their next tick; nothing is made up for."""
    _each(app, url, names, "resumed", lambda kept, name: kept.resume(name))


@schedules.command()
def remove(names: Names, app: AppOption = None, url: UrlOption = None) -> None:
    """Removes schedules; one from code stays away until its declaration changes."""
    _each(app, url, names, "removed", lambda kept, name: kept.remove(name))


@schedules.command()
def run(name: Name, app: AppOption = None, url: UrlOption = None, json: JsonOption = False) -> None:
    """Makes a job of a schedule now, beside its ticks, and prints the job's id."""
    with opened(app, url) as found:
        job = found.admin.schedules.run_now(name)
    if job is None:
        raise _missing(name)
    if json:
        print_json({"id": job.id})
    else:
        print(job.id)


def _when(cron: str | None, zone: str, every: float | None) -> Cron | Every | None:
    if cron is not None and every is not None:
        raise InvalidValue("expected --cron or --every, not both")
    if cron is not None:
        return Cron(cron, zone)
    return None if every is None else Every(every)


def _given(**options: Any) -> dict[str, Any]:
    return {name: value for name, value in options.items() if value is not None}


def _each(
    app: str | None, url: list[str] | None, names: list[str], became: str, act: Callable[[Schedules, str], bool]
) -> None:
    with opened(app, url) as found:
        done = {name: act(found.admin.schedules, name) for name in names}
    for name, was_there in done.items():
        print(f"{name}\t{became if was_there else 'missing'}")
    if not all(done.values()):
        raise typer.Exit(1)


def _plain(schedule: ScheduleInfo) -> dict[str, Any]:
    return {**plain(schedule), "when": schedule.shown_when}


def _missing(name: str) -> LongshoreError:
    return LongshoreError(f"there is no schedule {name}")
