"""The two stores of a move or a copy."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from longshore import registry
from longshore.errors import ConfigurationError
from longshore.guard import Guard
from longshore.motion import name_of


@contextmanager
def opened(target: Any) -> Iterator[Guard]:
    """A store by its URL, a live handle or a guard; what was opened here is closed at the end of the block."""
    if isinstance(target, Guard):
        yield target
        return
    driver = registry.connect(target)
    # What is stored already may be larger than an application of today allows.
    store = Guard(driver, max_payload=driver.limits.payload)
    try:
        store.migrate()
        yield store
    finally:
        store.close()


@contextmanager
def opened_both(source: Any, destination: Any) -> Iterator[tuple[Guard, Guard]]:
    """Both stores.

    Raises:
        ConfigurationError: they are one.
    """
    with opened(source) as one, opened(destination) as other:
        if name_of(one) == name_of(other):
            raise ConfigurationError(
                f"expected two stores; {registry.without_password(one.driver.target)} and "
                f"{registry.without_password(other.driver.target)} are one"
            )
        yield one, other


def shown(store: Guard) -> str:
    """A store as it may be shown."""
    return registry.without_password(store.driver.target)
