"""What the suites of the job model share: applications on every store, by the store's own clock or one in the hand."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from longshore import Longshore, Task
from longshore.testing.clock import ManualClock
from worker.gate import Gate


@pytest.fixture
def app(target: Any) -> Iterator[Longshore]:
    """An application on each store."""
    with Longshore(target) as app:
        app.store.now()
        yield app


@pytest.fixture
def clock() -> ManualClock:
    """The clock of `timed`."""
    return ManualClock()


@pytest.fixture
def timed(target: Any, clock: ManualClock) -> Iterator[Longshore]:
    """An application whose store's time stands still until the test advances `clock`."""
    with Longshore(target, clock=clock) as app:
        yield app


@pytest.fixture
def connect(target: Any) -> Iterator[Callable[..., Longshore]]:
    """Applications on one store, as in several processes, each with options of its own."""
    apps: list[Longshore] = []

    def connect(**options: Any) -> Longshore:
        apps.append(Longshore(apps[0].store.driver.target if apps else target, **options))
        return apps[-1]

    yield connect
    for app in reversed(apps):
        app.close()


@pytest.fixture
def gate() -> Iterator[Gate]:
    """Where tasks of a test stop; opened at its end, so that no thread stays."""
    gate = Gate()
    yield gate
    gate.open()


@pytest.fixture
def beat(timed: Longshore) -> Task[..., Any]:
    """A task to be scheduled."""

    @timed.task
    def beat(word: str = "tick") -> str:
        return word

    return beat
