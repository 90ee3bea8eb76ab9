"""Connections that break in the middle of every method, at each of its trips: the same for every engine."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import pytest

from faults.line import Connect, Line, Lines, Lost
from longshore.contract import (
    EVERY,
    By,
    Change,
    Claim,
    Driver,
    Features,
    Insertion,
    NewJob,
    Outcome,
    State,
    StoredJob,
    Where,
    Write,
)
from longshore.errors import Unavailable

HOLDER = "h"
MOST_TRIPS = 40
"""More than any method takes but those that build or empty a store."""


def job(name: str, **fields: Any) -> NewJob:
    """A job in a queue of its own."""
    return NewJob(name, name, "t", b"{}", **fields)


def finish(name: str, to: State = State.SUCCEEDED, **fields: Any) -> Change:
    """How the first run of a job ends."""
    return Change(name, to, fields or {"result": b"r"}, generation=1, holder=HOLDER, settles=True)


def claim(store: Driver, name: str) -> list[StoredJob]:
    """What is taken from a job's own queue."""
    return store.claim([Claim(queues=(name,))], holder=HOLDER, limit=5).jobs


def look_at(store: Driver, *names: str) -> list[tuple[Any, ...]]:
    """How jobs stand, in order of their ids, with nothing that depends on the time."""
    found = store.select(Where(ids=names)).jobs
    return sorted((one.id, one.state, one.holder, one.generation, one.result, one.tries) for one in found)


class Case(NamedTuple):
    """One method: what is there before, a call of it, how what it concerns stands, and what a repeat may answer."""

    call: Callable[[Driver, str], Any]
    look: Callable[[Driver, str], Any] = look_at
    prepare: Callable[[Driver, str], Any] = lambda store, name: None
    answers: Callable[[Any], bool] = lambda answer: True
    writes: bool = True


def runs(store: Driver, name: str) -> None:
    """A job that runs."""
    store.insert([job(name)])
    assert len(claim(store, name)) == 1


def runs_and_waits(store: Driver, name: str) -> None:
    """A job that runs, and one of its queue that may be claimed."""
    runs(store, name)
    store.insert([NewJob(f"{name} next", name, "t", b"")])


def ended(store: Driver, name: str) -> None:
    """A job that has ended."""
    store.insert([job(name)])
    store.update([Change(name, State.CANCELLED)])


def moved(answers: Any) -> bool:
    """Whether all changes were made, now or before."""
    return all(answer.outcome in (Outcome.MOVED, Outcome.REPEATED) for answer in answers)


def inserted(answers: Any) -> bool:
    """Whether all jobs were stored, now or before."""
    return all(answer.outcome in (Insertion.INSERTED, Insertion.REPEATED) for answer in answers)


def both(store: Driver, name: str) -> list[tuple[Any, ...]]:
    """How a job and the next one stand."""
    return look_at(store, name, f"{name} next")


CASES = {
    "insert": Case(lambda store, name: store.insert([job(name)]), answers=inserted),
    "insert with bonds": Case(
        lambda store, name: store.insert([job(name, unique_key=name, key=name, parents=("p",), waiting=True)]),
        answers=inserted,
    ),
    "insert two": Case(
        lambda store, name: store.insert([job(name, unique_key=name), job(f"{name} next", key=name)]),
        both,
        answers=inserted,
    ),
    "claim": Case(claim, prepare=lambda store, name: store.insert([job(name)])),
    "finish": Case(lambda store, name: store.update([finish(name)]), prepare=runs, answers=moved),
    "fail": Case(
        lambda store, name: store.update([finish(name, State.PENDING, attempt_record=b"a", delay=5)]),
        prepare=runs,
        answers=moved,
    ),
    "exchange": Case(
        lambda store, name: store.exchange([finish(name)], [Claim(queues=(name,))], holder=HOLDER, limit=1)[0],
        both,
        prepare=runs_and_waits,
        answers=moved,
    ),
    "delete": Case(lambda store, name: store.delete(Where(ids=[name])), prepare=ended),
    "write": Case(
        lambda store, name: store.write([Write("kind", name, b"1", 0)]),
        lambda store, name: [record.value for record in store.read("kind", [name])],
    ),
    "erase": Case(
        lambda store, name: store.write([Write("kind", name, None)]),
        lambda store, name: [record.value for record in store.read("kind", [name])],
        prepare=lambda store, name: store.write([Write("kind", name, b"1", 0)]),
    ),
    "select": Case(lambda store, name: store.select(EVERY), writes=False),
    "count": Case(lambda store, name: store.count(By.QUEUE_STATE), writes=False),
    "read": Case(lambda store, name: store.read("kind"), writes=False),
    "now": Case(lambda store, name: store.now(), writes=False),
}


class CutLines(Lines):
    """Inherit from this beside an engine's fixtures: ``url`` of an empty store, and ``connect`` that opens it."""

    @pytest.mark.parametrize("lost", list(Lost))
    @pytest.mark.parametrize("method", CASES)
    def test_whatever_is_lost_a_call_sent_again_leaves_what_it_should(
        self, near: Driver, far: Driver, line: Line, method: str, lost: Lost
    ) -> None:
        """Each method, cut at each of its trips: the call is unavailable, it did all that it does or nothing, `unknown`
        is never False where it did something, and sent again it leaves what one whole call leaves."""
        case = CASES[method]
        case.prepare(near, "whole")
        case.call(far, "whole")
        wanted = str(case.look(near, "whole"))
        left = []
        for trip in range(1, MOST_TRIPS):
            name = f"cut at {trip}"
            case.prepare(near, name)
            before = case.look(near, name)
            line.lose(trip, lost)
            error = broken(case, far, name)
            if error is None and not line.is_whole:
                break
            line.keep()
            after = case.look(near, name)
            left.append(after != before)
            assert not (left[-1] and error is not None and error.unknown is False), f"it did something: {error}"
            assert case.answers(case.call(far, name)), f"refused when it was sent again: {name}"
            assert str(case.look(near, name)).replace(name, "whole") == wanted, name
        line.keep()
        assert left, "no trip was cut"
        assert case.writes or not any(left)
        if lost is Lost.QUESTION:
            assert not left[0], "a question that was lost was answered"
        else:
            assert any(left) == case.writes, "an answer that is lost is one of what was done"

    @pytest.mark.parametrize("lost", list(Lost))
    def test_a_schema_is_made_by_who_comes_again(self, connect: Connect, line: Line, url: str, lost: Lost) -> None:
        namespace = url.partition("namespace=")[2]
        for number, trip in enumerate([2, 20]):
            over = line.url.replace(namespace, f"{namespace}x{number}")
            far = connect(over)
            line.lose(trip, lost)
            try:
                far.migrate()
            except Unavailable:
                far.migrate()
            line.keep()
            assert inserted(far.insert([job("a")]))
            assert [one.id for one in claim(far, "a")] == ["a"]

    @pytest.mark.parametrize("lost", list(Lost))
    def test_a_store_is_emptied_by_who_comes_again(self, near: Driver, far: Driver, line: Line, lost: Lost) -> None:
        for trip in range(1, 8):
            near.insert([job("a", unique_key="u")])
            near.write([Write("kind", "key", b"1")])
            line.lose(trip, lost)
            try:
                far.clear()
            except Unavailable:
                far.clear()
            line.keep()
            assert (near.select(EVERY).jobs, near.read("kind")) == ([], [])

    @pytest.mark.parametrize("lost", list(Lost))
    def test_a_transaction_that_is_cut_did_all_or_nothing(
        self, near: Driver, far: Driver, line: Line, lost: Lost
    ) -> None:
        if Features.TRANSACTIONS not in near.features:
            pytest.skip("this store has no transactions")
        for trip in range(1, MOST_TRIPS):
            names = [f"{trip} {number}" for number in range(2)]
            line.lose(trip, lost)
            try:
                with far.transaction() as tx:
                    for name in names:
                        far.insert([job(name)], tx=tx)
            except Exception:  # noqa: BLE001 - the application's own commit raises what its library raises
                cut = not line.is_whole
                assert not cut, "something else went wrong"
            else:
                if not line.is_whole:
                    break
            line.keep()
            assert len(near.select(Where(ids=names)).jobs) in (0, 2)
            far.insert([job(name) for name in names])
        line.keep()


def broken(case: Case, far: Driver, name: str) -> Unavailable | None:
    """What a call raised, if the connection broke under it; a hint that is lost harms nobody."""
    try:
        case.call(far, name)
    except Unavailable as error:
        return error
    return None
