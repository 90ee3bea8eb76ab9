"""Claims, changes and lists over several stores."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from conftest import Serve
from engines import Server
from longshore.contract import (
    SECOND,
    By,
    Change,
    Claim,
    NewJob,
    Order,
    Outcome,
    Page,
    State,
    StoredJob,
    Where,
)
from longshore.errors import Unavailable
from longshore.ids import IdMaker
from longshore.testing import ManualClock
from longshore_multi.driver import MultiDriver
from multi.conftest import Connect, job, of_tag
from stores import fresh_store

ANY = [Claim(queues=("mail",))]


@pytest.fixture
def store(connect: Connect, files: list[str]) -> MultiDriver:
    return connect(files)


def put(store: MultiDriver, number: int, **fields: Any) -> list[str]:
    """Jobs without names of their own, in both stores."""
    make = IdMaker()
    names = [store.name(make()) for _ in range(number)]
    store.insert([job(name, **fields) for name in names])
    assert number < 10 or (of_tag(names, "east") and of_tag(names, "west"))
    return names


def end(taken: StoredJob) -> Change:
    return Change(taken.id, State.SUCCEEDED, generation=taken.generation, holder=taken.holder, settles=True)


def pages(store: MultiDriver, **question: Any) -> list[list[StoredJob]]:
    found: list[Page] = [store.select(Where(), **question)]
    while found[-1].after is not None:
        found.append(store.select(Where(), after=found[-1].after, **question))
    return [page.jobs for page in found]


class TestClaims:
    def test_one_claim_takes_from_all_until_there_are_enough(self, store: MultiDriver) -> None:
        names = put(store, 40)
        some = [taken.id for taken in store.claim(ANY, holder="h", limit=25).jobs]
        rest = [taken.id for taken in store.claim(ANY, holder="h", limit=25).jobs]
        assert (len(some), len(rest)) == (25, 15)
        assert sorted(some + rest) == sorted(names)

    def test_both_come_first_as_often(self, store: MultiDriver) -> None:
        put(store, 200)
        first = [store.claim(ANY, holder="h", limit=1).jobs[0].id for _ in range(60)]
        assert 10 < len(of_tag(first, "east")) < 50

    def test_a_claim_s_own_limit_holds_for_all_together(self, store: MultiDriver) -> None:
        put(store, 20, task="slow")
        put(store, 20)
        claims = [Claim(queues=("mail",), tasks=frozenset({"slow"}), limit=3), Claim(queues=("mail",), limit=30)]
        for _ in range(3):
            claims = [claims[0], Claim(queues=("mail",), tasks=frozenset({"send"}))]
            taken = store.claim(claims, holder="h", limit=8).jobs
            assert sum(each.task == "slow" for each in taken) == 3

    def test_no_more_bytes_than_allowed(self, store: MultiDriver) -> None:
        put(store, 40, payload=b"x" * 100)
        while taken := store.claim(ANY, holder="h", limit=10, max_bytes=350).jobs:
            assert len(taken) <= 3

    def test_an_empty_answer_says_when_the_first_of_all_is_due(self, store: MultiDriver) -> None:
        assert store.claim(ANY, holder="h", limit=1).next_due is None
        for number, tag in enumerate(("east", "west")):
            name = next(name for name in (store.name(IdMaker()()) for _ in range(100)) if name.endswith(tag))
            store.insert([job(name, delay=(2 + number) * SECOND)])
        assert store.claim(ANY, holder="h", limit=1).next_due == 2 * SECOND

    def test_an_exchange_settles_in_all_and_takes_from_all(self, store: MultiDriver) -> None:
        put(store, 60)
        held = store.claim(ANY, holder="h", limit=20).jobs
        done = 0
        while held:
            answers, claimed = store.exchange([end(each) for each in held], ANY, holder="h", limit=20)
            assert {answer.outcome for answer in answers} == {Outcome.MOVED}
            done, held = done + len(answers), claimed.jobs
        assert done == 60
        assert store.count(By.QUEUE_STATE) == {("mail", State.SUCCEEDED): 60}


class TestLists:
    @pytest.mark.parametrize("order", Order)
    @pytest.mark.parametrize("limit", [1, 7, 100])
    def test_pages_of_all_are_in_order_and_give_each_once(
        self, store: MultiDriver, clock: ManualClock, order: Order, limit: int
    ) -> None:
        names = []
        for _ in range(5):
            names += put(store, 6)
            clock.advance(1)
        found = pages(store, order=order, limit=limit)
        assert all(len(page) <= limit for page in found)
        jobs = [each for page in found for each in page]
        assert sorted(each.id for each in jobs) == sorted(names)
        ages = [(each.created, each.id) for each in jobs]
        assert ages == sorted(ages, reverse=order is Order.NEWEST)

    def test_a_page_goes_on_though_jobs_it_gave_are_gone(self, store: MultiDriver) -> None:
        names = put(store, 30)
        page = store.select(Where(), order=Order.OLDEST, limit=10)
        given = [each.id for each in page.jobs]
        store.delete(Where(ids=given))
        while page.after is not None:
            page = store.select(Where(), order=Order.OLDEST, limit=10, after=page.after)
            given += [each.id for each in page.jobs]
        assert sorted(given) == sorted(names)

    def test_the_first_of_each_group_are_the_first_of_all(self, store: MultiDriver, clock: ManualClock) -> None:
        for number in range(20):
            put(store, 1, group=f"g{number % 2}", notes={"number": number})
            clock.advance(1)
        found = store.select(Where(groups=("g0", "g1")), order=Order.OLDEST, each=2, limit=10).jobs
        assert [each.notes["number"] for each in found] == [0, 1, 2, 3]
        page = store.select(Where(groups=("g0", "g1")), order=Order.OLDEST, each=2, limit=3)
        rest = store.select(Where(groups=("g0", "g1")), order=Order.OLDEST, each=2, limit=3, after=page.after)
        assert [each.notes["number"] for each in page.jobs + rest.jobs] == [0, 1, 2, 3]
        assert rest.after is None

    def test_deleting_keeps_to_its_limit(self, store: MultiDriver) -> None:
        names = put(store, 30)
        gone = store.delete(Where(), limit=20)
        assert len(gone) == 20
        assert sorted([*gone, *store.delete(Where())]) == sorted(names)


class TestWhatIsOlderThanTheList:
    def test_a_job_is_found_and_changed_where_it_is(self, connect: Connect, files: list[str]) -> None:
        alone = connect(files[:1])
        names = [f"old {number}" for number in range(12)]
        alone.insert([NewJob(name, "mail", "send", b"") for name in names])
        both = connect(files)
        assert {both._homes.of(name) for name in names} == {"east", "west"}
        assert len(both.select(Where(ids=names)).jobs) == 12
        answers = both.update([Change(name, fields={"priority": 3}) for name in [*names, "nobody"]])
        assert [answer.outcome for answer in answers] == [Outcome.MOVED] * 12 + [Outcome.REFUSED]
        assert sorted(both.delete(Where(ids=names))) == sorted(names)


def test_a_change_that_one_store_did_not_answer_is_sent_again(
    files: list[str], redis: Server, connect: Connect, every_pair: Callable[[MultiDriver], list[str]]
) -> None:
    store = connect([files[0], f"{redis.url}?timeout=1#west"])
    names = every_pair(store)
    store.insert([job(name) for name in names])
    held = store.claim(ANY, holder="h", limit=10).jobs
    assert len(held) == 2
    redis.kill()
    changes = [end(each) for each in held]
    for call in (lambda: store.update(changes), lambda: store.exchange(changes, ANY, holder="h", limit=1)):
        with pytest.raises(Unavailable, match="west"):
            call()
    assert {each.state for each in store.parts[0].select(Where()).jobs} == {State.SUCCEEDED}
    redis.restart()
    outcomes = {change.id: answer.outcome for change, answer in zip(changes, store.update(changes), strict=True)}
    assert outcomes[names[0]] is Outcome.REPEATED
    assert {each.state for each in store.select(Where()).jobs} <= {State.SUCCEEDED}


@pytest.fixture
def every_pair() -> Callable[[MultiDriver], list[str]]:
    """A name made for each store."""

    def every_pair(store: MultiDriver) -> list[str]:
        made = [store.name(IdMaker()()) for _ in range(100)]
        return [of_tag(made, tag)[0] for tag in ("east", "west")]

    return every_pair


def test_with_one_of_two_killed_half_way_its_jobs_are_done_when_it_is_back(
    tmp_path: Path, shared_server: Serve, redis: Server, connect: Connect, clock: ManualClock
) -> None:
    store = connect([f"{fresh_store('postgres', tmp_path, shared_server)}#east", f"{redis.url}?timeout=1#west"])
    names = put(store, 60)
    done: list[str] = []

    def work(rounds: int) -> None:
        for _ in range(rounds):
            held = store.claim(ANY, holder="h", limit=5).jobs
            assert {answer.outcome for answer in store.update([end(each) for each in held])} <= {Outcome.MOVED}
            done.extend(each.id for each in held)

    work(4)
    redis.kill()
    work(15)
    assert set(of_tag(names, "east")) <= set(done), "what the living one has did not go on"
    assert 20 <= len(done) < 60
    redis.restart()
    clock.advance(31)
    work(15)
    assert sorted(done) == sorted(names), "a job was lost, or done twice"
