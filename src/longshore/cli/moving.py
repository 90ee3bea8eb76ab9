"""``longshore move``, ``copy``, ``dump`` and ``load``: take a store's jobs elsewhere."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from longshore import moving
from longshore.cli.opening import JsonOption
from longshore.cli.printing import print_json
from longshore.registry import without_password

Source = Annotated[str, typer.Argument(help="The store that the jobs are in, by its URL.")]
Destination = Annotated[str, typer.Argument(help="The store that they are to be in.")]
Verify = Annotated[bool, typer.Option("--verify", help="Compare each job with what has arrived.")]
File = Annotated[Path, typer.Argument(help="The file, of JSON Lines.")]
_RELEASE = "Nothing is copied: what was copied there before begins to run."
Release = Annotated[bool, typer.Option("--release", help=_RELEASE)]
_WAIT = "Seconds for which running jobs are waited for; else as long as it takes."
_ABORT = "Give up: what has not arrived goes back into its queues."


def move(
    source: Source,
    destination: Destination,
    verify: Verify = False,
    wait: Annotated[float | None, typer.Option(min=0, help=_WAIT)] = None,
    abort: Annotated[bool, typer.Option("--abort", help=_ABORT)] = False,
    json: JsonOption = False,
) -> None:
    """Moves everything to another store while workers go on; repeated after a failure, it goes on."""
    if abort:
        _abort(source, destination, json)
        return
    with _bar("moving") as tell:
        carried = moving.move(source, destination, verify=verify, wait=wait, tell=tell)
    if json:
        print_json(carried)
    else:
        _say_carried(carried, "moved to", destination)
        if carried.held:
            print(f"{carried.held} still run at the source: move again to take them along")
    if carried.held:
        raise typer.Exit(1)


def copy(
    source: Source, destination: Destination, verify: Verify = False, release: Release = False, json: JsonOption = False
) -> None:
    """Copies everything to another store, where unended jobs and schedules rest until they are released."""
    if release:
        _release(destination, json)
        return
    with _bar("copying") as tell:
        carried = moving.copy(source, destination, verify=verify, tell=tell)
    _say_paused(carried, "copied to", destination, f"longshore copy {without_password(source)}", json)


def dump(source: Source, file: File, json: JsonOption = False) -> None:
    """Writes everything into a file; the store stays as it is."""
    with _bar("writing") as tell:
        carried = moving.dump(source, file, tell=tell)
    if json:
        print_json(carried)
    else:
        _say_carried(carried, "written to", str(file))


def load(
    file: File, destination: Destination, verify: Verify = False, release: Release = False, json: JsonOption = False
) -> None:
    """Loads what dump wrote; unended jobs and schedules rest until they are released."""
    if release:
        _release(destination, json)
        return
    with _bar("loading") as tell:
        carried = moving.load(file, destination, verify=verify, tell=tell)
    _say_paused(carried, "loaded into", destination, f"longshore load {file}", json)


def _release(destination: str, json: bool) -> None:
    released = moving.release(destination)
    if json:
        print_json(released)
    else:
        print(f"{released.jobs} jobs and {released.schedules} schedules run from now on")


def _say_paused(carried: moving.Carried, verb: str, destination: str, command: str, json: bool) -> None:
    if json:
        print_json(carried)
        return
    _say_carried(carried, verb, destination)
    print(f"what has not ended rests: {command} {without_password(destination)} --release lets it run")


def _abort(source: str, destination: str, json: bool) -> None:
    aborted = moving.abort(source, destination)
    if json:
        print_json(aborted)
        return
    print(f"{aborted.returned} jobs are back in their queues at {without_password(source)}, which takes jobs again")
    print(
        f"what had arrived at {without_password(destination)} stays there; move in the other direction to bring it back"
    )


def _say_carried(carried: moving.Carried, verb: str, destination: str) -> None:
    states = ", ".join(f"{number} {state.name.lower()}" for state, number in sorted(carried.jobs.items()))
    number = sum(carried.jobs.values())
    print(f"{number} jobs {verb} {without_password(destination)}{f' ({states})' if states else ''}")
    if carried.records:
        print(f"{carried.records} other records, such as schedules, limits and replies")
    if carried.without_slot:
        some = ", ".join(carried.without_slot[:5])
        number = len(carried.without_slot)
        print(f"{number} arrived without their unique key or turn; others have it there, or it lives elsewhere: {some}")


@contextmanager
def _bar(what: str) -> Iterator[Callable[[moving.Progress], None]]:
    """A bar on a terminal; elsewhere nothing is said until the end."""
    if not sys.stderr.isatty():
        yield lambda progress: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Bar(*columns, console=Console(stderr=True)) as bar:
        line = bar.add_task(what, total=None)

        def tell(progress: moving.Progress) -> None:
            waits = f"{what}; {progress.held} still run at the source" if progress.held else what
            bar.update(line, description=waits, completed=progress.jobs, total=progress.total)

        yield tell
