"""Stores on SQLite files for the tests of what is private to that driver."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from longshore.testing import ManualClock
from longshore_sql.sqlite.driver import SQLiteDriver

Connect = Callable[..., SQLiteDriver]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "store.db"


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def connect(path: Path) -> Iterator[Connect]:
    """Opens connections to one file, and closes them at the end."""
    opened: list[SQLiteDriver] = []

    def connect(target: Any = f"sqlite:///{path}", **options: Any) -> SQLiteDriver:
        opened.append(SQLiteDriver.connect(target, **options))
        return opened[-1]

    yield connect
    for driver in opened:
        driver.close()


@pytest.fixture
def store(connect: Connect, clock: ManualClock) -> SQLiteDriver:
    driver = connect(clock=clock)
    driver.migrate()
    return driver
