"""What is connected to: URLs, live clients, and settings of a server under which jobs would be lost."""

from __future__ import annotations

import pytest
import redis

from conftest import Serve
from longshore.contract import Features, NewJob, State, Where
from longshore.errors import Closed, SchemaError, Unavailable
from longshore.registry import driver_for
from longshore_redis.driver import RedisDriver


def test_a_live_client_is_used_as_it_is_set_and_never_closed(url: str) -> None:
    with redis.Redis.from_url(url.partition("?")[0], decode_responses=True) as client:
        store = RedisDriver.connect(client, namespace=url.rpartition("=")[2])
        store.migrate()
        store.insert([NewJob("a", "q", "t", b"\xff")])
        assert store.target is client
        assert [job.payload for job in store.select(Where(ids=["a"])).jobs] == [b"\xff"]
        store.close()
        assert client.ping()
        assert driver_for(client) is RedisDriver


def test_a_closed_driver_says_so_and_connects_no_more(url: str) -> None:
    store = RedisDriver.connect(url)
    store.migrate()
    store.close()
    store.close()
    for call in (lambda: store.insert([NewJob("a", "q", "t", b"")]), store.now, lambda: store.wake(["queue:q"])):
        with pytest.raises(Closed, match="connect again"):
            call()


def test_a_store_without_a_schema_says_so(url: str) -> None:
    store = RedisDriver.connect(url)
    with pytest.raises(SchemaError, match="longshore migrate"):
        store.insert([NewJob("a", "q", "t", b"")])
    store.close()


def test_a_server_that_is_not_there_is_unavailable() -> None:
    with pytest.raises(Unavailable, match=r"127\.0\.0\.1:1 "):
        RedisDriver.connect("redis://:secret@127.0.0.1:1/0?timeout=1")


def test_settings_under_which_jobs_are_lost_are_warned_of(own_server: Serve) -> None:
    url = own_server("redis").url
    with redis.Redis.from_url(url) as client:
        store = RedisDriver.connect(url)
        assert Features.DURABLE in store.features
        store.close()
        client.config_set("appendfsync", "everysec")
        store = RedisDriver.connect(url)
        assert Features.DURABLE not in store.features, "a machine that crashes loses the last second"
        store.close()
        client.config_set("maxmemory", "1gb")
        client.config_set("maxmemory-policy", "volatile-lru")
        store = RedisDriver.connect(url)
        store.close()  # No warning: no key of ours has a time to live.
        client.config_set("maxmemory-policy", "allkeys-lru")
        with pytest.warns(RuntimeWarning, match="evicts"):
            RedisDriver.connect(url).close()
        client.config_set("maxmemory-policy", "noeviction")
        client.config_set("appendonly", "no")
        with pytest.warns(RuntimeWarning, match="appendonly no"):
            RedisDriver.connect(url).close()


def test_a_job_that_cannot_be_read_hides_no_other(store: RedisDriver, url: str) -> None:
    store.insert([NewJob(name, "q", "t", b"") for name in "abc"])
    tag = f"{{longshore:{url.rpartition('=')[2]}}}:"
    with redis.Redis.from_url(url.partition("?")[0]) as client:
        client.hset(f"{tag}jobs", "a", b"somebody's hand")
    jobs = {job.id: job for job in store.select(Where()).jobs}
    assert sorted(jobs) == ["a", "b", "c"]
    assert "longshore.unreadable" in jobs["a"].notes
    assert jobs["b"].state is State.PENDING
