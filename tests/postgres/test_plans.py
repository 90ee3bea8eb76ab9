"""Every statement that is run often finds its rows by the index that was made for it, whatever the planner knows."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from functools import partial
from typing import Any, NamedTuple
from unittest.mock import patch

import psycopg
import pytest

from engines import Server
from longshore.contract import ENDED, HELD, By, Change, Claim, Claimed, NewJob, Order, State, StoredJob, Where, Write
from longshore_sql.postgres.cursor import PreparedCursor
from longshore_sql.postgres.driver import PostgresDriver
from stores import fresh_store

RUNNING = frozenset({State.RUNNING})
WANTED = frozenset({"wanted"})
HOUR = 3_600_000_000
SORT = "sort"
VERBS = ("SELECT", "UPDATE", "INSERT", "DELETE", "WITH")


class Stores(NamedTuple):
    """One with jobs of every kind, whose calls are watched, and one whose planner says how it would run them."""

    filled: PostgresDriver
    asked: PostgresDriver


@pytest.fixture(scope="module", params=["empty", "young", "analyzed"])
def stores(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, shared_server: Callable[[str], Server]
) -> Iterator[Stores]:
    """Plans are made while the tables are empty, when they have filled without a look at them, and after one."""
    fresh = partial(fresh_store, "postgres", tmp_path_factory.mktemp("none"), shared_server)
    with ExitStack() as stack:

        def opened(url: str) -> PostgresDriver:
            store = stack.enter_context(closing(PostgresDriver.connect(url)))
            store.migrate()
            return store

        url = fresh()
        filled = opened(url)
        fill(filled)
        if request.param == "analyzed":
            with filled._source.lent() as connection:
                for name in ("job", "parent", "attempt", "record", "meta"):
                    connection.execute(f"ANALYZE {filled._schema.namespace}_{name}")
        yield Stores(filled, opened(fresh() if request.param == "empty" else url))


def fill(store: PostgresDriver) -> None:
    store.insert(some_jobs("wanted", 300))
    store.insert(some_jobs("later", 300, delay=HOUR))
    store.insert(some_jobs("kept", 100, expires_in=HOUR, group="group"))
    store.insert(some_jobs("keyed", 100, key="key"))
    store.insert([job for n in range(50) for job in some_jobs(f"unique-{n}", 1, unique_key=f"unique-{n}")])
    store.insert([job for n in range(50) for job in some_jobs(f"child-{n}", 1, parents=(f"kept-{n}",), waiting=True)])
    store.write([Write("kind", f"{number}", b"1", lifetime=HOUR) for number in range(300)])
    finish(store, take(store, 100))
    take(store, 50)


def some_jobs(name: str, number: int, **fields: Any) -> list[NewJob]:
    return [NewJob(f"{name}-{n}", "queue", name, b"1", **fields) for n in range(number)]


def take(store: PostgresDriver, limit: int = 10) -> list[StoredJob]:
    return store.claim([Claim(("queue",), WANTED)], holder="holder", limit=limit).jobs


def finish(store: PostgresDriver, jobs: list[StoredJob]) -> None:
    fields: Any = {"result": b"7", "result_codec": "json"}
    store.update([Change(j.id, State.SUCCEEDED, fields, RUNNING, j.generation, "holder", settles=True) for j in jobs])


@contextmanager
def watched() -> Iterator[list[str]]:
    """The statements that calls send."""
    texts: list[str] = []
    usual, many = PreparedCursor._prepared, PreparedCursor.executemany

    def prepared(cursor: PreparedCursor, text: str) -> bytes:
        texts.append(text)
        return usual(cursor, text)

    def executed(cursor: PreparedCursor, text: str, values: Any, /) -> None:
        texts.append(text)
        many(cursor, text, values)

    with patch.multiple(PreparedCursor, _prepared=prepared, executemany=executed):
        yield texts


def plans(stores: Stores, call: Callable[[], Any], *, sorts: bool = False) -> list[str]:
    """How PostgreSQL finds rows in each statement of a call: by which index, and of which columns it knows the values.

    Joins of other kinds than a look-up for each row are told too, and where ``sorts`` what is put in order."""
    with watched() as texts:
        call()
    old, new = (f"{store._schema.namespace}_" for store in stores)
    found: list[str] = []
    with stores.asked._source.lent() as connection:
        for text in texts:
            if text.startswith(VERBS):
                found += steps(plan_of(connection, text.replace(old, new)), new)
    # Every call begins with the two look-ups of the version.
    return [step for step in found if not step.startswith("meta by meta_pkey") and (sorts or step != SORT)]


def plan_of(connection: psycopg.Connection[Any], text: str) -> dict[str, Any]:
    """The plan that serves whatever values."""
    number = text.count("%s")
    for place in range(number):
        text = text.replace("%s", f"${place + 1}", 1)
    values = f"({', '.join(['NULL'] * number)})" if number else ""
    connection.execute(f"PREPARE asked AS {text}".encode())
    explained = connection.execute(f"EXPLAIN (FORMAT JSON, VERBOSE) EXECUTE asked{values}".encode()).fetchone()
    connection.execute("DEALLOCATE asked")
    assert explained is not None
    plan: dict[str, Any] = explained[0][0]["Plan"]
    return plan


def steps(node: dict[str, Any], prefix: str) -> Iterator[str]:
    relation = node.get("Relation Name", "").removeprefix(prefix)
    if relation and "Scan" in node["Node Type"]:
        yield " ".join([relation, *way(node, prefix)])
    elif node["Node Type"] in {"Hash Join", "Merge Join"}:
        yield node["Node Type"]
    elif "Sort" in node["Node Type"]:
        yield SORT
    for inner in node.get("Plans", ()):
        yield from steps(inner, prefix)


def way(node: dict[str, Any], prefix: str) -> Iterator[str]:
    if "Index Name" not in node:
        yield f"by {node['Node Type']}"
        return
    yield f"by {node['Index Name'].removeprefix(prefix)}"
    names = re.findall(r'"?(\w+)"?\)*(?:::\w+)? (?:=|<|>|<=|>=|<>) ', node.get("Index Cond", ""))
    if names:
        yield f"({', '.join(names)})"


ID = "job by job_pkey (id)"
SURVEY = ["job by future", "job by aside"]
HEAD = ["job by ready (queue, lane)", ID]
AT_ONCE = ["job by aside", "job by future", "job by ready (queue, lane)", "job by Tid Scan"]
"""A claim by one statement, that takes all of the head or nothing."""
PROMOTION = ["job by future (due, lane)", ID]
LANES = "job by aside (queue)"
CHILDREN = "parent by parent_pkey (parent)"
ATTEMPTS = "attempt by attempt_pkey (job)"
NOT_WAITING = [state for state in State if state not in ENDED | HELD]


def test_a_claim_reads_the_head_of_the_queue(stores: Stores) -> None:
    assert plans(stores, lambda: take(stores.filled)) == AT_ONCE
    stores.filled.insert(some_jobs("soon", 1, delay=1))
    assert plans(stores, lambda: take(stores.filled)) == [*AT_ONCE, *SURVEY, *PROMOTION, *HEAD]


def test_a_claim_that_awaits_a_job_makes_it_findable_in_the_same_trip(stores: Stores) -> None:
    stores.filled._trips.upcoming.note(Claimed([], next_due=0), asked=0)
    assert plans(stores, lambda: take(stores.filled)) == [*PROMOTION, *AT_ONCE]


def test_a_claim_to_reserve_reads_the_head_step_by_step(stores: Stores) -> None:
    claims = [Claim(("queue",), WANTED, reserve=True)]
    found = plans(stores, lambda: stores.filled.claim(claims, holder="holder", limit=1))
    assert found == [*SURVEY, *HEAD]


def test_a_claim_by_priority_reads_a_range(stores: Stores) -> None:
    claims = [Claim(("queue", "other"), WANTED, min_priority=-1)]
    found = plans(stores, lambda: stores.filled.claim(claims, holder="holder", limit=3))
    assert found == [*SURVEY, "job by ready (queue, priority, lane)", ID]


def test_a_claim_merges_the_lanes_of_its_tasks(stores: Stores) -> None:
    stores.filled.claim([Claim(("queue",), frozenset({"none"}))], holder="holder", limit=3)
    found = plans(stores, lambda: take(stores.filled))
    aside = [LANES, "job by ready (queue, lane)", "job by aside (queue, task, lane)", ID]
    assert found == [*AT_ONCE, *SURVEY, *aside]


def test_a_claim_by_id_looks_up_the_id(stores: Stores) -> None:
    found = plans(stores, lambda: stores.filled.claim([Claim(id="wanted-299")], holder="holder", limit=1))
    assert found == [*SURVEY, ID, ID]


def test_a_claim_that_finds_nothing_reads_the_heads_of_indexes(stores: Stores) -> None:
    found = plans(stores, lambda: stores.filled.claim([Claim(("empty",), WANTED)], holder="holder", limit=1))
    head = "job by ready (queue, lane)"
    found = [step for step in found if step != LANES]  # Those are read where others have put jobs aside.
    assert found == [*AT_ONCE, *SURVEY, head, head.replace(", lane", ""), "job by future"]


@pytest.mark.parametrize("number", [1, 10])
def test_finishing_looks_up_the_ids_and_the_children(stores: Stores, number: int) -> None:
    jobs = take(stores.filled, number)
    assert len(jobs) == number
    # A look at the children before, and one after the commit.
    assert plans(stores, lambda: finish(stores.filled, jobs)) == [ID, CHILDREN, CHILDREN, ID]


def test_finishing_those_who_have_children_looks_these_up_too(stores: Stores) -> None:
    jobs = take(stores.filled, 3)
    stores.filled.insert([NewJob("child", "queue", "t", b"", parents=(jobs[0].id,), waiting=True)])
    found = plans(stores, lambda: finish(stores.filled, jobs))
    assert set(found) == {ID, CHILDREN}
    assert len(found) > len([ID, CHILDREN, CHILDREN, ID])


def test_a_failed_attempt_is_found_by_job_and_number(stores: Stores) -> None:
    job = take(stores.filled, 1)[0]
    fields: Any = {"delay": HOUR, "attempt_record": b"x"}
    change = Change(job.id, State.PENDING, fields, RUNNING, job.generation, "holder", settles=True)
    found = plans(stores, lambda: stores.filled.update([change]))
    assert found == [ID, ID, ID, "attempt by attempt_pkey (job, number)"]


@pytest.mark.parametrize("fields", [{}, {"group": "group"}], ids=str)
def test_an_insert_looks_for_nothing(stores: Stores, fields: dict[str, Any]) -> None:
    assert plans(stores, lambda: stores.filled.insert(some_jobs(f"more {len(fields)}", 3, **fields))) == []


def test_a_clash_is_found_by_id_slot_and_turn(stores: Stores) -> None:
    jobs = [NewJob("wanted-1", "queue", "t", b""), NewJob("new", "queue", "t", b"", unique_key="unique-1", key="key")]
    found = plans(stores, lambda: stores.filled.insert(jobs))
    assert list(dict.fromkeys(found)) == [ID, "job by keyed (key, state)", "job by slot (unique_slot)"]


@pytest.mark.parametrize(
    ("where", "plan"),
    [
        (Where(ids=["wanted-1"]), [SORT, ID]),
        (Where(ids=["wanted-1", "wanted-2"]), [SORT, ID]),
        (Where(ids=["wanted-1", "wanted-2"], states=[State.SUCCEEDED]), [SORT, ID]),
        (Where(holder="holder"), [SORT, "job by held (holder)"]),
        (Where(groups=["group"]), [SORT, "job by grouped (group)"]),
        (Where(groups=["group"], states=[State.FAILED]), ["job by grouped (group, state)"]),
        (Where(keys=["key"], states=[State.WAITING]), ["job by keyed (key, state)"]),
        (Where(unique_key="unique-1"), [SORT, "job by unique_key (unique_key)"]),
        (Where(parents=["kept-1"]), [SORT, CHILDREN, ID]),
        (Where(releases=True), ["job by releasing"]),
        (Where(states=[State.PENDING, State.WAITING], expired=0), [SORT, "job by overdue (expires)"]),
        (Where(states=[State.SUCCEEDED], ended=0), [SORT, "job by ended (state, ended)"]),
        (Where(states=[State.RUNNING]), [SORT, "job by held"]),
        (Where(states=[State.FAILED, State.CANCELLED]), [SORT, "job by ended (state)"]),
        (Where(states=[State.WAITING], queues=["queue"]), [SORT, "job by waiting (queue)"]),
        (Where(), ["job by listed"]),
        (Where(states=[State.PENDING], queues=["queue"]), ["job by listed"]),
    ],
)
def test_a_selection_uses_an_index(stores: Stores, where: Where, plan: list[str]) -> None:
    found = plans(stores, lambda: stores.filled.select(where, order=Order.OLDEST, limit=10), sorts=True)
    assert found == [*plan, ATTEMPTS]


def test_a_further_page_begins_where_the_last_ended(stores: Stores) -> None:
    found = plans(stores, lambda: stores.filled.select(Where(), after="5:x"), sorts=True)
    assert found[0] == "job by listed (created, id)"


def test_the_heads_of_keys_are_read_one_by_one_without_sorting(stores: Stores) -> None:
    where = Where(keys=["key", "other"], states=[State.WAITING])
    found = plans(stores, lambda: stores.filled.select(where, order=Order.OLDEST, each=1), sorts=True)
    assert found == ["job by keyed (key, state)", ATTEMPTS] * 2


def test_the_oldest_ended_jobs_are_removed_by_when_they_ended(stores: Stores) -> None:
    found = plans(stores, lambda: stores.filled.delete(Where(states=[State.SUCCEEDED], ended=0), limit=10))
    assert found == ["job by ended (state, ended)", ID, ATTEMPTS, "parent by child (child)", ID]


def test_jobs_are_counted_by_indexes_alone(stores: Stores) -> None:
    for by in (By.QUEUE_STATE, By.QUEUE_TASK_STATE):
        found = plans(stores, lambda by=by: stores.filled.count(by, Where(states=NOT_WAITING)))  # type: ignore[misc]
        assert found == ["job by ready", "job by aside", "job by future", "job by waiting"]
    ended = plans(stores, lambda: stores.filled.count(By.QUEUE_STATE, Where(states=list(ENDED))))
    assert ended == ["job by ended (state)"]
    assert plans(stores, lambda: stores.filled.count(By.HOLDER)) == ["job by held"]


def test_records_are_found_by_key_and_prefix(stores: Stores) -> None:
    key, many = "record by record_pkey (kind, key)", range(60)
    writes = [Write("kind", f"{number}", b"1", lifetime=HOUR, version=number + 1) for number in many]
    found = plans(stores, lambda: stores.filled.write(writes))
    assert found == [key, key, "record by lapsing (expires)", key]
    found = plans(stores, lambda: stores.filled.read("kind", prefix="a", after="b"))
    assert found == [key.replace("key)", "key, key, key)")]
