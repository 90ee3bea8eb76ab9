"""Everything that is asked often finds its documents by the index that was made for it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pymongo
import pytest

from longshore.contract import HELD, SECOND, Change, Claim, NewJob, Order, State, Where, Write
from longshore.testing.clock import ManualClock
from longshore_mongo.driver import MongoDriver

HOUR = 3_600 * SECOND
KNOWN = frozenset({"wanted"})
CLAIMS = [Claim(queues=("queue",), tasks=KNOWN)]


def some_jobs(task: str, number: int, **fields: Any) -> list[NewJob]:
    return [NewJob(f"{task}-{n}", "queue", task, b"1", **fields) for n in range(number)]


@pytest.fixture
def filled(store: MongoDriver) -> MongoDriver:
    """A store with jobs of every kind."""
    store.insert(some_jobs("wanted", 400))
    store.insert(some_jobs("later", 300, delay=HOUR))
    store.insert(some_jobs("foreign", 200, priority=5))
    store.insert(some_jobs("kept", 100, group="group"))
    store.insert(some_jobs("keyed", 100, key="key"))
    store.insert([NewJob(f"u{n}", "other", "t", b"", unique_key=f"unique-{n}") for n in range(50)])
    store.insert([NewJob(f"c{n}", "other", "t", b"", parents=(f"wanted-{n}",), waiting=True) for n in range(50)])
    store.insert([NewJob(f"e{n}", "other", "t", b"", waiting=True, expires_in=HOUR) for n in range(50)])
    for _ in range(3):
        taken = store.claim(CLAIMS, holder="holder", limit=50).jobs
    store.update([Change(job.id, State.SUCCEEDED, {}, HELD, job.generation, "holder", settles=True) for job in taken])
    return store


@contextmanager
def profiled(client: pymongo.MongoClient[Any], namespace: str) -> Iterator[list[dict[str, Any]]]:
    """What the server was asked meanwhile about this namespace's documents, and how it went about it."""
    database = client.longshore
    database.command("profile", 0)
    database["system.profile"].drop()
    database.command("profile", 2, filter={"ns": {"$regex": f"{namespace}_"}})
    found: list[dict[str, Any]] = []
    yield found
    database.command("profile", 0)
    found += database["system.profile"].find().sort("ts", 1)


@pytest.fixture
def examined(client: pymongo.MongoClient[Any], namespace: str) -> Callable[[Callable[[], Any]], tuple[int, int]]:
    """How many keys and documents a call examines."""

    def examined(call: Callable[[], Any]) -> tuple[int, int]:
        with profiled(client, namespace) as asked:
            call()
        assert asked, "the server tells of nothing"
        keys = sum(one.get("keysExamined", 0) for one in asked)
        return keys, sum(one.get("docsExamined", 0) for one in asked)

    return examined


Examined = Callable[[Callable[[], Any]], tuple[int, int]]


def test_a_claim_examines_what_it_takes(filled: MongoDriver, examined: Examined) -> None:
    """Whatever is later, foreign, elsewhere or ended."""
    keys, documents = examined(lambda: filled.claim(CLAIMS, holder="holder", limit=10))
    assert keys <= 60, f"a claim of 10 examined {keys} keys"
    assert documents <= 60


def test_a_claim_that_finds_nothing_examines_next_to_nothing(filled: MongoDriver, examined: Examined) -> None:
    idle = [Claim(queues=("empty",), tasks=KNOWN), Claim(id="nobody")]
    keys, documents = examined(lambda: filled.claim(idle, holder="holder", limit=100))
    assert (keys <= 10, documents <= 5) == (True, True)


def test_an_exchange_examines_what_it_moves(filled: MongoDriver, examined: Examined) -> None:
    jobs = filled.claim(CLAIMS, holder="holder", limit=20).jobs
    changes = [
        Change(j.id, State.SUCCEEDED, {"result": b"1"}, HELD, j.generation, "holder", settles=True) for j in jobs
    ]
    keys, documents = examined(lambda: filled.exchange(changes, CLAIMS, holder="holder", limit=20))
    assert keys <= 250, f"an exchange of 20 examined {keys} keys"
    assert documents <= 200


@pytest.mark.parametrize(("number", "looks"), [(6, 1), (150, 3)])
def test_what_has_just_become_due_is_taken_with_one_write(
    connect: Callable[..., MongoDriver], client: pymongo.MongoClient[Any], namespace: str, number: int, looks: int
) -> None:
    """In its order among those that were due before; the rest is made findable. Of many the earliest come first."""
    clock = ManualClock()
    store = connect(clock=clock)
    store.migrate()
    store.insert([NewJob("low", "queue", "wanted", b"1", priority=-1), *some_jobs("foreign", 2, delay=SECOND)])
    store.insert([*some_jobs("wanted", number, delay=SECOND), NewJob("high", "queue", "wanted", b"1", priority=1)])
    clock.advance(1)
    with profiled(client, namespace) as asked:
        jobs = store.claim(CLAIMS, holder="holder", limit=3).jobs
    assert [job.id for job in jobs] == ["high", "wanted-0", "wanted-1"]
    assert len([one for one in asked if one["op"] == "command"]) == looks
    rest = store.claim(CLAIMS, holder="holder", limit=1_000).jobs
    third = sorted(f"wanted-{n}" for n in range(number))[2]
    assert [rest[0].id, rest[-1].id, len(rest)] == [third, "low", number - 1]


def test_a_claim_of_a_few_asks_nothing_but_the_jobs(
    filled: MongoDriver, client: pymongo.MongoClient[Any], namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For a while after a look that has seen the schema too; they tell the time themselves."""
    monkeypatch.setattr("longshore_mongo.times._KEPT", 3_600)
    filled.insert(some_jobs("before", 1))
    with profiled(client, namespace) as asked:
        assert len(filled.claim(CLAIMS, holder="holder", limit=10).jobs) == 10
    looks = [one["ns"] for one in asked if one["op"] == "command"]
    assert looks == [f"longshore.{namespace}_jobs"]
    monkeypatch.setattr("longshore_mongo.times._KEPT", 0)
    with profiled(client, namespace) as asked:
        assert len(filled.claim(CLAIMS, holder="holder", limit=10).jobs) == 10
    assert [one["ns"] for one in asked if one["op"] == "command"] == [f"longshore.{namespace}_meta"]


def test_an_insert_is_one_command(
    filled: MongoDriver, client: pymongo.MongoClient[Any], namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many jobs: the clock that was looked at goes on."""
    monkeypatch.setattr("longshore_mongo.times._KEPT", 3_600)
    filled.insert(some_jobs("before", 1))
    with profiled(client, namespace) as asked:
        filled.insert(some_jobs("many", 100))
    assert [one["op"] for one in asked] == ["insert"]


@pytest.mark.parametrize(("number", "most_looks"), [(99, 2), (100, 3)])
def test_an_exchange_is_a_look_a_write_and_a_look_for_those_who_wait(
    filled: MongoDriver, client: pymongo.MongoClient[Any], namespace: str, number: int, most_looks: int
) -> None:
    """However many jobs: no trip for each. From 100 on the two sides have commands of their own, at the same time."""
    jobs = filled.claim(CLAIMS, holder="holder", limit=number).jobs
    changes = [Change(j.id, State.SUCCEEDED, {}, HELD, j.generation, "holder", settles=True) for j in jobs]
    with profiled(client, namespace) as asked:
        filled.exchange(changes, CLAIMS, holder="holder", limit=number)
    looks = [one for one in asked if one["op"] == "command"]
    writes = [one for one in asked if one["op"] == "update"]
    assert len(jobs) == number
    assert len(looks) <= most_looks, [
        list(one["command"])[:2] + one["command"].get("pipeline", [])[-1:] for one in looks
    ]
    assert len(writes) <= 6, "the server tells of each statement"


@pytest.mark.parametrize(
    ("where", "index"),
    [
        (Where(ids=["wanted-1", "wanted-2"]), "_id_"),
        (Where(holder="holder"), "held"),
        (Where(holder="holder", states=list(HELD)), "held"),
        (Where(groups=["group"]), "grouped"),
        (Where(groups=["group"], states=[State.FAILED]), "grouped"),
        (Where(keys=["key"], states=[State.WAITING]), "keyed"),
        (Where(unique_key="unique-1"), "named"),
        (Where(parents=["wanted-1"]), "parented"),
        (Where(releases=True), "releasing"),
        (Where(states=[State.PENDING, State.WAITING], expired=0), "overdue"),
        (Where(states=[State.SUCCEEDED], ended=0), "ended"),
        (Where(ended=0), "ended"),
        (Where(), "listed"),
        (Where(queues=["queue"]), "listed"),
    ],
)
def test_a_selection_uses_an_index(filled: MongoDriver, where: Where, index: str) -> None:
    asking = filled._asking
    jobs = filled._rounds.collections.jobs
    match = {"$and": asking.match(where)}
    stages = [{"$match": match}, {"$sort": {"created": 1, "_id": 1}}, {"$limit": 11}]
    plan = jobs.database.command("explain", {"aggregate": jobs.name, "pipeline": stages, "cursor": {}})
    assert index in indexes_of(plan), f"uses {indexes_of(plan)}"


def test_a_further_page_begins_where_the_last_ended(filled: MongoDriver, examined: Examined) -> None:
    page = filled.select(Where(), order=Order.OLDEST, limit=500)
    keys, _ = examined(lambda: filled.select(Where(), order=Order.OLDEST, limit=10, after=page.after))
    assert keys <= 20


def test_records_are_found_by_their_key_and_prefix(filled: MongoDriver, examined: Examined) -> None:
    filled.write([Write("kind", f"{n:03}", b"1") for n in range(100)])
    keys, _ = examined(lambda: filled.read("kind", prefix="05"))
    assert keys <= 12
    keys, _ = examined(lambda: filled.write([Write("kind", "050", b"2"), Write("kind", "051", b"2", 7)]))
    assert keys <= 6


def test_what_is_foreign_is_passed_over_once(filled: MongoDriver, examined: Examined) -> None:
    other = [Claim(queues=("queue",), tasks=frozenset({"nobody's"}))]
    first, _ = examined(lambda: filled.claim(other, holder="holder", limit=10))
    again, _ = examined(lambda: filled.claim(other, holder="holder", limit=10))
    assert first > 300, "everything in the queue is foreign"
    assert again <= 10
    assert len(filled.claim(CLAIMS, holder="holder", limit=1_000).jobs) == 250, "what was put aside is lost"


def indexes_of(plan: Any) -> set[str]:
    """The names of the indexes that a plan uses."""
    if isinstance(plan, dict):
        names = {plan["indexName"]} if "indexName" in plan else set()
        return names.union(*(indexes_of(part) for name, part in plan.items() if name != "rejectedPlans"))
    return set().union(*map(indexes_of, plan)) if isinstance(plan, list) else set()
