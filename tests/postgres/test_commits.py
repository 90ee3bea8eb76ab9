"""Wake-ups for what is stored in an application's own transaction."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from typing import Any

import psycopg
import pytest

from longshore.contract import Claim, NewJob
from longshore_sql.postgres.commits import Commits
from longshore_sql.postgres.driver import PostgresDriver

TOPIC = "queue:q"
NUMBER = "SELECT pg_current_xact_id()::text"


class Heard:
    """What was woken, in order."""

    def __init__(self) -> None:
        self.topics: list[str] = []

    def __call__(self, topics: Any) -> None:
        self.topics += topics


@pytest.fixture
def heard() -> Heard:
    return Heard()


@pytest.fixture
def opened(plain: str) -> Callable[[], psycopg.Connection[Any]]:
    return lambda: psycopg.connect(plain, autocommit=True)


def number_of(connection: psycopg.Connection[Any]) -> str:
    found = connection.execute(NUMBER).fetchone()
    assert found is not None
    return str(found[0])


def test_the_application_itself_says_nothing(
    store: PostgresDriver, connection: psycopg.Connection[Any], opened: Callable[[], psycopg.Connection[Any]]
) -> None:
    """A commit that carried a notification would wait for all others that do."""
    with opened() as ear:
        ear.execute(f'LISTEN "{store._channel}"')
        store.insert([NewJob("a", "q", "t", b"")], tx=connection)
        connection.commit()
        said = next(ear.notifies(timeout=30))
    assert said.payload == TOPIC
    assert said.pid != connection.info.backend_pid


def test_a_rollback_wakes_nobody_and_a_commit_does(
    store: PostgresDriver, connection: psycopg.Connection[Any], heard: Heard, opened: Any
) -> None:
    commits = Commits(opened, heard)
    commits.note(number_of(connection), ["rolled back"])
    connection.rollback()
    commits.note(number_of(connection), ["committed"])
    connection.commit()
    await_all(commits)
    commits.close()
    assert heard.topics == ["committed"]


def test_a_transaction_that_is_open_for_long_is_asked_for_less_and_less(
    connection: psycopg.Connection[Any], plain: str, heard: Heard
) -> None:
    asked: list[float] = []

    class Counting(psycopg.Connection[Any]):
        def cursor(self, *given: Any, **options: Any) -> Any:
            asked.append(1)
            if len(asked) == 12:
                connection.commit()
            return super().cursor(*given, **options)

    commits = Commits(lambda: Counting.connect(plain, autocommit=True), heard)
    commits.note(number_of(connection), [TOPIC])
    await_all(commits)
    assert heard.topics == [TOPIC]
    assert commits._pause > 10 * 0.002, "the pauses do not grow"
    commits.close()


def test_a_connection_that_breaks_is_made_again(
    connection: psycopg.Connection[Any], opened: Callable[[], psycopg.Connection[Any]], heard: Heard
) -> None:
    broken: list[psycopg.Connection[Any]] = []

    def once_broken() -> psycopg.Connection[Any]:
        fresh = opened()
        if not broken:
            broken.append(fresh)
            fresh.close()
        return fresh

    commits = Commits(once_broken, heard)
    commits.note(number_of(connection), [TOPIC])
    connection.commit()
    await_all(commits)
    commits.close()
    assert heard.topics == [TOPIC]
    assert broken


def test_closing_does_not_wait_for_an_open_transaction(
    connection: psycopg.Connection[Any], opened: Any, heard: Heard
) -> None:
    commits = Commits(opened, heard)
    commits.note(number_of(connection), [TOPIC])
    commits.close()
    assert heard.topics == []


def test_a_child_of_fork_watches_its_own(connection: psycopg.Connection[Any], opened: Any, heard: Heard) -> None:
    commits = Commits(opened, heard)
    commits.note(number_of(connection), [TOPIC])
    child = os.fork()
    if child == 0:
        with opened() as own:
            own.autocommit = False
            commits.note(number_of(own), ["child"])
            own.commit()
            await_all(commits)
        os._exit(0 if heard.topics == ["child"] else 1)
    _, status = os.waitpid(child, 0)
    connection.commit()
    await_all(commits)
    commits.close()
    assert (os.waitstatus_to_exitcode(status), heard.topics) == (0, [TOPIC])


def test_who_dies_between_the_commit_and_the_look_leaves_a_job_that_is_found(
    connect: Callable[..., PostgresDriver], plain: str, namespace: str
) -> None:
    """Nobody is woken; the job is there for whoever looks."""
    store = connect()
    store.migrate()
    child = os.fork()
    if child == 0:
        with psycopg.connect(plain) as application:
            own = PostgresDriver.connect(plain, namespace=namespace)
            own._commits = Commits(lambda: os._exit(9), own.wake)  # Dies when it is about to look.
            own.insert([NewJob("a", "q", "t", b"")], tx=application)
            application.commit()
            threading.Event().wait(30)
        os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9
    assert [job.id for job in store.claim([Claim(("q",))], holder="h", limit=1).jobs] == ["a"]


def await_all(commits: Commits) -> None:
    """Returns when no transaction is watched any more, and what was to be woken is."""
    with commits._changed:
        assert commits._changed.wait_for(lambda: not commits._noted, 30), "a transaction is watched for ever"
