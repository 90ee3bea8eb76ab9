"""Any sequence of calls gives the same answers, and leaves the same, as on the memory driver."""

from __future__ import annotations

import pytest

from longshore.contract import Driver
from longshore.testing.clock import ManualClock
from longshore.testing.fixtures import StoreFixtures

EXAMPLES = 80
"""Sequences tried, where no other number is asked for."""
SECONDS = 15.0
"""After which no new sequence is begun."""


class Model(StoreFixtures):
    """Comparisons."""

    def test_any_sequence_of_calls_agrees_with_the_memory_driver(
        self, request: pytest.FixtureRequest, store: Driver, clock: ManualClock
    ) -> None:
        """Whatever is called in whatever order, the driver answers what the memory driver answers, and stores what it
        stores. ``--longshore-examples`` says how many sequences are tried, ``--longshore-seed`` which."""
        # Hypothesis is not imported by every test session of those who have this plugin installed.
        from longshore.testing.model.comparison import compare

        examples = request.config.getoption("--longshore-examples", default=EXAMPLES)
        seed = request.config.getoption("--longshore-seed", default=None)
        compare(store, clock, examples=examples, seconds=SECONDS * max(1.0, examples / EXAMPLES), seed=seed)


__all__ = ["Model"]
