"""``longshore queues``: pauses and limits, for all workers at once."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated

import typer

from longshore.admin import Limit, QueueInfo
from longshore.cli.opening import AppOption, JsonOption, UrlOption, opened
from longshore.cli.printing import print_json, print_table
from longshore.contract import UNENDED, State
from longshore.errors import InvalidValue, LongshoreError

queues = typer.Typer(no_args_is_help=True, help="Looks at queues, pauses and limits them.")

Names = Annotated[list[str], typer.Argument(metavar="NAME...", help="The queues' names.")]
Subject = Annotated[str | None, typer.Argument(metavar="NAME", help="The queue's name.")]
TaskOption = Annotated[str | None, typer.Option("--task", "-t", help="A task, instead of a queue.")]
_COLUMNS = (*sorted(UNENDED), State.SUCCEEDED, State.FAILED)


@queues.command("list")
def list_queues(app: AppOption = None, url: UrlOption = None, json: JsonOption = False) -> None:
    """Lists the queues that have jobs, are paused or limited."""
    with opened(app, url) as found:
        shown = found.admin.queues()
    if json:
        print_json(shown)
        return
    columns = ("name", *(state.name.lower() for state in _COLUMNS), "paused since", "limit")
    print_table(columns, map(_row, shown))


@queues.command()
def pause(names: Names, app: AppOption = None, url: UrlOption = None, json: JsonOption = False) -> None:
    """Pauses queues until they are resumed: nothing of theirs begins, what runs goes on."""
    with opened(app, url) as found:
        _tell(names, found.admin.pause_queue(names), "paused", as_json=json)


@queues.command()
def resume(names: Names, app: AppOption = None, url: UrlOption = None, json: JsonOption = False) -> None:
    """Lets paused queues go on."""
    with opened(app, url) as found:
        _tell(names, found.admin.resume_queue(names), "resumed", as_json=json)


@queues.command()
def limits(app: AppOption = None, url: UrlOption = None, json: JsonOption = False) -> None:
    """Lists the limits of queues and tasks, and how far they are used."""
    with opened(app, url) as found:
        shown = found.admin.limits()
    if json:
        print_json(shown)
        return
    columns = ("of", "name", "limit", "taken", "waiting")
    print_table(columns, ((*_subject(limit), _words(limit), limit.taken, limit.waiting) for limit in shown))


@queues.command()
def limit(
    name: Subject = None,
    task: TaskOption = None,
    app: AppOption = None,
    url: UrlOption = None,
    running: Annotated[int | None, typer.Option(min=0, help="So many run at a time; 0: none begins.")] = None,
    rate: Annotated[str | None, typer.Option(help="So many begin in so many seconds, as NUMBER/SECONDS.")] = None,
    burst: Annotated[int | None, typer.Option(min=1, help="So many of the rate may begin at once.")] = None,
) -> None:
    """Limits a queue or a task in all processes together, in place of the limit that it has."""
    with opened(app, url) as found:
        found.admin.limit(queue=name, task=task, running=running, rate=_rate(rate), burst=burst)
    print(f"{name or task}\tlimited")


@queues.command()
def unlimit(name: Subject = None, task: TaskOption = None, app: AppOption = None, url: UrlOption = None) -> None:
    """Lifts the limit of a queue or a task."""
    with opened(app, url) as found:
        had_one = found.admin.remove_limit(queue=name, task=task)
    if not had_one:
        raise LongshoreError(f"{name or task} has no limit")
    print(f"{name or task}\tno limit")


def _rate(given: str | None) -> tuple[int, float] | None:
    if given is None:
        return None
    count, _, seconds = given.partition("/")
    try:
        return int(count), float(seconds)
    except ValueError:
        raise InvalidValue(f"expected a rate as NUMBER/SECONDS, such as 100/60; got {given!r}") from None


def _row(queue: QueueInfo) -> tuple[object, ...]:
    words = _words(queue.limit) if queue.limit else None
    return (queue.name, *(queue.jobs[state] for state in _COLUMNS), queue.paused, words)


def _subject(limit: Limit) -> tuple[str, str | None]:
    return ("queue", limit.queue) if limit.queue is not None else ("task", limit.task)


def _words(limit: Limit) -> str:
    words: list[str] = []
    if limit.running is not None:
        words.append(f"{limit.running} at a time")
    if limit.rate is not None:
        count, seconds = limit.rate
        words.append(f"{count} in {seconds:g} s, {limit.burst} at once")
    return "; ".join(words)


def _tell(names: Iterable[str], changed: Iterable[str], became: str, *, as_json: bool) -> None:
    fresh = set(changed)
    told = {name: became if name in fresh else "already" for name in names}
    if as_json:
        print_json(told)
        return
    for name, word in told.items():
        print(f"{name}\t{word}")
