"""An application of Longshore's and one of its users, on one database."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from engines import Server
from longshore import Longshore
from stores import fresh_store
from transactions.banks import BANKS, Bank


@pytest.fixture(params=BANKS)
def name(request: pytest.FixtureRequest) -> str:
    """Which of the banks."""
    named: str = request.param
    return named


@pytest.fixture
def url(name: str, tmp_path: Path, shared_server: Callable[[str], Server]) -> str:
    """An empty store on the bank's engine."""
    fresh: Any = fresh_store(name.partition(":")[0], tmp_path, shared_server)
    return str(fresh)


@pytest.fixture
def app(url: str) -> Iterator[Longshore]:
    with Longshore(url) as app:
        app.store.now()
        yield app


@pytest.fixture
def bank(name: str, url: str, app: Longshore) -> Iterator[Bank]:
    """The application's own way to the same database."""
    bank = BANKS[name](url)
    bank.create()
    yield bank
    bank.close()
