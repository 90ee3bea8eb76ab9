"""Several stores as one, proven by the kit: with names as they come, and with all names at one home.

Promises of one order, and of several names of one job, are asked where all names are at one home. Faults, costs and
races of processes are the parts' own, each proven for itself; ``LONGSHORE_TEST_STORES=multi`` asks for them here, too.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from conftest import Serve
from longshore.testing.model import Model
from longshore.testing.promises import Promises
from longshore.testing.races.threads import ThreadRaces
from longshore.testing.suite import DriverSuite
from longshore.testing.wakeups import WakeUps
from longshore_multi.driver import MultiDriver
from multi.homed import Homed
from stores import STORES, fresh_store

IS_WHOLE = "multi" in STORES


def two_files(folder: Path) -> list[str]:
    return [f"sqlite:///{folder}/{tag}.db?synchronous=OFF#{tag}" for tag in ("east", "west")]


class AtOneHome(DriverSuite if IS_WHOLE else Promises):  # type: ignore[misc]
    driver = Homed


class WithNamesAsTheyCome(DriverSuite if IS_WHOLE else Promises):  # type: ignore[misc]
    driver = MultiDriver


class TestAtOneHomeOnTwoFiles(AtOneHome, Model):
    @pytest.fixture
    def target(self, tmp_path: Path) -> list[str]:
        return two_files(tmp_path)


class TestWithNamesAsTheyComeOnTwoFiles(WithNamesAsTheyCome, ThreadRaces, WakeUps):
    @pytest.fixture
    def target(self, tmp_path: Path) -> list[str]:
        return two_files(tmp_path)


class TestOnTwoEngines(WithNamesAsTheyCome, WakeUps):
    @pytest.fixture
    def target(self, tmp_path: Path, shared_server: Serve) -> list[Any]:
        engines = {"east": "postgres", "west": "redis"}  # The same tags, so the same homes.
        return [f"{fresh_store(engine, tmp_path, shared_server)}#{tag}" for tag, engine in engines.items()]
