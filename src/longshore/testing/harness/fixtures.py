"""The fixtures for tests of applications; pytest finds them by itself."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from longshore.app import Longshore
from longshore.errors import ConfigurationError
from longshore.loading import load_app
from longshore.testing.harness.harness import Harness


@pytest.fixture
def longshore_app(request: pytest.FixtureRequest) -> Longshore:
    """The application under test: the one that ``longshore_app`` in pytest's configuration names, or LONGSHORE_APP.

    Have a fixture of this name for one that is made another way.
    """
    name = str(request.config.getini("longshore_app")) or os.environ.get("LONGSHORE_APP", "")
    if not name:
        raise ConfigurationError(
            "expected the application under test: set longshore_app = module:attribute in pytest's configuration, or "
            "have a fixture longshore_app that gives it"
        )
    return load_app(name)


@pytest.fixture
def longshore_jobs(longshore_app: Longshore) -> Iterator[Harness]:
    """The jobs of `longshore_app` in a fresh store in memory, for the time of one test."""
    with Harness(longshore_app) as jobs:
        yield jobs
