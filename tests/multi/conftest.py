"""Several stores for tests: two files, or a file and a Redis that can be killed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from engines import Server
from longshore.contract import Clock, NewJob
from longshore.testing import ManualClock
from longshore_multi.driver import MultiDriver

Connect = Callable[..., MultiDriver]


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def files(tmp_path: Path) -> list[str]:
    return [f"sqlite:///{tmp_path}/{tag}.db?synchronous=OFF#{tag}" for tag in ("east", "west")]


@pytest.fixture
def connect(clock: ManualClock) -> Iterator[Connect]:
    """Opens several stores, and closes them at the end."""
    opened: list[MultiDriver] = []

    def connect(target: Any, *, clock: Clock | None = clock, **options: Any) -> MultiDriver:
        opened.append(MultiDriver.connect(target, clock=clock, **options))
        opened[-1].migrate()
        return opened[-1]

    yield connect
    for driver in opened:
        driver.close()


@pytest.fixture
def redis(own_server: Callable[[str], Server]) -> Server:
    """One that the test may kill."""
    return own_server("redis")


def job(identity: str, **fields: Any) -> NewJob:
    return NewJob(**{"id": identity, "queue": "mail", "task": "send", "payload": b"{}"} | fields)


def of_tag(names: list[str], tag: str) -> list[str]:
    return [name for name in names if name.endswith(f"@{tag}")]


def named_for(store: MultiDriver, tag: str) -> str:
    """A name whose home is this store."""
    return next(name for number in range(1_000) if store._homes.of(name := f"name {number}") == tag)
