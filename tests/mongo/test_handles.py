"""Live objects of the application, as the store and as ``tx``, and what a URL may say."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pymongo
import pymongo.errors
import pytest
from bson.codec_options import CodecOptions

from longshore.contract import (
    EVERY,
    UNREADABLE,
    Change,
    Claim,
    Features,
    Insertion,
    NewJob,
    Outcome,
    State,
    Where,
    Write,
)
from longshore.errors import ConfigurationError, InvalidValue, SchemaError, TooLarge, Unavailable
from longshore.registry import driver_for
from longshore_mongo.driver import MongoDriver

Connect = Callable[..., MongoDriver]
JOB = NewJob("a", "q", "t", b"")


def _breaks(*_: Any, **__: Any) -> None:
    """A line that breaks before what is asked has arrived."""
    raise pymongo.errors.AutoReconnect("as the test wanted")


def ids(store: MongoDriver) -> list[str]:
    return [job.id for job in store.select(EVERY).jobs]


def test_a_live_client_is_used_and_never_closed(url: str, namespace: str) -> None:
    plain = url.partition("&namespace=")[0]
    with pymongo.MongoClient[Any](plain, tz_aware=True, document_class=dict) as client:
        assert driver_for(client) is MongoDriver
        store = MongoDriver.connect(client, namespace=namespace)
        store.migrate()
        store.insert([JOB])
        assert store.target is client
        assert [job.id for job in store.claim([Claim(queues=("q",))], holder="h", limit=1).jobs] == ["a"]
        store.close()
        assert client.admin.command("ping")["ok"]


def test_a_session_of_the_applications_own_client(
    store: MongoDriver, client: pymongo.MongoClient[Any], namespace: str
) -> None:
    """What the application writes and what it enqueues are there together, or not at all."""
    mine = client.longshore.get_collection(f"{namespace}_purchases", codec_options=CodecOptions(tz_aware=True))
    mine.insert_one({"_id": 0})
    listener = store.listen(["queue:q"])
    with client.start_session() as session:
        with session.start_transaction():
            mine.insert_one({"_id": 1}, session=session)
            store.insert([JOB], tx=session)
            store.write([Write("kind", "key", b"1")], tx=session)
            assert ids(store) == []
        assert (ids(store), mine.count_documents({})) == (["a"], 2)
        assert listener.wait(30), "a commit woke nobody"
        session.start_transaction()
        mine.insert_one({"_id": 2}, session=session)
        store.insert([NewJob("b", "q", "t", b"")], tx=session)
        session.abort_transaction()
    assert (ids(store), mine.count_documents({})) == (["a"], 2)
    mine.drop()


def test_two_transactions_that_want_one_slot(store: MongoDriver, connect: Connect) -> None:
    """The second is told at once that another is in the way; nothing of it is done."""
    unique = [NewJob(name, "q", "t", b"", unique_key="u") for name in "ab"]
    with store.transaction() as first:
        store.insert(unique[:1], tx=first)
        with pytest.raises(Unavailable) as caught, store.transaction() as second:
            store.insert(unique[1:], tx=second)
        assert caught.value.unknown is False
    assert ids(store) == ["a"]


def test_who_meets_an_open_transaction_waits_for_it_a_while(store: MongoDriver, connect: Connect) -> None:
    """Not as long as a call may take, so it is known that nothing was stored; who comes again finds what it left."""
    impatient = connect(timeout=1)
    with store.transaction() as tx:
        store.insert([JOB], tx=tx)
        with pytest.raises(Unavailable, match="open transaction") as caught:
            impatient.insert([JOB])
    assert caught.value.unknown is False
    assert impatient.insert([JOB])[0].outcome is Insertion.REPEATED
    assert ids(store) == ["a"]


@pytest.mark.parametrize("tx", [7, object()])
def test_anything_else_is_no_transaction(store: MongoDriver, tx: object) -> None:
    with pytest.raises(InvalidValue, match="ClientSession"):
        store.insert([JOB], tx=tx)


def test_a_session_in_no_transaction_is_refused(store: MongoDriver, client: pymongo.MongoClient[Any]) -> None:
    with client.start_session() as session, pytest.raises(InvalidValue, match="start_transaction"):
        store.insert([JOB], tx=session)


def test_a_store_without_a_schema_says_so(connect: Connect) -> None:
    for call in (lambda: connect().insert([JOB]), lambda: connect().select(EVERY), lambda: connect().read("kind")):
        with pytest.raises(SchemaError, match="longshore migrate"):
            call()


def test_a_schema_that_is_too_new_is_refused(
    store: MongoDriver, client: pymongo.MongoClient[Any], namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    meta = client.longshore[f"{namespace}_meta"]
    meta.update_one({"_id": "schema"}, {"$set": {"version": 9}})
    store.insert([JOB])  # A newer one that this code can read.
    store.migrate()
    assert meta.find_one({"_id": "schema"})["version"] == 9
    meta.update_one({"_id": "schema"}, {"$set": {"readable_from": 9}})
    monkeypatch.setattr("longshore_mongo.times._KEPT", 0)  # What a look told is good for a second.
    claims = [Claim(queues=("q",))]
    for call in (store.migrate, lambda: store.insert([JOB]), lambda: store.claim(claims, holder="h", limit=1)):
        with pytest.raises(SchemaError, match="update Longshore"):
            call()


def test_what_a_url_says_is_obeyed(url: str, connect: Connect) -> None:
    assert Features.DURABLE in connect().features
    assert Features.DURABLE not in connect(f"{url}&w=1").features
    assert Features.DURABLE not in connect(f"{url}&journal=false&w=majority").features
    other = connect(url, database="another")
    other.migrate()
    other.insert([JOB])
    assert ids(connect(other.target)) == ["a"]
    assert "database=another" in str(other.target)
    other.clear()


@pytest.mark.parametrize(
    "wrong",
    [
        "mongodb://",
        "mongodb://host:0x/",
        "mongodb://host/?namespace=A",
        "mongodb://host/?timeout=0",
        "mongodb://h/?w=x&j=1",
    ],
)
def test_a_url_that_cannot_be_read_is_refused(wrong: str) -> None:
    with pytest.raises(ConfigurationError):
        MongoDriver.connect(wrong)


def test_a_server_that_is_not_there_is_unavailable() -> None:
    with pytest.raises(Unavailable, match=r"127\.0\.0\.1:1 ") as caught:
        MongoDriver.connect("mongodb://user:s3cret@127.0.0.1:1/?timeout=0.5")
    assert caught.value.unknown is False
    assert "s3cret" not in str(caught.value)


def test_a_job_that_cannot_be_read_hides_no_other(
    store: MongoDriver, client: pymongo.MongoClient[Any], namespace: str
) -> None:
    store.insert([NewJob(name, "q", "t", b"1") for name in "abc"])
    jobs = client.longshore[f"{namespace}_jobs"]
    jobs.update_one({"_id": "a"}, {"$set": {"notes": ["{broken"]}})
    found = {job.id: job for job in store.select(Where()).jobs}
    assert sorted(found) == ["a", "b", "c"]
    assert "{broken" in found["a"].notes[UNREADABLE]
    taken = store.claim([Claim(queues=("q",))], holder="h", limit=9).jobs
    assert [job.id for job in taken if UNREADABLE in job.notes] == ["a"]
    ends = [Change(job.id, State.FAILED, generation=1, holder="h", settles=True) for job in taken]
    assert [answer.outcome for answer in store.update(ends)] == [Outcome.MOVED] * 3


def test_large_payloads_come_with_their_jobs(store: MongoDriver) -> None:
    sizes = [10, 70_000, 2**20, store.limits.payload]
    store.insert([NewJob(f"{at}", "q", "t", b"x" * size) for at, size in enumerate(sizes)])
    first = store.claim([Claim(queues=("q",))], holder="h", limit=9, max_bytes=100_000).jobs
    assert [len(job.payload) for job in first] == sizes[:2]
    rest = store.claim([Claim(queues=("q",))], holder="h", limit=9).jobs
    assert [len(job.payload) for job in rest] == sizes[2:]


def test_more_than_one_message_holds_is_found_whole(store: MongoDriver, client: pymongo.MongoClient[Any]) -> None:
    """And nothing of it stays open at the server."""
    for name in "abcd":
        store.insert([NewJob(name, "q", "t", name.encode() * store.limits.payload)])
    opened = client.admin.command("serverStatus")["metrics"]["cursor"]["open"]["total"]
    found = {job.id: job.payload[-1:] for job in store.select(EVERY).jobs}
    assert found == {name: name.encode() for name in "abcd"}
    assert client.admin.command("serverStatus")["metrics"]["cursor"]["open"]["total"] <= opened


def test_commands_share_their_sessions(store: MongoDriver, monkeypatch: pytest.MonkeyPatch) -> None:
    """One is begun anew only where a command failed, and nobody knows what became of it."""
    begun = []
    start = pymongo.MongoClient.start_session
    monkeypatch.setattr(
        pymongo.MongoClient, "start_session", lambda *args, **rest: begun.append(1) or start(*args, **rest)
    )
    claims = [Claim(queues=("q",))]
    store.claim(claims, holder="h", limit=1)
    begun.clear()
    for _ in range(3):
        store.claim(claims, holder="h", limit=1)
    assert not begun
    with monkeypatch.context() as broken:
        broken.setattr("pymongo.database.Database.command", _breaks)
        with pytest.raises(Unavailable):
            store.claim(claims, holder="h", limit=1)
    store.claim(claims, holder="h", limit=1)
    assert len(begun) == 1


def test_sessions_on_a_live_client_are_of_one_process_and_end_with_the_driver(
    connect, client, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A child has its parent's memory; an operation of either would be ended with the other's session."""
    used, ended = [], []
    command, end = pymongo.database.Database.command, pymongo.client_session.ClientSession.end_session
    monkeypatch.setattr(
        "pymongo.database.Database.command",
        lambda *args, **rest: used.append(rest.get("session")) or command(*args, **rest),
    )
    monkeypatch.setattr(
        "pymongo.client_session.ClientSession.end_session", lambda session: ended.append(session) or end(session)
    )
    store = connect(client, namespace=namespace)
    store.migrate()
    store.claim([Claim(queues=("q",))], holder="h", limit=1)
    of_the_parent = used[-1]
    with monkeypatch.context() as forked:
        forked.setattr("longshore_mongo.servers.os.getpid", lambda: 1)
        store.claim([Claim(queues=("q",))], holder="h", limit=1)
        of_the_child = used[-1]
        assert of_the_child is not of_the_parent
        store.close()
    assert of_the_child in ended
    assert of_the_parent not in ended
    assert client.admin.command("ping")


def test_a_closed_driver_says_so_also_where_it_would_write_beside(store: MongoDriver) -> None:
    claims = [Claim(queues=("q",))]
    store.insert([NewJob(f"{n}", "q", "t", b"") for n in range(400)])
    for _ in range(2):
        ends = [
            Change(job.id, State.SUCCEEDED, generation=1, holder="h", settles=True)
            for job in store.claim(claims, holder="h", limit=100).jobs
        ]
        answers, _ = store.exchange(ends, claims, holder="h", limit=1)
        assert {answer.outcome for answer in answers} == {Outcome.MOVED}
    store.close()
    with pytest.raises(Unavailable, match="after close"):
        store.exchange(ends, claims, holder="h", limit=1)


def test_what_no_document_holds_is_too_large(store: MongoDriver) -> None:
    with pytest.raises(TooLarge, match="16 MiB"):
        store.insert([NewJob("a", "q", "t", b"x" * 2**24)])


def test_a_name_is_no_operator(store: MongoDriver) -> None:
    """Names, keys and values that mean something to MongoDB are texts like any other."""
    odd = ["$where", "$$NOW", "a.b", "{}", "$literal"]
    store.insert([NewJob(name, name, name, b"$x", key=name, group=name, notes={name: name}) for name in odd])
    for name in odd:
        assert [job.id for job in store.select(Where(queues=[name], notes={name: name})).jobs] == [name]
    jobs = store.claim([Claim(queues=tuple(odd))], holder="$$ROOT", limit=9).jobs
    results = [Change(job.id, State.PENDING, {"codec": job.id, "result": b"$y"}, settles=True, holder="$$ROOT",
                      generation=1) for job in jobs]  # fmt: skip
    assert {answer.outcome for answer in store.update(results)} == {Outcome.MOVED}
    assert {(job.id, job.codec) for job in store.select(EVERY).jobs} == {(name, name) for name in odd}


def test_listeners_hear_again_after_their_connection_broke(
    store: MongoDriver, client: pymongo.MongoClient[Any]
) -> None:
    listener = store.listen(["queue:q"])
    watching: set[int] = set()
    while not watching:  # Between two questions there is none to kill.
        operations = client.admin.command("currentOp", {"$all": True, "op": "getmore"})["inprog"]
        watching = {one["opid"] for one in operations if "longshore" in one.get("ns", "")}
    for operation in watching:
        client.admin.command("killOp", op=operation)
    assert listener.wait(30), "hints were lost meanwhile, and nobody was told"
    told = threading.Event()
    threading.Thread(target=lambda: (store.insert([JOB]), told.set())).start()
    assert listener.wait(30)
    assert told.wait(30)
