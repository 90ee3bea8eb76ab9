"""The ways that the server takes to the rows of hot statements, on a young table and on one with a backlog."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from longshore.contract import SECOND, By, Change, Claim, NewJob, Order, State, Where, Write
from longshore_sql.mysql.driver import MySQLDriver

TASKS = frozenset({"send", "render"})
CALLS: dict[str, Callable[[MySQLDriver], Any]] = {
    "claim": lambda store: store.claim([Claim(queues=("mail", "web"), tasks=TASKS)], holder="h", limit=10),
    "claim one queue": lambda store: store.claim([Claim(queues=("mail",), min_priority=-9)], holder="h", limit=10),
    "claim by id": lambda store: store.claim([Claim(id="mail 1")], holder="h", limit=1),
    "promote": lambda store: store._written(lambda step: store._claiming._heads.promote(step, 10)),
    "settle": lambda store: store.update(
        [Change(f"mail {n}", State.SUCCEEDED, generation=1, holder="x", settles=True) for n in range(60)]
    ),
    "cancel": lambda store: store.update([Change(f"mail {n}", State.CANCELLED) for n in (1, 2)]),
    "held": lambda store: store.select(Where(holder="h")),
    "by ids": lambda store: store.select(Where(ids=[f"mail {n}" for n in range(300)])),
    "by unique key": lambda store: store.select(Where(unique_key="u")),
    "by group": lambda store: store.select(Where(groups=["g"], states=[State.PENDING]), limit=1),
    "by parent": lambda store: store.select(Where(parents=["p"], states=[State.WAITING])),
    "page": lambda store: store.select(limit=10, after="5000:mail 5", order=Order.OLDEST),
    "expired": lambda store: store.select(Where(expired=0, states=[State.WAITING, State.PENDING]), limit=10),
    "ended": lambda store: store.delete(Where(ended=SECOND, states=[State.SUCCEEDED]), limit=10),
    "releasing": lambda store: store.select(Where(releases=True), limit=10),
    "holders": lambda store: store.count(By.HOLDER),
    "records": lambda store: store.write([Write("kind", "a", b"1"), Write("kind", "b", b"1")]),
    "prefix": lambda store: store.read("kind", prefix="a"),
    "insert": lambda store: store.insert([NewJob(f"mail {n}", "mail", "send", b"") for n in range(20)]),
}

WAYS = {
    "claim": {"future (lane)", "aside (lane)", "ready (lane, queue)", "PRIMARY (seq)"},
    "claim one queue": {"future (lane)", "aside (lane)", "ready (lane, queue)", "PRIMARY (seq)"},
    "claim by id": {"future (lane)", "aside (lane)"},
    "promote": {"future (lane, due)"},
    "held": {"holder (holder)", "PRIMARY (job)"},
    "by ids": {"id (id)", "PRIMARY (job)"},
    "by unique key": {"unique_key (unique_key)", "PRIMARY (job)"},
    "by group": {"grouped (group, state)", "PRIMARY (job)"},
    "page": {"listed (created)", "PRIMARY (job)"},
    "expired": {"overdue (state, expires)", "PRIMARY (job)"},
    "ended": {"stated (state, ended)"},
    "releasing": {"releasing (releases)", "PRIMARY (job)"},
    "records": {"PRIMARY (kind, key)"},
    "prefix": {"PRIMARY (kind, key)"},
    "insert": {"id (id)"},
}
"""By which index, and how many of its columns, rows are found in a full store."""
LOCKING = ("claim", "claim one queue", "claim by id", "promote", "settle", "cancel", "ended", "records")
"""What would lock rows that it only walks past. Other calls may read a table from end to end that fits in one page:
plans are made anew for each statement."""


@pytest.fixture(params=[0, 6_000], ids=["young", "full"])
def filled(request: pytest.FixtureRequest, store: MySQLDriver) -> MySQLDriver:
    jobs = [
        NewJob(f"{name} {n}", queue, "send", b"x", priority=n % 7, delay=delay)
        for name, queue, delay in (("mail", "mail", 0), ("web", "web", 0), ("later", "mail", 3_600 * SECOND))
        for n in range(request.param // 3)
    ]
    for first in range(0, len(jobs), 1_000):
        store.insert(jobs[first : first + 1_000])
    return store


@contextmanager
def watched(store: MySQLDriver) -> Iterator[list[str]]:
    """The statements that a store sends, as they are sent."""
    sent: list[str] = []
    with store._source.lent() as connection:
        kind = type(connection)
        plain = kind.query

        def query(self: Any, sql: Any, unbuffered: bool = False) -> Any:
            sent.extend((sql.decode() if isinstance(sql, bytes | bytearray) else sql).split("; "))
            return plain(self, sql, unbuffered)

    patch = pytest.MonkeyPatch()
    patch.setattr(kind, "query", query)
    yield sent
    patch.undo()


@pytest.mark.parametrize("name", CALLS)
def test_no_statement_walks_through_a_whole_table(
    filled: MySQLDriver, name: str, request: pytest.FixtureRequest
) -> None:
    CALLS[name](filled)  # The first brings what has become due into its lane.
    with watched(filled) as sent:
        CALLS[name](filled)
    is_full = "full" in request.node.name
    found = tables_met(filled, sent)
    if is_full or name in LOCKING:
        for table in found:
            assert is_narrow(table), f"{name}: {table}"
    if is_full and name in WAYS:
        assert {way(filled, table) for table in found} == WAYS[name]


def tables_met(store: MySQLDriver, sent: list[str]) -> list[dict[str, Any]]:
    """The tables in the plans of statements, but those that were brought together just before."""
    asked = [text for text in sent if text != store._opening]  # What a step begins with is the same for each.
    explained = [text for text in asked if text.lstrip("( ").startswith(("SELECT", "UPDATE", "DELETE", "INSERT"))]
    # Rows that are stored are looked for nowhere.
    searching = [text for text in explained if not {"FROM", "WHERE"}.isdisjoint(text.split())]
    assert searching
    with store._source.lent() as connection:
        met = [table for text in searching for table in tables_of(plan(connection, text))]
    return [table for table in met if not table["table_name"].startswith("<")]


def way(store: MySQLDriver, table: dict[str, Any]) -> str:
    """By which index the rows of a table are found, and by which of its columns."""
    index = table.get("key", table["access_type"]).removeprefix(f"{store._schema.namespace}_")
    return f"{index} ({', '.join(table.get('used_key_parts', []))})"


def plan(connection: Any, text: str) -> Any:
    cursor = connection.cursor()
    cursor.execute(f"EXPLAIN FORMAT=JSON {text}")
    return json.loads(cursor.fetchone()[0])


def tables_of(node: Any) -> Iterator[dict[str, Any]]:
    """The tables of a plan, however deep."""
    if isinstance(node, list):
        for part in node:
            yield from tables_of(part)
    elif isinstance(node, dict):
        if "table_name" in node and "access_type" in node:
            yield node
        for part in node.values():
            yield from tables_of(part)


def is_narrow(table: dict[str, Any]) -> bool:
    """Whether it begins at a place that the statement names."""
    return table["access_type"] not in {"ALL", "index"}
