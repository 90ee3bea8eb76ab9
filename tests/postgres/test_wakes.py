"""How who listens is woken when a job is stored: right behind it, and not for each."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from typing import Any

import psycopg
import pytest

from longshore.contract import NewJob
from longshore.errors import Unavailable
from longshore_sql.postgres.cursor import PreparedCursor
from longshore_sql.postgres.wakes import Notifier

TOPIC = "queue:q"
PATIENCE = 30
A_WHILE = 0.006
"""Longer than what is said stays alone."""


class Hands:
    """A clock that stands still until it is put on."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def hands() -> Hands:
    return Hands()


@pytest.fixture
def notifier(plain: str, hands: Hands) -> Iterator[Notifier]:
    notifier = Notifier(lambda: psycopg.connect(plain, autocommit=True), "channel", monotonic=hands)
    yield notifier
    notifier.close()


def job(identity: str, queue: str = "q") -> NewJob:
    return NewJob(identity, queue, "t", b"")


def test_a_lone_job_wakes_by_the_connection_that_stores_it(connect, store, url: str, connection) -> None:
    """Neither a thread nor a connection more is needed."""
    alone = connect(f"{url}&application_name=alone")
    with closing(store.listen([TOPIC])) as listener:
        alone.insert([job("a")])
        assert listener.wait(PATIENCE)
        asked = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'alone'"
        assert connection.execute(asked).fetchone() == (1,)


def test_of_jobs_stored_in_a_row_each_wakes_its_queue(connect, store) -> None:
    producer = connect()
    queues = [f"q{number}" for number in range(5)]
    listeners = [store.listen([f"queue:{queue}"]) for queue in queues]
    for number, queue in enumerate(queues):
        producer.insert([job(f"{number}", queue)])
    assert all(listener.wait(PATIENCE) for listener in listeners)
    for listener in listeners:
        listener.close()


def test_what_was_to_be_said_soon_goes_along_with_the_next(notifier: Notifier, hands: Hands) -> None:
    assert set(notifier.along(["a"])) == {"a"}
    assert set(notifier.along(["b"])) == set()
    notifier.send(["b"])
    hands.now += A_WHILE
    assert set(notifier.along(["c"])) == {"b", "c"}
    hands.now += A_WHILE
    assert set(notifier.along(["d"])) == {"d"}


def test_what_nothing_takes_along_goes_by_itself(store, plain: str, hands: Hands) -> None:
    channel = store._channel
    notifier = Notifier(lambda: psycopg.connect(plain, autocommit=True), channel, monotonic=hands)
    with closing(store.listen([TOPIC])) as listener:
        notifier.along(["other"])
        notifier.send([TOPIC])
        hands.now += 2 * A_WHILE
        assert listener.wait(PATIENCE)
        notifier.close()


def test_what_went_along_in_vain_is_said_again(connect, store, hands: Hands, monkeypatch: pytest.MonkeyPatch) -> None:
    """Others count on it: the statement that failed had taken along what they had to say."""
    producer = connect()
    producer._notifier = Notifier(producer._source.opened, store._channel, monotonic=hands)
    with closing(store.listen(["queue:another"])) as listener:
        producer._notifier.along([TOPIC])
        producer._notifier.send(["queue:another"])
        hands.now += A_WHILE
        with monkeypatch.context() as patched:
            patched.setattr(PreparedCursor, "execute", cut)
            with pytest.raises(Unavailable):
                producer.insert([job("a")])
        assert not listener.wait(0)
        hands.now += 2 * A_WHILE
        assert listener.wait(PATIENCE)


def cut(*_: Any) -> None:
    raise psycopg.OperationalError("the connection is lost")
