"""Connections that are kept from call to call."""

from __future__ import annotations

import itertools
import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis

from conftest import Serve
from longshore_redis.lines import Lines
from stores import fresh_store

PATIENCE = 30.0


@pytest.fixture
def client(tmp_path: Path, shared_server: Serve, namespace: str) -> Iterator[redis.Redis]:
    """A client of a server that others use too, with a name of its own and a pool of its own."""
    url: str = fresh_store("redis", tmp_path, shared_server)
    with redis.Redis.from_url(url.partition("?")[0], client_name=namespace, protocol=2) as client:
        yield client


@pytest.fixture
def lines(client: redis.Redis) -> Lines:
    """Lines for which a second goes by whenever they look at the clock."""
    return Lines(client, "the server", replicas=0, patience=1.0, monotonic=itertools.count().__next__)


def number_of(client: redis.Redis) -> int:
    """How many connections of the client the server has, without the one that asks."""
    return sum(each["name"] == client.client_getname() for each in client.client_list()) - 1


def test_one_connection_serves_call_after_call(lines: Lines, client: redis.Redis) -> None:
    assert [lines.call("ECHO", word) for word in ("a", "b", "c")] == [b"a", b"b", b"c"]
    assert number_of(client) == 1


def test_a_connection_that_the_server_has_closed_is_noticed_before_it_is_used(
    lines: Lines, client: redis.Redis
) -> None:
    named = lines.call("CLIENT", "ID")
    client.client_kill_filter(_id=str(named))
    assert lines.call("ECHO", "a") == b"a"
    assert lines.call("CLIENT", "ID") != named


def test_one_that_was_used_just_now_is_not_looked_at(client: redis.Redis) -> None:
    lines = Lines(client, "the server", replicas=0, patience=1.0, monotonic=lambda: 0.0)
    client.client_kill_filter(_id=str(lines.call("CLIENT", "ID")))
    with pytest.raises(redis.exceptions.ConnectionError):
        lines.call("ECHO", "a")
    assert lines.call("ECHO", "a") == b"a"


def test_what_the_server_refuses_leaves_the_connection_as_it_was(lines: Lines, client: redis.Redis) -> None:
    with pytest.raises(redis.exceptions.ResponseError):
        lines.call("NO-SUCH-COMMAND")
    assert lines.call("ECHO", "a") == b"a"
    assert number_of(client) == 1


def test_an_answer_that_nobody_waited_for_is_never_taken_for_another(lines: Lines) -> None:
    class Enough(BaseException):
        """Somebody interrupts this thread."""

    def interrupt(*_: object) -> None:
        raise Enough

    before = signal.signal(signal.SIGALRM, interrupt)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.05)
        with pytest.raises(Enough):
            lines.call("BLPOP", "nothing", PATIENCE)
    finally:
        signal.signal(signal.SIGALRM, before)
    assert lines.call("ECHO", "a") == b"a"


def test_threads_that_call_at_the_same_time_have_connections_of_their_own(
    lines: Lines, client: redis.Redis, namespace: str
) -> None:
    answers: list[Any] = []
    waiting = threading.Thread(target=lambda: answers.append(lines.call("BLPOP", namespace, PATIENCE)))
    waiting.start()
    try:
        while not any(each["cmd"] == "blpop" for each in client.client_list() if each["name"] == namespace):
            assert lines.call("ECHO", "a") == b"a"
    finally:
        client.rpush(namespace, "b")
        waiting.join(PATIENCE)
    assert answers == [[namespace.encode(), b"b"]]


def test_a_line_that_another_thread_was_faster_to_take_is_not_waited_for(lines: Lines) -> None:
    class TakenMeanwhile(list[Any]):
        def __bool__(self) -> bool:
            return True

    lines._free = TakenMeanwhile()
    assert lines.call("ECHO", "a") == b"a"
