"""The ways that the server takes to the rows of hot statements, on a young table and on one with a backlog."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from longshore.contract import SECOND, By, Change, Claim, NewJob, Order, State, Where, Write
from longshore_sql.mysql import MySQLDriver

TASKS = frozenset({"send", "render"})
CALLS: dict[str, Callable[[MySQLDriver], Any]] = {
    "claim": lambda store: store.claim([Claim(queues=("mail", "web"), tasks=TASKS)], holder="h", limit=10),
    "claim one queue": lambda store: store.claim([Claim(queues=("mail",), min_priority=-9)], holder="h", limit=10),
    "claim by id": lambda store: store.claim([Claim(id="mail 1")], holder="h", limit=1),
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
            sent.append(sql.decode() if isinstance(sql, bytes | bytearray) else sql)
            return plain(self, sql, unbuffered)

    patch = pytest.MonkeyPatch()
    patch.setattr(kind, "query", query)
    yield sent
    patch.undo()


@pytest.mark.parametrize("name", CALLS)
def test_no_statement_walks_through_a_whole_table(filled: MySQLDriver, name: str) -> None:
    CALLS[name](filled)  # The first brings what has become due into its lane.
    with watched(filled) as sent:
        CALLS[name](filled)
    explained = [text for text in sent if text.lstrip("( ").startswith(("SELECT", "UPDATE", "DELETE", "INSERT"))]
    assert explained
    with filled._source.lent() as connection:
        for text in explained:
            if "TIMESTAMPDIFF" in text or (" FROM " not in text and " WHERE " not in text):
                continue
            for table in tables_of(plan(connection, text)):
                assert is_narrow(table), f"{name}: {table}\nin {text[:300]}"


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
    """Whether it begins at a place that the statement names, or reads what was brought together just before."""
    return table["table_name"].startswith("<") or table["access_type"] not in {"ALL", "index"}
