"""Several stores as one, proven by the kit: spread as they come, and with all names at one home."""

from pathlib import Path

import pytest

from longshore.testing.suite import DriverSuite
from longshore_multi.driver import MultiDriver


class TestOnTwoFiles(DriverSuite):
    """Names as the kit gives them: some of one job, or of jobs that are compared, have different homes."""

    driver = MultiDriver

    @pytest.fixture
    def target(self, tmp_path: Path) -> list[str]:
        return [f"sqlite:///{tmp_path}/{tag}.db#{tag}" for tag in ("east", "west")]
