"""``longshore locks``: who is inside, and to let somebody else in."""

from __future__ import annotations

from typing import Annotated

import typer

from longshore.cli.opening import AppOption, JsonOption, UrlOption, opened
from longshore.cli.printing import print_json, print_table
from longshore.errors import LongshoreError

locks = typer.Typer(no_args_is_help=True, help="Looks at named locks, and frees them.")


@locks.command("list")
def list_locks(app: AppOption = None, url: UrlOption = None, json: JsonOption = False) -> None:
    """Lists the locks that are held or waited for, a line for each hold."""
    with opened(app, url) as found:
        held = found.admin.locks()
    if json:
        print_json(held)
        return
    columns = ("name", "owner", "since", "until", "job", "waiting")
    rows = [
        (lock.name, *((hold.owner, hold.since, hold.until, hold.job) if hold else (None,) * 4), lock.waiting)
        for lock in held
        for hold in lock.holds or (None,)
    ]
    print_table(columns, rows)


@locks.command()
def free(
    name: Annotated[str, typer.Argument(help="The lock's name.")],
    app: AppOption = None,
    url: UrlOption = None,
    owner: Annotated[str | None, typer.Option(help="Whose hold; else that which would end first.")] = None,
    json: JsonOption = False,
) -> None:
    """Ends one hold of a lock, whatever its holder does now."""
    with opened(app, url) as found:
        was_held = found.admin.free_lock(name, owner)
    if not was_held:
        raise LongshoreError(f"nobody holds the lock {name}" if owner is None else f"{owner} does not hold {name}")
    if json:
        print_json({"name": name, "freed": True})
    else:
        print(f"{name}\tfreed")
