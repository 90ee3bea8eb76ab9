"""The commands that operators type."""

from __future__ import annotations

import logging
from typing import Annotated

import typer

from longshore import registry
from longshore.cli import operating
from longshore.cli.enqueue import enqueue
from longshore.cli.failures import failures
from longshore.cli.jobs import jobs
from longshore.cli.opening import JsonOption
from longshore.cli.printing import print_json, print_table
from longshore.cli.top import top
from longshore.contract import Features
from longshore.errors import ConfigurationError, MissingPackage

commands = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)
commands.command()(enqueue)
commands.add_typer(jobs, name="jobs")
commands.add_typer(failures, name="failures")
for operation in (operating.stats, operating.history, operating.workers, operating.purge, operating.health, top):
    commands.command()(operation)

AppName = Annotated[str, typer.Argument(envvar="LONGSHORE_APP", help="The application, as module:attribute.")]
Url = Annotated[str | None, typer.Option(envvar="LONGSHORE_URL", help="Another store than the application's own.")]


@commands.callback()
def _longshore() -> None:
    """A job queue for Python whose storage is chosen by a URL."""


@commands.command()
def worker(
    app: AppName,
    url: Url = None,
    queue: Annotated[list[str] | None, typer.Option("--queue", "-q", help="Whose jobs to take; repeatable.")] = None,
    processes: Annotated[int, typer.Option("--processes", "-p", min=1, help="How many processes.")] = 1,
    slots: Annotated[int, typer.Option("--slots", "-s", min=1, help="Jobs that one process runs at a time.")] = 10,
    until_empty: Annotated[bool, typer.Option("--until-empty", help="End when no job is due.")] = False,
    drain: Annotated[float, typer.Option(help="Seconds that running jobs have after SIGTERM.")] = 25.0,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Log what happens.")] = False,
) -> None:
    """Runs jobs until it is told to stop by SIGTERM or Ctrl-C."""
    from longshore.processes.supervisor import Supervisor
    from longshore.worker.settings import WorkerSettings

    logging.basicConfig(level=logging.INFO if verbose else logging.WARNING, format="%(asctime)s %(name)s %(message)s")
    settings = WorkerSettings(queues=tuple(queue or ["default"]), slots=slots, drain=drain)
    supervisor = Supervisor(app, processes=processes, url=url, settings=settings, until_empty=until_empty)
    raise typer.Exit(supervisor.run())


@commands.command()
def conformance(
    url: Annotated[str, typer.Argument(envvar="LONGSHORE_URL", help="A store that may be filled and emptied.")],
    layer: Annotated[list[str] | None, typer.Option(help="Only this layer of the kit; repeatable.")] = None,
    json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
    keyword: Annotated[str | None, typer.Option("-k", help="Only tests whose names match.")] = None,
) -> None:
    """Proves a driver: prints what was promised, tested, refused and skipped; exits with 1 when anything failed."""
    from longshore.testing.__main__ import run_conformance

    raise typer.Exit(run_conformance(url, layers=layer or (), as_json=json, keyword=keyword))


@commands.command()
def migrate(url: Annotated[str, typer.Argument(envvar="LONGSHORE_URL", help="The store.")]) -> None:
    """Creates a store's schema, or brings it up to date."""
    driver = registry.connect(url)
    try:
        driver.migrate()
    finally:
        driver.close()
    print(f"the schema of {registry.without_password(url)} is up to date")


@commands.command()
def drivers(json: JsonOption = False) -> None:
    """Lists the installed drivers, and what each promises at most."""
    found = [_driver(name) for name in registry.installed()]
    if json:
        print_json(found)
    else:
        print_table(("scheme", "class", "features", "problem"), (tuple(each.values()) for each in found))


def _driver(name: str) -> dict[str, object]:
    try:
        loaded = registry.load(name)
    except (MissingPackage, ConfigurationError) as error:
        return {"scheme": name, "class": None, "features": [], "problem": str(error)}
    promised = getattr(loaded, "features", Features(0))
    features = [feature.name.lower() for feature in Features if feature in promised and feature.name]
    return {
        "scheme": name,
        "class": f"{loaded.__module__}.{loaded.__qualname__}",
        "features": features,
        "problem": None,
    }
