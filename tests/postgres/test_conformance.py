"""The PostgreSQL driver, proven by the kit."""

from collections.abc import Callable
from pathlib import Path

import pytest

from engines import Server
from longshore.testing.suite import DriverSuite
from longshore_sql.postgres.driver import PostgresDriver
from stores import fresh_store


class TestPostgresDriver(DriverSuite):
    driver = PostgresDriver

    @pytest.fixture
    def target(self, tmp_path: Path, shared_server: Callable[[str], Server]) -> str:
        url: str = fresh_store("postgres", tmp_path, shared_server)
        return url
