"""The kit on every spoilt driver, and on the sound one: run by `test_broken_drivers`, in a process of its own."""

from __future__ import annotations

import pytest

from kit.broken.table import DEFECTS
from longshore.memory import MemoryDriver
from longshore.testing.suite import DriverSuite


class Suite(DriverSuite):
    patience = 0.3

    @pytest.fixture
    def target(self):
        return "memory://"


class TestSound(Suite):
    driver = MemoryDriver


# A class for each, so that one process can run the tests of all.
globals().update(
    {f"Test{defect.driver.__name__}": type("Suite", (Suite,), {"driver": defect.driver}) for defect in DEFECTS}
)
