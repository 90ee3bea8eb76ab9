"""The kit, on MongoDB."""

from __future__ import annotations

from pathlib import Path

import pytest

from conftest import Serve
from longshore.testing.suite import DriverSuite
from longshore_mongo.driver import MongoDriver
from stores import fresh_store


class TestMongoDriver(DriverSuite):
    driver = MongoDriver

    @pytest.fixture
    def target(self, tmp_path: Path, shared_server: Serve) -> str:
        url: str = fresh_store("mongo", tmp_path, shared_server)
        return url
