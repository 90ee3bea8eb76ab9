"""The SQLite driver, proven by the kit."""

from pathlib import Path

import pytest

from longshore.testing.suite import DriverSuite
from longshore_sql.sqlite.driver import SQLiteDriver


class TestSQLiteDriver(DriverSuite):
    driver = SQLiteDriver

    @pytest.fixture
    def target(self, tmp_path: Path) -> str:
        return f"sqlite:///{tmp_path}/store.db"
