"""New jobs go to a store that answers; to another one only if it is certain that the first has not stored them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from conftest import Serve
from engines import Server
from faults.line import Line, Lost
from longshore import Longshore, Unique
from longshore.contract import Claim, Insertion, Where, Write
from longshore.errors import InvalidValue, PartialInsert, Unavailable, Unsupported
from longshore.ids import IdMaker
from longshore.testing import ManualClock
from longshore_multi.driver import MultiDriver
from multi.conftest import Connect, job, named_for, of_tag
from stores import fresh_store

SECRET = "hunter2"
ANY = [Claim(queues=("mail", "default"))]


def send() -> None: ...


def new_names(store: MultiDriver, number: int) -> list[str]:
    make = IdMaker()
    return [store.name(make()) for _ in range(number)]


@pytest.fixture
def both(files: list[str], redis: Server) -> list[str]:
    """A file, and a server that can be killed."""
    return [files[0], f"{redis.url}?timeout=1#west"]


@pytest.fixture
def app_on(clock: ManualClock) -> Iterator[Callable[..., Longshore]]:
    """Applications with a task, on several stores."""
    opened: list[Longshore] = []

    def app_on(target: Any, **options: Any) -> Longshore:
        opened.append(Longshore(target, clock=clock, **{"patience": 0.0} | options))
        opened[-1].task(send)
        return opened[-1]

    yield app_on
    for app in opened:
        app.close()


def call(app: Longshore, **options: Any) -> Any:
    return app.tasks["send"].options(**options).call()


class TestWhileAllAnswer:
    @pytest.mark.parametrize("weights", [None, [3, 1]])
    def test_they_are_spread_by_weight(self, connect: Connect, files: list[str], weights: Any) -> None:
        store = connect(files, weights=weights)
        names = new_names(store, 2_000)
        expected = 2_000 * (weights or [1, 1])[0] / sum(weights or [1, 1])
        assert abs(len(of_tag(names, "east")) - expected) < 5 * expected**0.5
        store.insert([job(name) for name in names[:500]])
        for part in store.parts:
            stored = part.select(Where(), limit=500).jobs
            assert sorted(found.id for found in stored) == sorted(of_tag(names[:500], part.tag))

    def test_ids_rise_as_they_were_made(self, connect: Connect, files: list[str]) -> None:
        names = new_names(connect(files), 50)
        assert names == sorted(names)

    def test_calls_that_wait_for_each_other_go_together(
        self, files: list[str], app_on: Callable[..., Longshore]
    ) -> None:
        app = app_on(files)
        for _ in range(12):
            first = call(app, on_end=call(app))
            alone, *family = app.enqueue_many([call(app), first, call(app, after=first), call(app, after=[first])])
            assert len({one.id.partition("@")[2] for one in family}) == 1
            later = app.enqueue(call(app, after=[family[0], family[-1]]))
            assert later.id.partition("@")[2] == family[0].id.partition("@")[2]
            assert alone.info() is not None
        assert len(app.store.select(Where(), limit=1_000).jobs) == 12 * 6

    def test_names_decide(self, files: list[str], app_on: Callable[..., Longshore]) -> None:
        app = app_on(files)
        homes = app.store.driver._homes  # type: ignore[attr-defined]
        for number in range(12):
            keyed, unique, member = app.enqueue_many(
                [
                    call(app, key=f"key {number}"),
                    call(app, unique=Unique(key=f"{number}")),
                    call(app, group=f"group {number}"),
                ]
            )
            assert keyed.id.endswith(f"@{homes.of(f'key {number}')}")
            assert unique.id.endswith(f"@{homes.of(f'send:{number}')}")
            assert member.id.endswith(f"@{homes.of(f'group {number}')}")
            assert app.enqueue(call(app, unique=Unique(key=f"{number}"))) == unique

    def test_what_is_apart_is_refused_alone(self, files: list[str], app_on: Callable[..., Longshore]) -> None:
        app = app_on(files)
        with pytest.raises(InvalidValue, match="braces"):
            app.enqueue(call(app, id="order", key="customer"))
        with pytest.raises(InvalidValue, match="braces"):
            app.enqueue(call(app, key="customer", unique=Unique(key="x")))
        app.enqueue(call(app, id="{customer}:order", key="customer"))

    def test_no_transaction_spans_them(self, connect: Connect, files: list[str]) -> None:
        store = connect(files)
        for refused in (lambda: store.insert([], tx=object()), store.transaction):
            with pytest.raises(Unsupported):
                refused()


class TestWhileOneIsAway:
    def test_new_jobs_go_elsewhere(self, both: list[str], redis: Server, app_on: Callable[..., Longshore]) -> None:
        app = app_on(both)
        app.store  # noqa: B018 - opens it
        redis.kill()
        jobs = app.enqueue_many([call(app) for _ in range(40)])
        assert {one.id.partition("@")[2] for one in jobs} == {"east"}
        assert len(app.store.driver.parts[0].select(Where()).jobs) == len({one.id for one in jobs}) == 40
        family = app.chain(call(app), call(app), call(app))
        assert {one.id.partition("@")[2] for one in family} == {"east"}

    async def _enqueue(self, app: Longshore) -> list[str]:
        import asyncio

        return [one.id for one in await asyncio.gather(*(app.aenqueue(call(app)) for _ in range(20)))]

    def test_also_those_of_an_event_loop(
        self, both: list[str], redis: Server, app_on: Callable[..., Longshore]
    ) -> None:
        import asyncio

        app = app_on(both)
        app.store  # noqa: B018 - opens it
        redis.kill()
        assert {name.partition("@")[2] for name in asyncio.run(self._enqueue(app))} == {"east"}

    def test_a_process_that_starts_now_works_with_the_others(
        self, both: list[str], redis: Server, app_on: Callable[..., Longshore]
    ) -> None:
        redis.kill()
        app = app_on(both)
        app.enqueue_many([call(app) for _ in range(10)])
        redis.restart()
        home = named_for(app.store.driver, "west")  # type: ignore[arg-type]
        assert app.enqueue(call(app, id=home)).info() is not None, "the store that came late was not made ready"
        assert app.store.driver.parts[1].read("several")[0].value == b"west"

    def test_what_has_its_home_there_waits_and_says_so(
        self, both: list[str], redis: Server, app_on: Callable[..., Longshore]
    ) -> None:
        app = app_on(both)
        home, elsewhere = (named_for(app.store.driver, tag) for tag in ("west", "east"))  # type: ignore[arg-type]
        redis.kill()
        for refused in (
            lambda: app.enqueue(call(app, id=home)),
            lambda: app.enqueue(call(app, key=home)),
            lambda: app.enqueue(call(app, group=home)),
            lambda: app.store.write([Write("lock", home, b"x")]),
            lambda: app.store.read("lock", [home]),
            app.store.select,
            app.counts,
        ):
            with pytest.raises(Unavailable, match=r"the store west .* does not answer"):
                refused()
        with pytest.raises(Unavailable, match=f"such as the job {home!r} of send, lives there and nowhere else"):
            app.enqueue(call(app, id=home))
        app.enqueue(call(app, id=elsewhere))
        assert app.store.select(Where(ids=[elsewhere])).jobs

    def test_its_password_does_not_show(self, files: list[str], app_on: Callable[..., Longshore]) -> None:
        app = app_on([files[0], f"redis://user:{SECRET}@127.0.0.1:1/0#west"])
        with pytest.raises(Unavailable, match=r"the store west \(redis://user:\*\*\*@127") as raised:
            app.counts()
        told: BaseException | None = raised.value
        while told is not None:
            assert SECRET not in str(told)
            told = told.__cause__

    def test_it_rests_and_is_asked_again(
        self, both: list[str], redis: Server, connect: Connect, clock: ManualClock
    ) -> None:
        store = connect(both)
        redis.kill()
        store.claim(ANY, holder="h", limit=1)
        while not store.parts[1].rests:
            store.claim(ANY, holder="h", limit=1)
        assert not of_tag(new_names(store, 100), "west")
        clock.advance(29.9)
        assert not of_tag(new_names(store, 100), "west")
        clock.advance(0.2)
        assert of_tag(new_names(store, 100), "west")
        redis.restart()
        store.insert([job(next(name for name in new_names(store, 100) if name.endswith("@west")))])
        assert not store.parts[1].rests

    def test_an_answer_ends_its_rest(self, both: list[str], redis: Server, connect: Connect) -> None:
        store = connect(both)
        redis.kill()
        with pytest.raises(Unavailable):
            store.parts[1].read("lock")
        assert store.parts[1].rests
        redis.restart()
        store.write([Write("lock", named_for(store, "west"), b"x")])
        assert not store.parts[1].rests

    def test_claims_go_on_and_fail_only_when_nobody_answers(
        self, files: list[str], both: list[str], redis: Server, connect: Connect
    ) -> None:
        store, alone = connect(both), connect([both[1]])
        store.insert([job(name) for name in of_tag(new_names(store, 50), "east")])
        redis.kill()
        assert len(store.claim(ANY, holder="h", limit=5).jobs) == 5
        (_, claimed) = store.exchange([], ANY, holder="h", limit=5)
        assert len(claimed.jobs) == 5
        with pytest.raises(Unavailable, match="west"):
            alone.claim(ANY, holder="h", limit=5)


class TestWhenNobodyKnows:
    """The line to the store breaks after it was asked."""

    @pytest.fixture
    def url(self, tmp_path: Path, shared_server: Serve) -> str:
        url: str = fresh_store("redis", tmp_path, shared_server)
        return url

    @pytest.fixture
    def line(self, url: str) -> Iterator[Line]:
        line = Line(url)
        yield line
        line.close()

    @pytest.mark.parametrize("lost", Lost)
    def test_the_job_is_never_given_to_another(
        self, lost: Lost, files: list[str], url: str, line: Line, connect: Connect, app_on: Callable[..., Longshore]
    ) -> None:
        app = app_on([files[0], f"{line.url}#west"])
        store, far = app.store, connect([f"{url}#west"])
        store.driver.wake = lambda topics: None  # type: ignore[method-assign]
        named = [store.name(IdMaker()()) for _ in range(40)]
        names = iter([named[0].partition("@")[0]] * 2)
        drawn = store.driver.name
        store.driver.name = lambda identity, *, beside=(): f"{identity}@west"  # type: ignore[method-assign]
        app._make_id = names.__next__  # type: ignore[assignment]
        app.enqueue(call(app, id=named_for(store.driver, "west")))  # type: ignore[arg-type]
        store._seal = None  # Else the next trip may be a look at that.
        line.lose(1, lost)
        with pytest.raises((Unavailable, PartialInsert), match="west"):
            app.enqueue(call(app))
        store.driver.name = drawn  # type: ignore[method-assign]
        assert not store.driver.parts[0].select(Where()).jobs, "a job that may be stored was given to another store"
        stored = [found.id for found in far.select(Where()).jobs if "@" in found.id]
        assert len(stored) == (lost is Lost.ANSWER)

    @pytest.mark.parametrize("lost", Lost)
    def test_a_patient_application_repeats_it_where_it_may_be(
        self, lost: Lost, files: list[str], line: Line, app_on: Callable[..., Longshore]
    ) -> None:
        app = app_on([files[0], f"{line.url}#west"], patience=30.0)
        app.store.driver.wake = lambda topics: None  # type: ignore[method-assign]
        app.enqueue(call(app, id=named_for(app.store.driver, "west")))  # type: ignore[arg-type]
        while True:
            line.lose(1, lost)
            jobs = app.enqueue_many([call(app) for _ in range(4)])
            if line.is_whole:
                break
        where = Counter(found.id for found in app.store.select(Where(), limit=1_000).jobs)
        assert {one.id for one in jobs} <= where.keys()
        assert len(where) % 4 == 1, "a job is stored under two ids"


def test_a_store_with_no_room_is_passed_over(files: list[str], redis: Server, connect: Connect) -> None:
    """As one that is away: it has certainly stored nothing."""
    import redis as client

    store = connect([files[0], f"{redis.url}#west"])
    name = next(name for name in new_names(store, 100) if name.endswith("@west"))
    with client.Redis.from_url(redis.url) as connection:
        connection.config_set("maxmemory", "1")
    with pytest.raises(Unavailable) as raised:
        store.insert([job(name)])
    assert (raised.value.elsewhere, raised.value.unknown) == ({name}, False)
    assert (
        store.insert([job(store.name(IdMaker()(), beside=[named_for(store, "east")]))])[0].outcome is Insertion.INSERTED
    )
