"""What takes MongoDB more than one write, and fails between them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pymongo.errors
import pytest

from longshore.contract import SECOND, Change, Insertion, NewJob, State, UniqueScope, Where
from longshore.errors import Unavailable
from longshore.testing.clock import ManualClock
from longshore_mongo.driver import MongoDriver

Connect = Callable[..., MongoDriver]


def breaks(*_: Any, **__: Any) -> None:
    """A line that breaks before what is asked has arrived."""
    raise pymongo.errors.AutoReconnect("as the test wanted")


def test_who_dies_before_it_removes_what_it_condemned_leaves_it_to_the_next(
    store: MongoDriver, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.insert([NewJob(name, "q", "t", b"") for name in "ab"])
    store.update([Change(name, State.CANCELLED) for name in "ab"])
    with monkeypatch.context() as broken:
        broken.setattr("pymongo.collection.Collection.delete_many", breaks)
        with pytest.raises(Unavailable):
            store.delete(Where(ids=["a", "b"]))
    assert len(store.select(Where(ids=["a", "b"])).jobs) == 2
    assert sorted(connect().delete(Where(ids=["a", "b"]))) == ["a", "b"]


def test_who_dies_between_freeing_a_lapsed_slot_and_its_insert_leaves_a_free_slot(
    store: MongoDriver, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = ManualClock()
    timed = connect(clock=clock)
    first, second = (
        NewJob(name, "q", "t", b"", unique_key="u", unique_scope=UniqueScope.PERIOD, unique_for=SECOND) for name in "ab"
    )
    timed.insert([first])
    clock.advance(2)
    tries: list[object] = []

    def second_breaks(documents: list[Any], session: Any) -> list[int]:
        tries.append(session)
        if len(tries) == 2:
            breaks()
        return store._rounds.insert(documents, session)

    with monkeypatch.context() as broken:
        broken.setattr(timed._rounds, "insert", second_breaks)
        with pytest.raises(pymongo.errors.AutoReconnect):
            timed.insert([second])
    stored = timed.select(Where(ids=["a", "b"])).jobs
    assert [(job.id, job.unique_held) for job in stored] == [("a", False)]
    assert timed.insert([second])[0].outcome is Insertion.INSERTED
