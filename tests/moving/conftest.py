"""Two stores, each of another kind where there are several."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from conftest import Serve
from longshore import registry
from longshore.guard import Guard
from longshore.moving.mover import Mover
from longshore.testing.clock import ManualClock
from stores import AROUND, STORES, fresh_store

Move = Callable[..., Mover]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Where ``around`` is marked, each engine is once the source and once the destination."""
    if "pair" in metafunc.fixturenames:
        stores = AROUND if metafunc.definition.get_closest_marker("around") else STORES
        metafunc.parametrize("pair", pairs(stores), ids="-".join, indirect=True)


def pairs(stores: Sequence[str]) -> list[tuple[str, str]]:
    """Each and the next, and the last and the first."""
    return list(zip(stores, (*stores[1:], stores[0]), strict=True))


@pytest.fixture
def pair(request: pytest.FixtureRequest, tmp_path: Path, shared_server: Serve) -> tuple[Any, Any]:
    """An empty store and the next in the ring, as an application takes them."""
    targets = []
    for name, folder in zip(request.param, ("source", "destination"), strict=True):
        tmp_path.joinpath(folder).mkdir()
        targets.append(fresh_store(name, tmp_path / folder, shared_server))
    return targets[0], targets[1]


@pytest.fixture
def clock() -> ManualClock:
    """The clock of both stores."""
    return ManualClock()


@pytest.fixture
def stores(pair: tuple[Any, Any], clock: ManualClock) -> Iterator[tuple[Guard, Guard]]:
    """Both stores, opened; time passes only where somebody waits."""
    guards = [Guard(registry.connect(target, clock=clock)) for target in pair]
    for guard in guards:
        guard.migrate()
    yield guards[0], guards[1]
    for guard in guards:
        guard.close()


@pytest.fixture
def source(stores: tuple[Guard, Guard]) -> Guard:
    return stores[0]


@pytest.fixture
def destination(stores: tuple[Guard, Guard]) -> Guard:
    return stores[1]


@pytest.fixture
def move(clock: ManualClock) -> Move:
    """Makes a move whose waits let the stores' time pass."""

    def move(source: Guard, destination: Guard, **options: Any) -> Mover:
        return Mover(source, destination, pause=clock.advance, **options)

    return move
