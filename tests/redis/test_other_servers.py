"""The oldest Redis that is served, and Valkey: the contract holds there as on the newer Redis of all other tests."""

from __future__ import annotations

import pytest
import redis

from conftest import Serve
from engines import Server
from longshore import Longshore
from longshore.testing.promises import Promises
from longshore_redis.driver import RedisDriver
from longshore_redis.servers import OLDEST


def said_by(server: Server, name: str) -> str:
    with redis.Redis.from_url(server.url.replace("valkey", "redis", 1)) as client:
        return str(client.info("server")[name])


def version(server: Server) -> tuple[int, ...]:
    return tuple(int(part) for part in said_by(server, "redis_version").split("."))


class TestOnTheOlderServer(Promises):
    driver = RedisDriver

    @pytest.fixture
    def target(self, older_server: Server, namespace: str) -> str:
        return f"{older_server.url}?namespace={namespace}"


class TestOnValkey(Promises):
    driver = RedisDriver

    @pytest.fixture
    def target(self, valkey_server: Server, namespace: str) -> str:
        return f"{valkey_server.url}?namespace={namespace}"


def test_the_servers_are_three(older_server: Server, valkey_server: Server, shared_server: Serve) -> None:
    assert version(older_server)[:2] == OLDEST
    assert version(shared_server("redis")) >= (7, 0)
    assert said_by(valkey_server, "server_name") == "valkey"


def test_jobs_are_done_on_valkey(valkey_server: Server, namespace: str) -> None:
    with Longshore(f"{valkey_server.url}?namespace={namespace}") as app:

        @app.task
        def doubled(number: int) -> int:
            return 2 * number

        job = doubled.enqueue(21)
        app.worker().run(until_empty=True)
        assert job.result(timeout=30) == 42
