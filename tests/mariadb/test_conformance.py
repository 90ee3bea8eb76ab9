"""The MariaDB driver, proven by the kit."""

from collections.abc import Callable
from pathlib import Path

import pytest

from engines import Server
from longshore.testing.suite import DriverSuite
from longshore_sql.mysql.driver import MySQLDriver
from stores import fresh_store


class TestMySQLDriver(DriverSuite):
    driver = MySQLDriver

    @pytest.fixture
    def target(self, tmp_path: Path, shared_server: Callable[[str], Server]) -> str:
        url: str = fresh_store("mariadb", tmp_path, shared_server)
        return url
