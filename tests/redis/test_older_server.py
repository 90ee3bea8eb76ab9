"""The oldest Redis that is served, beside the newer one of all other tests: the contract holds on both."""

from __future__ import annotations

import pytest
import redis

from conftest import Serve
from engines import Server
from longshore.testing.promises import Promises
from longshore_redis.driver import RedisDriver
from longshore_redis.servers import OLDEST


def version(server: Server) -> tuple[int, ...]:
    with redis.Redis.from_url(server.url) as client:
        return tuple(int(part) for part in str(client.info("server")["redis_version"]).split("."))


class TestOnTheOlderServer(Promises):
    driver = RedisDriver

    @pytest.fixture
    def target(self, older_server: Server, namespace: str) -> str:
        return f"{older_server.url}?namespace={namespace}"


def test_the_servers_are_two(older_server: Server, shared_server: Serve) -> None:
    assert version(older_server)[:2] == OLDEST
    assert version(shared_server("redis")) >= (7, 0)
