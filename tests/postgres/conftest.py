"""Stores on PostgreSQL for the tests of what is private to that driver."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from engines import Server
from longshore_sql.postgres.driver import PostgresDriver
from stores import fresh_store

Connect = Callable[..., PostgresDriver]


@pytest.fixture
def url(tmp_path: Path, shared_server: Callable[[str], Server]) -> str:
    """A namespace of its own on the server of the session."""
    fresh: str = fresh_store("postgres", tmp_path, shared_server)
    return fresh


@pytest.fixture
def namespace(url: str) -> str:
    return url.partition("namespace=")[2]


@pytest.fixture
def connect(url: str) -> Iterator[Connect]:
    """Opens connections to one store, and closes them at the end."""
    opened: list[PostgresDriver] = []

    def connect(target: Any = url, **options: Any) -> PostgresDriver:
        opened.append(PostgresDriver.connect(target, **options))
        return opened[-1]

    yield connect
    for driver in opened:
        driver.close()


@pytest.fixture
def store(connect: Connect) -> PostgresDriver:
    driver = connect()
    driver.migrate()
    return driver


@pytest.fixture
def plain(url: str) -> str:
    """The URL as psycopg takes it."""
    return url.partition("?")[0]


@pytest.fixture
def connection(plain: str) -> Iterator[psycopg.Connection[Any]]:
    """The application's own connection."""
    with psycopg.connect(plain) as connection:
        yield connection
