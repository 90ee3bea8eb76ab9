"""The memory driver, proven by the kit."""

import pytest

from longshore.memory import MemoryDriver
from longshore.testing.suite import DriverSuite


class TestMemoryDriver(DriverSuite):
    driver = MemoryDriver

    @pytest.fixture
    def target(self):
        return "memory://"
