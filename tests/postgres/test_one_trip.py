"""What a busy worker asks for goes in one round trip, and what is unusual is done all the same."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

import pytest

from longshore.contract import SECOND, Answer, Change, Claim, Claimed, NewJob, Outcome, State, StoredJob
from longshore.errors import SchemaError, Unavailable
from longshore.testing import ManualClock
from longshore_sql.postgres.cursor import PreparedCursor
from longshore_sql.postgres.driver import PostgresDriver

Connect = Callable[..., PostgresDriver]
CLAIMS = [Claim(("q",), frozenset({"t"}))]


@contextmanager
def trips() -> Iterator[list[int]]:
    """How many statements went in each round trip, once all are prepared."""
    found: list[int] = []
    together, alone = PreparedCursor._exchanged, PreparedCursor._answered

    def exchanged(cursor: PreparedCursor, groups: Any) -> Any:
        found.append(sum(map(len, groups)))
        return together(cursor, groups)

    def answered(cursor: PreparedCursor) -> Any:
        found.append(1)
        return alone(cursor)

    with patch.multiple(PreparedCursor, _exchanged=exchanged, _answered=answered):
        yield found


def put(store: PostgresDriver, *names: str, **fields: Any) -> None:
    store.insert([NewJob(name, "q", "t", b"1", **fields) for name in names])


def end(job: StoredJob) -> Change:
    fields: Any = {"result": b"7", "result_codec": "json"}
    running = frozenset({State.RUNNING})
    return Change(job.id, State.SUCCEEDED, fields, running, job.generation, job.holder, settles=True)


def exchange(store: PostgresDriver, jobs: list[StoredJob], limit: int = 2) -> tuple[list[Answer], Claimed]:
    return store.exchange([end(job) for job in jobs], CLAIMS, holder="h", limit=limit, max_bytes=1_000)


@contextmanager
def a_child_is_stored_meanwhile(store: PostgresDriver, parent: str) -> Iterator[None]:
    """Between the commit of ends and the look at who waits for them."""
    usual = PreparedCursor.together

    def meanwhile(cursor: PreparedCursor, groups: Any, /) -> Any:
        ends, *look = groups
        made = usual(cursor, [ends])
        put(store, "child", waiting=True, parents=(parent,))
        return [*made, *usual(cursor, look)]

    with patch.object(PreparedCursor, "together", meanwhile):
        yield


def test_an_exchange_is_one_round_trip(store: PostgresDriver) -> None:
    put(store, "a", "b", "c", "d", "e", "f")
    first = exchange(store, store.claim(CLAIMS, holder="h", limit=2).jobs)[1]
    with trips() as found:
        answers, second = exchange(store, first.jobs)
    assert found == [3], "the ends, the claim, and the look at who waits"
    assert [answer.outcome for answer in answers] == [Outcome.MOVED] * 2
    assert [(job.id, job.state, job.holder, job.attempt) for job in second.jobs] == [
        ("e", State.RUNNING, "h", 1),
        ("f", State.RUNNING, "h", 1),
    ]
    assert {job.id: job.result for job in store.select().jobs if job.state is State.SUCCEEDED} == dict.fromkeys(
        "abcd", b"7"
    )


def test_a_claim_and_a_settlement_are_one_round_trip_each(store: PostgresDriver) -> None:
    put(store, "a", "b")
    store.update([end(job) for job in store.claim(CLAIMS, holder="h", limit=1).jobs])
    with trips() as found:
        jobs = store.claim(CLAIMS, holder="h", limit=1).jobs
        store.update([end(job) for job in jobs])
    assert found == [1, 2]
    assert [job.id for job in jobs] == ["b"]


@pytest.mark.parametrize("ends", [0, 1])
def test_a_job_that_was_said_to_become_due_is_taken_in_one_round_trip(
    connect: Connect, store: PostgresDriver, ends: int
) -> None:
    clock = ManualClock()
    worker = connect(clock=clock)
    put(worker, *["running"][:ends])
    running = worker.claim(CLAIMS, holder="h", limit=1).jobs
    for name, delay in (("warm", 1), ("due", 2), ("later", 3)):
        worker.insert([NewJob(name, "q", "t", b"1", delay=delay * SECOND)])
    for name, found in (("warm", None), ("due", [2 + 2 * ends])):
        assert worker.claim(CLAIMS, holder="h", limit=1).next_due == SECOND
        clock.advance(1)
        with trips() as went:
            jobs = exchange(worker, running)[1].jobs if running else worker.claim(CLAIMS, holder="h", limit=9).jobs
        assert [job.id for job in jobs] == [name]
        assert found is None or went == found
        running = jobs[:ends]


def test_only_what_was_not_made_at_once_is_made_singly(store: PostgresDriver) -> None:
    put(store, "a", "b", "c", "next")
    jobs = store.claim(CLAIMS, holder="h", limit=3).jobs
    put(store, "child", waiting=True, parents=("b",))
    exchange(store, [jobs[2]], limit=1)
    changes = [end(job) for job in jobs]
    answers = store.update(changes)
    assert [answer.outcome for answer in answers] == [Outcome.MOVED, Outcome.MOVED, Outcome.REPEATED]
    assert [answer.releases for answer in answers] == [False, True, False]


def test_who_began_to_wait_meanwhile_is_seen_after_the_commit(store: PostgresDriver) -> None:
    put(store, "a", "b")
    jobs = store.claim(CLAIMS, holder="h", limit=2).jobs
    with a_child_is_stored_meanwhile(store, "b"):
        answers = store.update([end(job) for job in jobs])
    assert [answer.releases for answer in answers] == [False, True]
    assert [job.id for job in store.select().jobs if job.releases] == ["b"]


def test_who_dies_before_what_was_seen_is_stored_sees_it_when_the_ends_are_sent_again(store: PostgresDriver) -> None:
    put(store, "a", "b")
    changes = [end(job) for job in store.claim(CLAIMS, holder="h", limit=2).jobs]
    dies = patch.object(store._changing, "releasing", side_effect=Unavailable("the connection broke"))
    with a_child_is_stored_meanwhile(store, "b"), dies, pytest.raises(Unavailable):
        store.update(changes)
    assert [job.id for job in store.select().jobs if job.releases] == []
    answers = store.update(changes)
    assert [(answer.outcome, answer.releases) for answer in answers] == [
        (Outcome.REPEATED, False),
        (Outcome.REPEATED, True),
    ]


@pytest.mark.parametrize(
    ("unusual", "taken", "expired"),
    [
        ({"expires_in": 1}, ["usual"], ["another"]),
        ({"delay": 1, "priority": 5}, ["another", "usual"], []),
    ],
    ids=["expired", "due later"],
)
def test_what_the_head_has_besides_is_seen_to_first(
    store: PostgresDriver, unusual: dict[str, Any], taken: list[str], expired: list[str]
) -> None:
    put(store, "usual")
    put(store, "another", **unusual)
    claimed = store.claim(CLAIMS, holder="h", limit=2)
    assert ([job.id for job in claimed.jobs], claimed.expired) == (taken, expired)


def test_in_tables_of_a_newer_version_nothing_is_taken_or_changed(store: PostgresDriver) -> None:
    put(store, "a", "b")
    jobs = store.claim(CLAIMS, holder="h", limit=1).jobs
    meta = store._dialect.name(store._schema.meta)
    with store._source.lent() as connection:
        connection.execute(f"UPDATE {meta} SET value = 1000".encode())
        for call in (lambda: store.claim(CLAIMS, holder="h", limit=1), lambda: exchange(store, jobs)):
            with pytest.raises(SchemaError, match="update the longshore package"):
                call()
        job = store._dialect.name(store._schema.job)
        found = connection.execute(f"SELECT id, state FROM {job} ORDER BY id".encode())
        assert found.fetchall() == [("a", State.RUNNING), ("b", State.PENDING)]


def test_it_is_read_committed_whatever_is_the_users_default(url: str, connect: Connect) -> None:
    store = connect(f"{url}&options=-c%20default_transaction_isolation%3Dserializable")
    with store._source.lent() as connection:
        asked = connection.execute("SELECT current_setting('transaction_isolation')")
        assert asked.fetchone() == ("read committed",)
