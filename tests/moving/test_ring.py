"""Once around through every engine, with a crash on each way, and all is as it was."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import cycle, pairwise
from pathlib import Path

import pytest

from conftest import Serve
from longshore import registry
from longshore.contract import Order, Write
from longshore.guard import Guard
from longshore.motion import in_motion
from longshore.moving.mover import Mover
from longshore.testing.samples import put
from moving.cargo import all_of, as_they_were, one_of_each
from moving.doomed import POINTS, Died, doomed, raise_died
from stores import ENGINES, fresh_store


@pytest.fixture
def ring(tmp_path: Path, shared_server: Serve) -> Iterator[list[Guard]]:
    """A store of each engine."""
    stores = [Guard(registry.connect(fresh_store(name, tmp_path, shared_server))) for name in ENGINES]
    for store in stores:
        store.migrate()
    yield stores
    for store in stores:
        store.close()


def test_around_through_all_engines(ring: list[Guard]) -> None:
    first = ring[0]
    jobs = as_they_were(one_of_each(first.now()))
    put(first.driver, *jobs)
    first.write([Write("paused queue", "still", b"7"), Write("group", "May", b"{}"), Write("reply", "a", b"\xff")])
    points = cycle(POINTS)
    for source, destination in pairwise([*ring, first, *ring[::-1]]):
        if source is destination:
            continue
        for _ in range(2):
            with pytest.raises(Died):
                Mover(*doomed(source, destination, next(points), raise_died), settle=0.0).run()
        Mover(source, destination, settle=0.0, verify=True).run()
        assert all_of(destination) == jobs
        assert all_of(source) == []
        assert not in_motion(destination)
    assert [record.value for kind in ("paused queue", "group", "reply") for record in first.read(kind)] == [
        b"7",
        b"{}",
        b"\xff",
    ]
    assert first.select(order=Order.OLDEST).jobs == jobs
