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

STORES: dict[str, Callable[[Path], str]] = {
    "memory": lambda folder: "memory://",
    "sqlite": lambda folder: f"sqlite:///{folder}/jobs.db",
}

Connect = Callable[..., FaultyApp]


@pytest.fixture(params=list(STORES))
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A fresh store of each kind."""
    return STORES[request.param](tmp_path)


@pytest.fixture
def connect(url: str) -> Iterator[Connect]:
    """Applications on one store, each with a line of its own, as in several processes."""
    apps: list[FaultyApp] = []

    def connect(**options: Any) -> FaultyApp:
        # The memory of one process has no URL: the others take the live store of the first.
        target = apps[0].store.driver.target if apps else url
        apps.append(FaultyApp(target, **options))
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


@pytest.fixture(params=[name for name in STORES if name != "memory"])
def shared(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Longshore]:
    """An application on each store that several processes can use, which knows no task."""
    with Longshore(STORES[request.param](tmp_path)) as app:
        yield app
