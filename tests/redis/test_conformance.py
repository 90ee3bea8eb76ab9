"""The kit, on Redis."""

from __future__ import annotations

from pathlib import Path

import pytest

from conftest import Serve
from longshore.testing.suite import DriverSuite
from longshore_redis.driver import RedisDriver
from stores import fresh_store


class TestRedisDriver(DriverSuite):
    driver = RedisDriver

    @pytest.fixture
    def target(self, tmp_path: Path, shared_server: Serve) -> str:
        url: str = fresh_store("redis", tmp_path, shared_server)
        return url
