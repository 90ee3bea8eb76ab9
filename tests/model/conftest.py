"""What the suites of the job model share: applications on every store, by the store's own clock or one in the hand."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from longshore import Longshore
from longshore.testing.clock import ManualClock


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
