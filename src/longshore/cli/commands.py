"""The commands that operators type."""

from __future__ import annotations

from typing import Annotated

import typer

from longshore import registry
from longshore.cli import moving, operating
from longshore.cli.enqueue import enqueue
from longshore.cli.failures import failures
from longshore.cli.groups import groups
from longshore.cli.jobs import jobs
from longshore.cli.locks import locks
from longshore.cli.opening import JsonOption
from longshore.cli.printing import print_json, print_table
from longshore.cli.queues import queues
from longshore.cli.schedules import schedules
from longshore.cli.send import send
from longshore.cli.top import top
from longshore.cli.worker import worker
from longshore.contract import Features
from longshore.errors import ConfigurationError, MissingPackage

commands = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)
commands.command()(worker)
commands.command()(enqueue)
commands.add_typer(jobs, name="jobs")
commands.add_typer(failures, name="failures")
commands.add_typer(queues, name="queues")
commands.add_typer(schedules, name="schedules")
commands.add_typer(groups, name="groups")
commands.add_typer(locks, name="locks")
for operation in (operating.stats, operating.history, operating.workers, send, operating.purge, operating.health, top):
    commands.command()(operation)
for carrying in (moving.move, moving.copy, moving.dump, moving.load):
    commands.command()(carrying)


@commands.callback()
def _longshore() -> None:
    """A job queue for Python whose storage is chosen by a URL."""


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
