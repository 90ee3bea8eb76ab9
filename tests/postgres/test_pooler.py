"""Behind a pooler in transaction mode: all promises but wake-ups, and nothing is left on connections of others."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest

from conftest import miss
from engines import NoServer, Server
from engines.pooler import pooled
from longshore.contract import EVERY, Change, Claim, Features, NewJob, State, Where, Write
from longshore.errors import Unavailable
from longshore.testing.promises import Promises
from longshore_sql.postgres.driver import PostgresDriver
from stores import fresh_store

MORE_THAN_IT_TAKES_TO_PREPARE = 12


@contextmanager
def through_a_pooler(server: Server, **options: int) -> Iterator[str]:
    """The server's URL by way of a pooler; without one the test is skipped, in CI it fails."""
    with ExitStack() as stack:
        try:
            url = stack.enter_context(pooled(server.url, **options))
        except NoServer as problem:
            miss(str(problem))
        yield url


@pytest.fixture(scope="module")
def pooler(shared_server: Callable[[str], Server]) -> Iterator[str]:
    """One for all tests here."""
    with through_a_pooler(shared_server("postgres")) as url:
        yield url


@pytest.fixture
def through(pooler: str, url: str) -> str:
    """The same namespace as ``url``, by way of the pooler."""
    return f"{pooler}?{url.partition('?')[2]}"


class TestBehindAPooler(Promises):
    driver = PostgresDriver

    @pytest.fixture
    def target(self, pooler: str, tmp_path: Path, shared_server: Callable[[str], Server]) -> str:
        url: str = fresh_store("postgres", tmp_path, shared_server)
        return f"{pooler}?{url.partition('?')[2]}"


def test_it_says_that_there_are_no_wake_ups(connect, through: str, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "longshore.postgres"):
        store = connect(through)
    assert Features.WAKEUPS not in store.features
    assert [record.message for record in caplog.records if record.name == "longshore.postgres"] == [
        "a pooler stands before PostgreSQL: there are no wake-ups, so workers look from time to time"
    ]
    assert store.listen(["queue:q"]).wait(0) is False


def test_with_a_pooler_it_wakes_those_who_have_none(connect, through: str) -> None:
    direct, behind = connect(), connect(through)
    direct.migrate()
    listener = direct.listen(["queue:q"])
    behind.insert([NewJob("a", "q", "t", b"")])
    assert listener.wait(30)


def call_everything(store: PostgresDriver, name: str) -> None:
    """Every method, writing and reading, as often as makes the library prepare statements."""
    for number in range(MORE_THAN_IT_TAKES_TO_PREPARE):
        ids = [f"{name}-{number}-{n}" for n in range(2)]
        store.insert([NewJob(identity, "q", "t", b"") for identity in ids])
        store.insert([NewJob(f"{ids[0]}-u", "q", "t", b"", unique_key=ids[0])])
        jobs = store.claim([Claim(("q",))], holder="h", limit=3).jobs
        changes = [Change(job.id, State.SUCCEEDED, {}, None, job.generation, "h", settles=True) for job in jobs]
        store.exchange(changes, [Claim(("q",))], holder="h", limit=3)
        store.write([Write("kind", name, b"1")])
        assert len(store.read("kind", [name])) == 1
        store.select(EVERY, limit=3)
        store.delete(Where(ids=ids))
        store.wake(["queue:q"])


def test_nothing_is_left_on_the_connections_of_the_pooler(
    connect, url: str, shared_server: Callable[[str], Server]
) -> None:
    """The pooler has one connection to the server, and gives it to the next client as it stands."""
    with through_a_pooler(shared_server("postgres"), connections=1) as alone:
        store = connect(f"{alone}?{url.partition('?')[2]}")
        store.migrate()
        call_everything(store, "a")
        store._notifier.close()
        with psycopg.connect(alone, autocommit=True, prepare_threshold=None) as other:
            assert other.execute("SELECT name FROM pg_prepared_statements").fetchall() == []
            kept = {"application_name", "client_encoding"}  # The pooler's own, kept for each of its clients.
            found = other.execute("SELECT name FROM pg_settings WHERE source = 'session'").fetchall()
            assert {name for (name,) in found} <= kept
            assert other.execute("SHOW synchronous_commit").fetchone() == ("on",)
            assert other.execute("SELECT count(*) FROM pg_listening_channels()").fetchone() == (0,)
        store.close()


def test_the_settings_go_with_each_transaction(connect, url: str, through: str, plain: str, namespace: str) -> None:
    """Who waits for another's transaction waits no longer behind a pooler than without one."""
    store = connect(through, lock_timeout=0.2)
    store.migrate()
    with psycopg.connect(plain) as rival:
        connect().insert([NewJob("a", "q", "t", b"")], tx=rival)
        for jobs in ([NewJob("a", "q", "t", b"")], [NewJob("a", "q", "t", b"", group="g")]):
            with pytest.raises(Unavailable) as caught:
                store.insert(jobs)
            assert caught.value.unknown is False
    assert store.insert([NewJob("a", "q", "t", b"")])[0].state is State.PENDING


def test_transactions_of_the_application_go_through_it(connect, pooler: str, through: str) -> None:
    store = connect(through)
    store.migrate()
    with psycopg.connect(pooler, prepare_threshold=None) as connection:
        for number in range(MORE_THAN_IT_TAKES_TO_PREPARE):
            store.insert([NewJob(f"{number}", "q", "t", b"")], tx=connection)
            connection.commit()
            store.insert([NewJob(f"not {number}", "q", "t", b"")], tx=connection)
            connection.rollback()
    found: list[Any] = store.select(EVERY).jobs
    assert {job.id for job in found} == {f"{number}" for number in range(MORE_THAN_IT_TAKES_TO_PREPARE)}
