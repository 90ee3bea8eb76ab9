"""Every statement that is run often finds its rows by the index that was made for it."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import pytest

from longshore.contract import ENDED, HELD, By, Change, Claim, NewJob, Order, State, StoredJob, Where, Write
from longshore.testing import ManualClock
from longshore_sql.shapes import ROWS
from longshore_sql.sqlite.driver import SQLiteDriver

RUNNING = frozenset({State.RUNNING})
WANTED = frozenset({"wanted"})
HOUR = 3_600_000_000
VERBS = ("SELECT", "UPDATE", "INSERT", "DELETE", "WITH")


def some_jobs(name: str, number: int, **fields: Any) -> list[NewJob]:
    return [NewJob(f"{name}-{n}", "queue", name, b"1", **fields) for n in range(number)]


@pytest.fixture(params=["young", "analyzed"])
def filled(request: pytest.FixtureRequest, store: SQLiteDriver) -> SQLiteDriver:
    """A store with jobs of every kind; the planner knows nothing of them, or all."""
    store.insert(some_jobs("wanted", 300))
    store.insert(some_jobs("later", 300, delay=HOUR))
    store.insert(some_jobs("kept", 100, expires_in=HOUR, group="group"))
    store.insert(some_jobs("keyed", 100, key="key"))
    store.insert([job for n in range(50) for job in some_jobs(f"unique-{n}", 1, unique_key=f"unique-{n}")])
    store.insert([job for n in range(50) for job in some_jobs(f"child-{n}", 1, parents=(f"wanted-{n}",), waiting=True)])
    finish(store, take(store, 100))
    take(store, 50)
    if request.param == "analyzed":
        with store._source.writer() as connection:
            connection.execute("ANALYZE")
        store.read("none")  # Looks at the schema, which has changed, once.
    return store


def take(store: SQLiteDriver, limit: int = 10) -> list[StoredJob]:
    return store.claim([Claim(("queue",), WANTED)], holder="holder", limit=limit).jobs


def finish(store: SQLiteDriver, jobs: list[StoredJob]) -> None:
    fields: Any = {"result": b"7", "result_codec": "json"}
    store.update([Change(j.id, State.SUCCEEDED, fields, RUNNING, j.generation, "holder", settles=True) for j in jobs])


@contextmanager
def traced(store: SQLiteDriver) -> Iterator[list[str]]:
    """The statements that were run, with their values."""
    texts: list[str] = []
    connections: list[sqlite3.Connection] = []
    with ExitStack() as stack:
        connections = [stack.enter_context(lend()) for lend in (store._source.writer, store._source.reader)]
    for connection in connections:
        connection.set_trace_callback(texts.append)
    yield texts
    for connection in connections:
        connection.set_trace_callback(None)


def plans(store: SQLiteDriver, call: Callable[[], Any]) -> list[str]:
    """How SQLite finds the rows of jobs in each statement of a call."""
    with traced(store) as texts:
        call()
    with store._source.reader() as connection:
        return [
            step[3].replace("longshore_", "")
            for text in texts
            if text.startswith(VERBS)
            for step in connection.execute(f"EXPLAIN QUERY PLAN {text}")
            if "longshore_" in step[3]
        ]


ROW = "SEARCH job USING INTEGER PRIMARY KEY (rowid=?)"
ID = "SEARCH job USING INDEX sqlite_autoindex_longshore_job_1 (id=?)".replace("longshore_", "")
SURVEY = ["SCAN job USING COVERING INDEX future", "SCAN job USING COVERING INDEX aside"]
PROMOTION = [ROW, "SEARCH job USING COVERING INDEX future (due<?)"]
LANES = [
    "SEARCH job USING COVERING INDEX aside (queue=?)",
    "SEARCH job USING COVERING INDEX aside (queue=? AND task>?)",
]


def test_a_claim_reads_the_head_of_the_queue(filled: SQLiteDriver, clock: ManualClock) -> None:
    head = "SEARCH job USING COVERING INDEX ready (queue=?)"
    assert plans(filled, lambda: take(filled)) == [*SURVEY, *LANES, head, ROW, ROW]
    filled.insert(some_jobs("soon", 1, delay=1))
    clock.advance(1)
    assert plans(filled, lambda: take(filled)) == [*SURVEY, *PROMOTION, *LANES, head, ROW, ROW]


def test_a_claim_by_priority_reads_a_range(filled: SQLiteDriver) -> None:
    claims = [Claim(("queue", "other"), WANTED, min_priority=-1)]
    found = plans(filled, lambda: filled.claim(claims, holder="holder", limit=3))
    assert "SEARCH job USING COVERING INDEX ready (queue=? AND priority>?)" in found


def test_a_claim_merges_the_lanes_of_its_tasks(filled: SQLiteDriver) -> None:
    filled.claim([Claim(("queue",), frozenset({"none"}))], holder="holder", limit=3)
    found = plans(filled, lambda: take(filled))
    assert "SEARCH job USING COVERING INDEX ready (queue=?)" in found
    assert "SEARCH job USING COVERING INDEX aside (queue=? AND task=?)" in found
    assert set(LANES) <= set(found)
    assert not [step for step in found if step == "SCAN job"]


def test_a_claim_by_id_looks_up_the_id(filled: SQLiteDriver) -> None:
    found = plans(filled, lambda: filled.claim([Claim(id="wanted-299")], holder="holder", limit=1))
    assert found == [*SURVEY, ID, ROW]


def test_the_next_due_job_is_the_first_of_an_index(filled: SQLiteDriver) -> None:
    found = plans(filled, lambda: filled.claim([Claim(("empty",), WANTED)], holder="holder", limit=1))
    assert "SCAN job USING COVERING INDEX future" in found


@pytest.mark.parametrize("number", [10, ROWS])
def test_finishing_looks_up_the_id_and_the_children(filled: SQLiteDriver, number: int) -> None:
    jobs = take(filled, number)
    assert len(jobs) == number
    child = ID.replace("SEARCH job", "SEARCH waiting")
    assert set(plans(filled, lambda: finish(filled, jobs))) == {ID, child, "SEARCH parent USING PRIMARY KEY (parent=?)"}


def test_a_failed_attempt_is_found_by_job_and_number(filled: SQLiteDriver) -> None:
    job = take(filled, 1)[0]
    fields: Any = {"delay": HOUR, "attempt_record": b"x"}
    change = Change(job.id, State.PENDING, fields, RUNNING, job.generation, "holder", settles=True)
    found = plans(filled, lambda: filled.update([change]))
    assert "SEARCH attempt USING INDEX sqlite_autoindex_attempt_1 (job=? AND number<?)" in found
    assert not [step for step in found if step.startswith("SCAN")]


@pytest.mark.parametrize(
    ("where", "plan"),
    [
        (Where(ids=["wanted-1"]), ID),
        (Where(ids=["wanted-1", "wanted-2"]), ID),
        (Where(holder="holder"), "SEARCH job USING INDEX held (holder=?)"),
        (Where(groups=["group"]), "SEARCH job USING INDEX grouped (group=?)"),
        (Where(groups=["group"], states=[State.FAILED]), "SEARCH job USING INDEX grouped (group=? AND state=?)"),
        (Where(keys=["key"], states=[State.WAITING]), "SEARCH job USING INDEX keyed (key=? AND state=?)"),
        (Where(unique_key="unique-1"), "SEARCH job USING INDEX unique_key (unique_key=?)"),
        (Where(parents=["wanted-1"]), ID),
        (Where(releases=True), "SCAN job USING INDEX releasing"),
        (Where(states=[State.PENDING, State.WAITING], expired=0), "SEARCH job USING INDEX overdue (expires<?)"),
        (Where(states=[State.SUCCEEDED], ended=0), "SEARCH job USING INDEX ended (state=? AND ended<?)"),
        (Where(states=[State.RUNNING]), "SCAN job USING INDEX held"),
        (Where(states=[State.FAILED, State.CANCELLED]), "SEARCH job USING INDEX ended (state=?)"),
        (Where(states=[State.WAITING], queues=["queue"]), "SEARCH job USING INDEX waiting (queue=?)"),
        (Where(), "SCAN job USING INDEX listed"),
        (Where(states=[State.PENDING], queues=["queue"]), "SCAN job USING INDEX listed"),
    ],
)
def test_a_selection_uses_an_index(filled: SQLiteDriver, where: Where, plan: str) -> None:
    found = plans(filled, lambda: filled.select(where, order=Order.OLDEST, limit=10))
    assert found[0] == plan


def test_a_further_page_begins_where_the_last_ended(filled: SQLiteDriver) -> None:
    found = plans(filled, lambda: filled.select(Where(), after="5:x"))
    assert found[0] == "SEARCH job USING INDEX listed (created<?)"


def test_the_heads_of_keys_are_read_one_by_one_without_sorting(filled: SQLiteDriver) -> None:
    where = Where(keys=["key", "other"], states=[State.WAITING])
    with traced(filled) as texts:
        filled.select(where, order=Order.OLDEST, each=1)
    with filled._source.reader() as connection:
        steps = [step[3] for text in texts if "_keyed" in text or "longshore_job" in text
                 for step in connection.execute(f"EXPLAIN QUERY PLAN {text}")]  # fmt: skip
    assert steps == ["SEARCH longshore_job USING INDEX longshore_keyed (key=? AND state=?)"] * 2


def test_the_oldest_ended_jobs_are_removed_by_when_they_ended(filled: SQLiteDriver) -> None:
    found = plans(filled, lambda: filled.delete(Where(states=[State.SUCCEEDED], ended=0), limit=10))
    assert found == [
        "SEARCH job USING INDEX ended (state=? AND ended<?)",
        "SEARCH attempt USING INDEX sqlite_autoindex_attempt_1 (job=?)",
        "SEARCH parent USING COVERING INDEX child (child=?)",
        ID,
    ]


def test_what_waits_is_counted_by_indexes_alone(filled: SQLiteDriver) -> None:
    unended = Where(states=[state for state in State if state not in ENDED | HELD])
    for by in (By.QUEUE_STATE, By.QUEUE_TASK_STATE):
        assert plans(filled, lambda by=by: filled.count(by, unended)) == [
            "SCAN job USING COVERING INDEX ready",
            "SCAN job USING COVERING INDEX aside",
            "SCAN job USING COVERING INDEX future",
            "SCAN job USING COVERING INDEX waiting",
        ]


def test_a_history_is_counted_by_its_index(filled: SQLiteDriver) -> None:
    found = plans(filled, lambda: filled.count(By.QUEUE_STATE, Where(states=list(ENDED))))
    assert found == ["SEARCH job USING COVERING INDEX ended (state=?)"]
    assert plans(filled, lambda: filled.count(By.HOLDER)) == ["SCAN job USING INDEX held"]
    found = plans(filled, lambda: filled.count(By.GROUP_STATE, Where(groups=["group"])))
    assert found == ["SEARCH job USING COVERING INDEX grouped (group=?)"]


def test_a_clash_is_found_by_id_slot_and_turn(filled: SQLiteDriver) -> None:
    jobs = [NewJob("wanted-1", "queue", "t", b""), NewJob("new", "queue", "t", b"", unique_key="unique-1", key="key")]
    found = plans(filled, lambda: filled.insert(jobs))
    assert {ID, "SEARCH job USING COVERING INDEX keyed (key=? AND state=?)"} <= set(found)
    assert "SEARCH job USING INDEX slot (unique_slot=?)" in found
    assert not [step for step in found if step.startswith("SCAN")]


def test_records_are_found_by_key_and_prefix(filled: SQLiteDriver) -> None:
    key = "sqlite_autoindex_record_1"
    writes = [Write("kind", "key", b"1", lifetime=HOUR, version=0)]
    assert plans(filled, lambda: filled.write(writes)) == [
        "SEARCH record USING INDEX lapsing (expires<?)",
        "SEARCH meta USING INDEX sqlite_autoindex_meta_1 (name=?)",
        f"SEARCH record USING INDEX {key} (kind=? AND key=?)",
        "SEARCH meta USING INDEX sqlite_autoindex_meta_1 (name=?)",
    ]
    found = plans(filled, lambda: filled.read("kind", prefix="a", after="b"))
    assert found == [f"SEARCH record USING INDEX {key} (kind=? AND key>? AND key<?)"]
