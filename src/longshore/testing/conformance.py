"""The suite on the store that ``--longshore-url`` names: what ``python -m longshore.testing`` runs."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from contextlib import suppress
from operator import attrgetter
from typing import Any

import pytest

from longshore.contract import Driver
from longshore.errors import SchemaError
from longshore.registry import driver_for
from longshore.testing.fixtures import BESIDE
from longshore.testing.report import Report
from longshore.testing.suite import DriverSuite


class TestStore(DriverSuite):
    """One namespace of one store, emptied before and after each test."""

    @pytest.fixture
    def target(self, request: pytest.FixtureRequest) -> Any:
        """The URL that was given."""
        return request.config.getoption("--longshore-url")

    @pytest.fixture
    def driver_class(self, request: pytest.FixtureRequest, target: Any) -> type[Driver]:
        """The driver that was named, or the one that serves the URL."""
        named = request.config.getoption("--longshore-driver")
        if not named:
            return driver_for(target)
        module, _, name = named.partition(":")
        driver: type[Driver] = attrgetter(name)(importlib.import_module(module))
        return driver

    @pytest.fixture
    def options(
        self, request: pytest.FixtureRequest, driver_class: type[Driver], target: Any
    ) -> Iterator[dict[str, Any]]:
        """The namespace."""
        namespace = request.config.getoption("--longshore-namespace")
        report = request.config.pluginmanager.get_plugin("longshore report")
        empty(driver_class, target, namespace, report)
        yield {"namespace": namespace}
        empty(driver_class, target, namespace, report)


def empty(driver_class: type[Driver], target: Any, namespace: str, report: Report | None) -> None:
    """Removes what tests left in the namespace, and in the one that they use beside it."""
    for name in (namespace, namespace + BESIDE):
        store = driver_class.connect(target, namespace=name)
        if report:
            report.met(store)
        # Nobody has migrated this store yet.
        with suppress(SchemaError):
            store.clear()
        store.close()
