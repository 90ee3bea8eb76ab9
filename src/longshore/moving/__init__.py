"""Takes a store's jobs elsewhere: moves them while workers go on, copies them, or writes them into a file.

Stores are given by their URLs, or by live handles. See docs/moving.md, and docs/design/moving.md for how it is done.
"""

from __future__ import annotations

import os
from typing import Any

from longshore.moving.aborting import Aborted, give_up
from longshore.moving.copying import Released, copy_store, release_copy
from longshore.moving.files import dump_to, load_from
from longshore.moving.mover import Mover
from longshore.moving.opening import opened, opened_both
from longshore.moving.telling import Carried, Progress, Tell, tell_nobody

__all__ = ["Aborted", "Carried", "Progress", "Released", "abort", "copy", "dump", "load", "move", "release"]


def move(
    source: Any,
    destination: Any,
    *,
    verify: bool = False,
    wait: float | None = None,
    tell: Tell = tell_nobody,
) -> Carried:
    """Moves everything from one store to another while workers go on; what an earlier move has left, it goes on with.

    The source is sealed: who would enqueue there is told `longshore.errors.StoreMoved`. Jobs that run there are waited
    for, and go with what became of them.

    Args:
        source: where the jobs are, a URL or a live handle.
        destination: where they are to be; its schema is created if it is not there.
        verify: whether each job is compared at the destination before it is removed from the source.
        wait: seconds for which running jobs are waited for; None: as long as it takes. If some still run then, the
            source takes jobs again until the move is repeated.
        tell: told how far it is.

    Raises:
        ConfigurationError: the two are one store, the source has moved elsewhere, or one is on its way itself.
        IdConflict: another call is stored at the destination under an id; all other jobs have arrived.
        Corrupt: a job cannot be read; all others have arrived.
        CopyDiffers: with ``verify``, something did not arrive as it was sent.
        StoreMoved: somebody aborted the move meanwhile.
        StoreError: a store failed: move again, and it goes on.
    """
    with opened_both(source, destination) as (one, other):
        return Mover(one, other, verify=verify, tell=tell).run(wait=wait)


def abort(source: Any, destination: Any) -> Aborted:
    """Gives up a move: what has not arrived goes back into its queues at the source, which takes jobs again.

    What has arrived stays at the destination; a move in the other direction brings it back.

    Raises:
        ConfigurationError: the two are one store.
        StoreError: a store failed: abort again.
    """
    with opened_both(source, destination) as (one, other):
        return give_up(one, other)


def copy(source: Any, destination: Any, *, verify: bool = False, tell: Tell = tell_nobody) -> Carried:
    """Copies everything to another store; the source stays as it is.

    Jobs that have not ended, and schedules, stand still at the destination until they are released. A repeat adds what
    is missing, and brings what has come further since.

    Args:
        source: where the jobs are, a URL or a live handle. One that runs is copied as if it had not begun.
        destination: where they are to be; its schema is created if it is not there.
        verify: whether each job is compared at the destination.
        tell: told how far it is.

    Raises:
        ConfigurationError: the two are one store.
        IdConflict, Corrupt: another call is stored under an id, or a job cannot be read; all others have arrived.
        CopyDiffers: with ``verify``, something did not arrive as it was sent.
        StoreError: a store failed: copy again, and it goes on.
    """
    with opened_both(source, destination) as (one, other):
        return copy_store(one, other, verify=verify, tell=tell)


def release(store: Any) -> Released:
    """Lets the jobs and schedules go that were copied or loaded into a store."""
    with opened(store) as opened_store:
        return release_copy(opened_store)


def dump(source: Any, path: str | os.PathLike[str], *, tell: Tell = tell_nobody) -> Carried:
    """Writes everything into a file of JSON Lines, which is there when all is written; the source stays as it is.

    Raises:
        ConfigurationError: the file cannot be written.
        StoreError: the store failed.
    """
    with opened(source) as store:
        return dump_to(store, path, tell=tell)


def load(path: str | os.PathLike[str], destination: Any, *, verify: bool = False, tell: Tell = tell_nobody) -> Carried:
    """Loads a file that `dump` wrote; what has not ended stands still until it is released, as by `copy`.

    Raises:
        ConfigurationError: the file cannot be read.
        InvalidValue: a line cannot be read, or the file was cut off; what stood before is loaded.
        IdConflict: another call is stored under an id; all others are loaded.
        CopyDiffers: with ``verify``, something did not arrive as it was written.
        StoreError: the store failed: load again, and it goes on.
    """
    with opened(destination) as store:
        return load_from(path, store, verify=verify, tell=tell)
