"""``longshore jobs``: look at jobs and act on them."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Annotated, Any

import typer
from msgspec import UNSET

from longshore.admin import Admin, Fate, Verdict
from longshore.cli.calls import notes_of
from longshore.cli.opening import AppOption, JsonOption, UrlOption, opened
from longshore.cli.printing import plain, print_json, print_table, text
from longshore.contract import State
from longshore.errors import ConfigurationError, InvalidValue, LongshoreError
from longshore.info import JobInfo
from longshore.progress import Progress

jobs = typer.Typer(no_args_is_help=True, help="Looks at jobs and acts on them.")

SomeIds = Annotated[list[str] | None, typer.Argument(help="The jobs' ids.")]
Queues = Annotated[list[str] | None, typer.Option("--queue", "-q", help="Only of this queue; repeatable.")]
Tasks = Annotated[list[str] | None, typer.Option("--task", "-t", help="Only of this task; repeatable.")]
States = Annotated[list[str] | None, typer.Option("--state", "-s", help="Only in this state; repeatable.")]


@jobs.command("list")
def list_jobs(
    app: AppOption = None,
    url: UrlOption = None,
    queue: Queues = None,
    task: Tasks = None,
    state: States = None,
    note: Annotated[list[str] | None, typer.Option(help="Only with this note, as KEY=JSON; repeatable.")] = None,
    group: Annotated[list[str] | None, typer.Option(help="Only members of this group; repeatable.")] = None,
    key: Annotated[list[str] | None, typer.Option(help="Only in the line of this key; repeatable.")] = None,
    parent: Annotated[list[str] | None, typer.Option(help="Only what waits for this job; repeatable.")] = None,
    since: Annotated[float | None, typer.Option(help="Held, created or ended in so many last seconds.")] = None,
    stuck: Annotated[bool, typer.Option("--stuck", help="Only what has been due for over two days.")] = False,
    limit: Annotated[int, typer.Option("--limit", "-l", help="At most so many.")] = 100,
    after: Annotated[str | None, typer.Option(help="The cursor of the page before.")] = None,
    json: JsonOption = False,
) -> None:
    """Lists jobs, newest first."""
    with opened(app, url) as found:
        if stuck:
            page = found.admin.stuck(limit=limit, after=after)
        else:
            filters = _filters(queue, task, state) | {"notes": notes_of(note), "since": since}
            filters |= {"groups": group or None, "keys": key or None, "parents": parent or None}
            page = found.admin.jobs(**filters, limit=limit, after=after)
    if json:
        print_json(page)
        return
    columns = ("id", "state", "queue", "task", "priority", "attempt", "created", "due", "ended")
    print_table(columns, (_row(job) for job in page.jobs))
    if page.after is not None:
        print(f"there are more: --after {page.after}", file=sys.stderr)


@jobs.command()
def show(
    identity: Annotated[str, typer.Argument(metavar="ID", help="The job's id.")],
    app: AppOption = None,
    url: UrlOption = None,
    json: JsonOption = False,
) -> None:
    """Shows one job with its attempts."""
    with opened(app, url) as found:
        job, call = found.admin.job(identity), found.admin.call(identity)
        if job is None:
            raise LongshoreError(f"there is no job {identity}")
        result, replies = found.admin.result(identity), found.admin.replies(identity)
        if json:
            print_json({**plain(job), "call": call, "result": result, "replies": replies})
        else:
            _print_job(job, call, result, replies or ())


@jobs.command()
def retry(
    ids: SomeIds = None,
    app: AppOption = None,
    url: UrlOption = None,
    queue: Queues = None,
    task: Tasks = None,
    state: States = None,
    delay: Annotated[float, typer.Option(help="Not before so many seconds from now.")] = 0.0,
    priority: Annotated[int | None, typer.Option(help="Another priority.")] = None,
    to_queue: Annotated[str | None, typer.Option(help="Another queue.")] = None,
    max_attempts: Annotated[int | None, typer.Option(min=0, help="How often it may run in all; 0: no limit.")] = None,
    json: JsonOption = False,
) -> None:
    """Makes jobs of any state pending again; uses up no attempt."""
    most = UNSET if max_attempts is None else max_attempts or None

    def act(admin: Admin, some: list[str]) -> list[Fate]:
        return admin.retry(some, delay=delay, priority=priority, queue=to_queue, max_attempts=most)

    _act(app, url, ids, _filters(queue, task, state), json, act)


@jobs.command()
def cancel(
    ids: SomeIds = None,
    app: AppOption = None,
    url: UrlOption = None,
    queue: Queues = None,
    task: Tasks = None,
    state: States = None,
    force: Annotated[bool, typer.Option("--force", help="Running ones too, at once.")] = False,
    subtree: Annotated[bool, typer.Option("--subtree", help="All that wait for them too.")] = False,
    json: JsonOption = False,
) -> None:
    """Cancels jobs; a running one is asked to end."""
    filters = _filters(queue, task, state)
    _act(app, url, ids, filters, json, lambda admin, some: admin.cancel(some, force=force, subtree=subtree))


@jobs.command()
def remove(
    ids: SomeIds = None,
    app: AppOption = None,
    url: UrlOption = None,
    queue: Queues = None,
    task: Tasks = None,
    state: States = None,
    json: JsonOption = False,
) -> None:
    """Removes jobs, but none that a worker has."""
    _act(app, url, ids, _filters(queue, task, state), json, lambda admin, some: admin.remove(some))


@jobs.command()
def foreground(
    identity: Annotated[str, typer.Argument(metavar="ID", help="The job's id.")],
    app: AppOption = None,
    url: UrlOption = None,
    force: Annotated[bool, typer.Option("--force", help="Also one that a worker runs, whose run is void.")] = False,
    json: JsonOption = False,
) -> None:
    """Runs one job here and now, and prints what it returned; needs the application."""
    if not app:
        raise ConfigurationError("expected the application that knows the job's task: --app or LONGSHORE_APP")
    with opened(app, url) as found:
        try:
            result = found.admin.run_here(identity, force=force)
        except LongshoreError:
            raise
        except (Exception, SystemExit) as error:
            # As it was stored, where secret arguments are hidden.
            job = found.admin.job(identity)
            raise LongshoreError(f"job {identity} failed: {(job and job.error) or type(error).__name__}") from error
    if json:
        print_json({"id": identity, "result": result})
    else:
        print(repr(result))


def print_fates(fates: list[Fate], *, as_json: bool) -> None:
    """Prints what became of each, and exits with 1 if anything was not done."""
    if as_json:
        print_json(fates)
    else:
        for fate in fates:
            more = [fate.new_id and f"as {fate.new_id}", fate.held_by and f"by {fate.held_by}"]
            state = fate.state.name.lower() if fate.state and fate.verdict is Verdict.REFUSED else None
            print("\t".join([fate.id, fate.verdict, *filter(None, [state, *more])]))
    if any(fate.verdict in (Verdict.REFUSED, Verdict.HELD, Verdict.MISSING) for fate in fates):
        raise typer.Exit(1)


def _act(
    app: str | None,
    url: list[str] | None,
    ids: list[str] | None,
    filters: dict[str, Any],
    as_json: bool,
    act: Callable[[Admin, list[str]], list[Fate]],
) -> None:
    if bool(ids) == any(filters.values()):
        raise InvalidValue("expected the jobs' ids, or which jobs: --queue, --task, --state; and not both")
    with opened(app, url) as found:
        some = ids or [job.id for job in found.admin.every(**filters)]
        fates = act(found.admin, some)
    print_fates(fates, as_json=as_json)


def _filters(queues: list[str] | None, tasks: list[str] | None, states: list[str] | None) -> dict[str, Any]:
    named = {state.name.lower(): state for state in State}
    unknown = [state for state in states or () if state not in named]
    if unknown:
        raise InvalidValue(f"expected a state among {', '.join(named)}; got {', '.join(unknown)}")
    wanted = [named[state] for state in states] if states else None
    return {"queues": queues or None, "tasks": tasks or None, "states": wanted}


def _print_job(job: JobInfo, call: str | None, result: str | None, replies: tuple[str, ...]) -> None:
    print(f"call: {call}")
    if result is not None:
        print(f"result: {result}")
    for name, value in plain(job).items():
        if name not in ("attempts", "progress") and value not in (None, {}, []):
            print(f"{name}: {text(value)}")
    if job.progress is not None:
        print(f"progress: {_words(job.progress)}")
    for reply in replies:
        print(f"reply: {text(reply)}")
    for attempt in job.attempts:
        print(f"attempt {attempt.attempt}: {attempt.outcome}: {text(attempt.error)}")
        if attempt.traceback:
            print(attempt.traceback.rstrip())


def _words(progress: Progress) -> str:
    of_all = "" if progress.total is None else f" of {progress.total:g}"
    message = f", {text(progress.message)}" if progress.message else ""
    return f"{progress.done:g}{of_all}{message}"


def _row(job: JobInfo) -> tuple[object, ...]:
    return (
        job.id,
        job.shown_as,
        job.queue,
        job.task,
        job.priority,
        job.attempt,
        job.created,
        job.due,
        job.ended,
    )
