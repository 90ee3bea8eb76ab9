"""Stores on MariaDB for the tests of what is private to that driver."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pymysql
import pytest
from sqlalchemy import Engine, create_engine, make_url

from engines import Server
from longshore_sql.mysql.driver import MySQLDriver
from stores import fresh_store
from tests.mariadb.plain import opened

Connect = Callable[..., MySQLDriver]


@pytest.fixture
def url(tmp_path: Path, shared_server: Callable[[str], Server]) -> str:
    """A namespace of its own on the server of the session."""
    fresh: str = fresh_store("mariadb", tmp_path, shared_server)
    return fresh


@pytest.fixture
def namespace(url: str) -> str:
    return url.partition("namespace=")[2]


@pytest.fixture
def connect(url: str) -> Iterator[Connect]:
    """Opens connections to one store, and closes them at the end."""
    opened: list[MySQLDriver] = []

    def connect(target: Any = url, **options: Any) -> MySQLDriver:
        opened.append(MySQLDriver.connect(target, **options))
        return opened[-1]

    yield connect
    for driver in opened:
        driver.close()


@pytest.fixture
def store(connect: Connect) -> MySQLDriver:
    driver = connect()
    driver.migrate()
    return driver


@pytest.fixture
def engine(url: str) -> Iterator[Engine]:
    """An application's own engine, as SQLAlchemy makes it."""
    engine = create_engine(make_url(url).set(drivername="mariadb+pymysql", query={}))
    yield engine
    engine.dispose()


@pytest.fixture
def connection(url: str) -> Iterator[pymysql.Connection[Any]]:
    """The application's own connection."""
    with closing(opened(url)) as connection:
        yield connection
