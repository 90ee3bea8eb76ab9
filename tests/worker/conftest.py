"""Applications on every store that the worker is tested on."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from longshore import Longshore
from longshore.testing.clock import ManualClock
from worker.faulty import FaultyApp
from worker.gate import Gate
from worker.words import Words

Connect = Callable[..., FaultyApp]


@pytest.fixture
def connect(target: Any) -> Iterator[Connect]:
    """Applications on one store, each with a line of its own, as in several processes."""
    apps: list[FaultyApp] = []

    def connect(**options: Any) -> FaultyApp:
        apps.append(FaultyApp(apps[0].store.driver.target if apps else target, **options))
        return apps[-1]

    yield connect
    for app in reversed(apps):
        app.close()


@pytest.fixture
def app(connect: Connect) -> FaultyApp:
    """An application on each store."""
    return connect()


@pytest.fixture
def clock() -> ManualClock:
    """The clock of `timed`."""
    return ManualClock()


@pytest.fixture
def timed(connect: Connect, clock: ManualClock) -> Longshore:
    """An application whose store's time stands still until the test advances `clock`."""
    return connect(clock=clock)


@pytest.fixture
def gate() -> Iterator[Gate]:
    """Where tasks of a test stop; opened at its end, so that no thread stays."""
    gate = Gate()
    yield gate
    gate.open()


@pytest.fixture
def words(tmp_path: Path) -> Iterator[Words]:
    """What processes say, and the gate at which they stay; opened at the end, so that none stays."""
    words = Words(tmp_path)
    yield words
    words.close()


@pytest.fixture
def shared(shared_target: str) -> Iterator[Longshore]:
    """An application on each store that several processes can use, which knows no task."""
    with Longshore(shared_target) as app:
        yield app
