"""What SQLite complains of, in the words of the contract."""

from __future__ import annotations

import sqlite3
import time
from pathlib import Path

import pytest

from longshore.contract import UNREADABLE, Change, Claim, NewJob, Outcome, State, Where
from longshore.errors import Corrupt, StoreFull, Unavailable
from longshore.guard import Guard
from longshore_sql.sqlite.driver import SQLiteDriver

JOB = NewJob("a", "queue", "task", b"payload")


@pytest.fixture
def writer(store: SQLiteDriver, path: Path):
    """Somebody else, who is writing."""
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("BEGIN IMMEDIATE")
    yield connection
    connection.close()


def test_a_locked_database_is_unavailable_after_the_timeout_and_nothing_was_done(connect, writer) -> None:
    hurried = connect(timeout=0.05)
    for call in (lambda: hurried.insert([JOB]), lambda: hurried.claim([Claim(("queue",))], holder="h", limit=1)):
        began = time.monotonic()
        with pytest.raises(Unavailable, match="locked") as caught:
            call()
        assert not caught.value.unknown
        assert time.monotonic() - began < 5
    assert hurried.select(Where()).jobs == [], "a reader waits for a writer"
    writer.execute("COMMIT")
    hurried.insert([JOB])


def test_a_transaction_that_cannot_begin_is_unavailable(connect, writer) -> None:
    hurried = connect(timeout=0.05)
    with pytest.raises(Unavailable, match="locked"), hurried.transaction():
        pass


def test_one_who_holds_the_line_and_nothing_else_does_not_make_the_next_unavailable(
    connect, store: SQLiteDriver
) -> None:
    hurried = connect(timeout=0.05)
    with store._in_line():
        hurried.insert([JOB])
    assert [job.id for job in store.select(Where()).jobs] == [JOB.id]


def test_a_full_disk_stores_nothing(store: SQLiteDriver) -> None:
    with store._source.writer() as connection:
        connection.execute("PRAGMA max_page_count = 1")
    with pytest.raises(StoreFull, match="no room"):
        store.insert([NewJob(f"{n}", "queue", "task", b"x" * 10_000) for n in range(1_000)])
    with store._source.writer() as connection:
        connection.execute("PRAGMA max_page_count = 1000000")
    assert store.select(Where()).jobs == []
    store.insert([JOB])


def test_a_database_that_may_only_be_read_is_unavailable_for_writing(connect, store: SQLiteDriver, path: Path) -> None:
    store.insert([JOB])
    connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
    reader = connect(connection)
    assert reader.select(Where()).jobs
    with pytest.raises(Unavailable, match="must be writable") as caught:
        reader.insert([NewJob("b", "queue", "task", b"")])
    assert not caught.value.unknown
    connection.close()


def test_a_file_that_is_no_database_is_corrupt(connect, path: Path) -> None:
    path.write_bytes(b"This is not a database, whatever its name says. " * 100)
    with pytest.raises(Corrupt, match="cannot be read"):
        connect()


@pytest.mark.parametrize(
    ("column", "value", "said"),
    [
        ("notes", "{broken", "notes is '{broken'"),
        ("notes", "[1]", "notes is '[1]'"),
        ("parents", "p", "parents is 'p'"),
        ("parents", "[1]", "parents is '[1]'"),
        ("unique_scope", 77, "unique_scope is '77'"),
        ("if_parent_fails", "what", "if_parent_fails is 'what'"),
    ],
)
def test_a_damaged_row_says_so_and_holds_up_nobody(store: SQLiteDriver, column: str, value: object, said: str) -> None:
    store.insert([NewJob("a", "queue", "task", b"payload", notes={"page": 1}), NewJob("b", "queue", "task", b"")])
    with store._source.writer() as connection:
        connection.execute(f"UPDATE longshore_job SET {column} = ? WHERE id = 'a'", (value,))
    shown = {job.id: job.notes.get(UNREADABLE) for job in store.select(Where()).jobs}
    assert shown == {"a": said, "b": None}
    taken = store.claim([Claim(("queue",))], holder="holder", limit=2).jobs
    assert [(job.id, job.payload, UNREADABLE in job.notes) for job in taken] == [
        ("a", b"payload", True),
        ("b", b"", False),
    ]
    ends = [Change(job.id, State.FAILED, generation=job.generation, holder="holder", settles=True) for job in taken]
    assert [answer.outcome for answer in store.update(ends)] == [Outcome.MOVED, Outcome.MOVED]
    assert store.delete(Where(ids=["a", "b"])) == ["a", "b"]


def test_a_text_that_is_no_text_holds_up_nobody_when_the_call_is_repeated(store: SQLiteDriver) -> None:
    store.insert([NewJob("a", "queue", "task", b"payload"), NewJob("b", "queue", "task", b"")])
    with store._source.writer() as connection:
        connection.execute("UPDATE longshore_job SET notes = CAST(X'7BFF7D' AS TEXT) WHERE id = 'a'")
    guarded = Guard(store, sleep=lambda seconds: None)
    assert {job.id: job.notes.get(UNREADABLE) for job in guarded.each(Where())} == {
        "a": "notes is '{\\\\xff}'",
        "b": None,
    }
    with pytest.raises(Unavailable, match="UTF-8"):
        store.claim([Claim(("queue",))], holder="holder", limit=2)
    assert [job.id for job in store.claim([Claim(("queue",))], holder="holder", limit=2).jobs] == ["a", "b"]


def test_a_state_that_there_is_not_is_shown_as_an_end_and_can_be_retried(store: SQLiteDriver) -> None:
    store.insert([JOB])
    with store._source.writer() as connection:
        connection.execute("UPDATE longshore_job SET state = 77, lane = 0")
    (job,) = store.select(Where()).jobs
    assert (job.state, job.notes[UNREADABLE]) == (State.ABANDONED, "state is '77'")
    assert store.update([Change("a", State.PENDING, states=frozenset(State))])[0].outcome is Outcome.MOVED
    (again,) = store.claim([Claim(("queue",))], holder="holder", limit=1).jobs
    assert again.notes == {}


def test_notes_that_cannot_be_read_are_mended_by_erasing_what_is_said_of_them(store: SQLiteDriver) -> None:
    store.insert([JOB])
    with store._source.writer() as connection:
        connection.execute("UPDATE longshore_job SET notes = '{broken'")
    store.update([Change("a", fields={"notes": {UNREADABLE: None, "page": 2}})])
    assert store.select(Where()).jobs[0].notes == {"page": 2}


def test_a_step_that_fails_leaves_nothing_and_blocks_nobody(store: SQLiteDriver, connect) -> None:
    with pytest.raises(OverflowError):
        store.insert([JOB, NewJob("b", "queue", "task", b"", due=1 << 70)])
    assert connect(timeout=0.05).insert([JOB])
    assert [job.id for job in store.select(Where()).jobs] == ["a"]
