"""Stores on MongoDB for the tests of what is private to that driver."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pymongo
import pytest

from conftest import Serve, miss
from engines import NoServer
from engines.mongo_sets import Members, alone, replicated
from longshore_mongo.driver import MongoDriver
from stores import fresh_store

DIRECTLY = "directConnection=true&heartbeatFrequencyMS=60000&serverMonitoringMode=poll"
Connect = Callable[..., MongoDriver]


@pytest.fixture
def url(tmp_path: Path, shared_server: Serve) -> str:
    """An empty namespace of the server that all tests use, reached by the very address that the URL names."""
    found: str = fresh_store("mongo", tmp_path, shared_server)
    # And nothing is sent but what the driver asks, so that a test can count it.
    return found.replace("replicaSet=longshore", DIRECTLY)


@pytest.fixture
def namespace(url: str) -> str:
    return url.partition("namespace=")[2]


@pytest.fixture
def client(url: str) -> Iterator[pymongo.MongoClient[Any]]:
    """The application's own client."""
    with pymongo.MongoClient(url.partition("&namespace=")[0]) as client:
        yield client


@pytest.fixture
def connect(url: str) -> Iterator[Connect]:
    """Opens connections, and closes them at the end."""
    opened: list[MongoDriver] = []

    def connect(target: Any = url, **options: Any) -> MongoDriver:
        opened.append(MongoDriver.connect(target, **options))
        return opened[-1]

    yield connect
    for driver in opened:
        driver.close()


@pytest.fixture
def store(connect: Connect) -> MongoDriver:
    driver = connect()
    driver.migrate()
    return driver


@pytest.fixture
def members() -> Iterator[Members]:
    """A replica set of three, which the test may stop and kill."""
    try:
        with replicated() as members:
            yield members
    except NoServer as problem:
        miss(str(problem))


@pytest.fixture(scope="session")
def lone_url() -> Iterator[str]:
    """A server that stands alone."""
    try:
        with alone() as server:
            yield server.url
    except NoServer as problem:
        miss(str(problem))
