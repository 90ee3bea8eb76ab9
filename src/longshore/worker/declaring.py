"""Writes what an application's code declares, where it is to be known: schedules and limits."""

from __future__ import annotations

import logging
from collections.abc import Callable

from longshore.application import Application
from longshore.errors import StoreError
from longshore.guard import Guard
from longshore.limits.stored import declare_limit
from longshore.schedules import write_declared

_log = logging.getLogger("longshore.worker")


def declare(app: Application, store: Guard) -> bool:
    """Writes them; of several stores those that do not answer are left out. Tells whether something was.

    Raises:
        StoreError: the store did not answer.
    """
    if len(store.driver.parts) == 1:
        write_declared(store, app.schedules)
        for subject, rule in app.declared_limits.items():
            declare_limit(store, subject, rule)
        return False
    # What lives at a home that is away must not keep the others from being written, nor wait for it.
    at_once = Guard(store.driver, patience=0.0)
    writes: list[Callable[[], None]] = [
        lambda name=name, schedule=schedule: write_declared(at_once, {name: schedule})  # type: ignore[misc]
        for name, schedule in app.schedules.items()
    ]
    writes += [
        lambda subject=subject, rule=rule: declare_limit(at_once, subject, rule)  # type: ignore[misc]
        for subject, rule in app.declared_limits.items()
    ]
    return sum(map(_fails, writes)) > 0


def _fails(write: Callable[[], None]) -> bool:
    try:
        write()
    except StoreError as error:
        _log.warning("what is declared is written later: %s", error)
        return True
    return False
