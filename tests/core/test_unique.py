"""Unique jobs: which calls are the same, for how long, and what becomes of the others."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from core.working import work
from longshore import Debounce, Longshore, Options, Retry, State, Task, Throttle, Unique
from longshore.contract import Change, Claim
from longshore.errors import InvalidValue, UniqueConflict
from longshore.testing.clock import ManualClock
from stores import fresh_store


@pytest.fixture
def app(target: Any, clock: ManualClock) -> Iterator[Longshore]:
    with Longshore(target, clock=clock) as app:
        yield app


@pytest.fixture
def send(app: Longshore) -> Task[..., list[Any]]:
    @app.task
    def send(to: str, text: str = "hello") -> list[Any]:
        return [to, text]

    return send


@pytest.fixture
def fail(app: Longshore) -> Task[[], None]:
    @app.task(retry=Retry(max_attempts=2, delay=60, jitter=0), unique=Unique(until="start"))
    def fail() -> None:
        raise ValueError

    return fail


def stored(app: Longshore) -> int:
    return sum(app.counts().values())


class TestWhichCallsAreTheSame:
    def test_those_with_equal_arguments_however_they_are_given(self, app: Longshore, send: Any) -> None:
        unique = send.options(unique=Unique())
        jobs = {unique.enqueue("anna"), unique.enqueue(to="anna"), unique.enqueue("anna", "hello")}
        assert len(jobs) == 1
        assert unique.enqueue("anna", "other") not in jobs
        assert stored(app) == 2

    def test_sets_and_dictionaries_are_equal_in_any_order(self, app: Longshore) -> None:
        @app.task(unique=Unique())
        def tag(names: set[str], numbers: dict[str, float]) -> None: ...

        one = tag.enqueue({"a", "b", "c"}, {"x": 1, "y": 2.5})
        assert tag.enqueue({"c", "b", "a"}, {"y": 2.5, "x": 1.0}) == one

    def test_those_in_which_the_named_arguments_are_equal(self, send: Any) -> None:
        unique = send.options(unique=Unique(by=("to",)))
        assert unique.enqueue("anna", "one") == unique.enqueue("anna", "two")
        assert unique.enqueue("bob", "one") != unique.enqueue("anna", "one")

    def test_those_with_the_same_key(self, send: Any) -> None:
        unique = send.options(unique=Unique(key="news"))
        assert unique.enqueue("anna") == unique.enqueue("bob")

    def test_keys_are_a_task_s_own(self, app: Longshore, send: Any) -> None:
        @app.task(unique=Unique(key="news"))
        def fetch() -> None: ...

        assert fetch.enqueue() != send.options(unique=Unique(key="news")).enqueue("anna")

    def test_a_key_may_be_of_any_length(self, send: Any) -> None:
        long = "x" * 500
        assert send.options(unique=Unique(key=long)).enqueue("a") == send.options(unique=Unique(key=long)).enqueue("b")
        assert send.options(unique=Unique(key=f"{long}y")).enqueue("a").info().state is State.PENDING

    def test_a_task_s_own_rule_can_be_left_out_for_one_call(self, fail: Any) -> None:
        assert fail.enqueue() == fail.enqueue()
        assert fail.options(unique=None).enqueue() != fail.enqueue()

    def test_calls_by_name_are_the_same_as_calls_of_the_task(self, app: Longshore, send: Any, target: Any) -> None:
        job = send.options(unique=Unique()).enqueue("anna")
        elsewhere = Longshore(target)
        call = elsewhere.call_by_name("send", {"to": "anna"}, options=Options(unique=Unique()))
        assert elsewhere.enqueue(call).id == job.id
        assert app.enqueue(app.call_by_name("send", {"to": "anna"}, options=Options(unique=Unique()))) == job
        elsewhere.close()

    def test_within_one_bulk_too(self, app: Longshore, send: Any) -> None:
        unique = send.options(unique=Unique())
        one, other, again = app.enqueue_many([unique.call("a"), unique.call("b"), unique.call("a")])
        assert (one == again, one == other) == (True, False)

    @pytest.mark.parametrize("names", [("nobody",), ("to", "nobody")])
    def test_a_name_that_is_no_argument_s_is_refused(self, app: Longshore, send: Any, names: tuple[str, ...]) -> None:
        with pytest.raises(InvalidValue, match="no parameter nobody"):
            send.options(unique=Unique(by=names)).call("anna")
        with pytest.raises(InvalidValue, match="no argument nobody"):
            app.call_by_name("elsewhere", {"to": 1}, options=Options(unique=Unique(by=names)))


class TestHowLong:
    def test_until_it_begins_to_run(self, app: Longshore, send: Any) -> None:
        unique = send.options(unique=Unique(until="start"))
        job = unique.enqueue("anna")
        app.store.claim([Claim(("default",))], holder="anna", limit=1)
        assert unique.enqueue("anna") != job

    def test_until_it_has_ended(self, app: Longshore, send: Any) -> None:
        unique = send.options(unique=Unique())
        job = unique.enqueue("anna")
        app.store.claim([Claim(("default",))], holder="anna", limit=1)
        assert unique.enqueue("anna") == job
        app.store.update([])
        other = send.options(unique=Unique()).enqueue("bob")
        work(app)
        assert unique.enqueue("bob") != other

    def test_for_a_period_whatever_becomes_of_it(self, app: Longshore, send: Any, clock: ManualClock) -> None:
        unique = send.options(unique=Unique(until=timedelta(minutes=1)))
        job = unique.enqueue("anna")
        work(app)
        clock.advance(59)
        assert unique.enqueue("anna") == job
        clock.advance(1)
        assert unique.enqueue("anna") != job

    def test_a_job_that_is_retried_does_not_take_it_again(self, app: Longshore, fail: Any) -> None:
        job = fail.enqueue()
        work(app)
        assert job.info().shown_as == "retrying"
        assert fail.enqueue() != job


class TestSkipAndRaise:
    def test_skipping_gives_the_handle_of_the_other_which_is_as_it_was(self, app: Longshore, send: Any) -> None:
        job = send.options(unique=Unique(by=("to",))).enqueue("anna", "one")
        assert send.options(priority=5, unique=Unique(by=("to",))).enqueue("anna", "two") == job
        work(app)
        assert job.result() == ["anna", "one"]

    def test_raising_names_the_other(self, app: Longshore, send: Any) -> None:
        unique = send.options(unique=Unique(if_held="raise"))
        job = unique.enqueue("anna")
        with pytest.raises(UniqueConflict, match=f"{job.id} does") as caught:
            unique.enqueue("anna")
        assert caught.value.held_by == job.id

    def test_in_a_bulk_the_others_are_stored(self, app: Longshore, send: Any) -> None:
        unique = send.options(unique=Unique(if_held="raise"))
        with pytest.raises(UniqueConflict):
            app.enqueue_many([unique.call("a"), unique.call("a"), unique.call("b")])
        assert stored(app) == 2


class TestReplace:
    @pytest.fixture
    def latest(self, send: Any) -> Any:
        return send.options(unique=Unique(by=("to",), if_held="replace"))

    def test_the_waiting_job_gets_the_new_arguments_under_its_own_id(self, app: Longshore, latest: Any) -> None:
        job = latest.enqueue("anna", "one")
        assert latest.enqueue("anna", "two") == job
        assert stored(app) == 1
        work(app)
        assert job.result() == ["anna", "two"]

    def test_and_the_new_options(self, app: Longshore, send: Any, clock: ManualClock) -> None:
        unique = Unique(key="k", if_held="replace")
        job = send.options(unique=unique, notes={"a": 1, "b": 1}, delay=60, expires=90).enqueue("anna")
        clock.advance(10)
        send.options(
            unique=unique, notes={"b": 2}, queue="other", priority=7, delay=5, expires=30, max_attempts=9
        ).enqueue("bob")
        info = job.info()
        assert (info.queue, info.priority, info.max_attempts, info.notes) == ("other", 7, 9, {"b": 2})
        now = datetime.fromtimestamp(clock() / 1e6, UTC)
        assert (info.due, info.expires) == (now + timedelta(seconds=5), now + timedelta(seconds=30))
        send.options(unique=unique, at=now + timedelta(hours=1)).enqueue("bob")
        info = job.info()
        assert (info.due, info.expires) == (now + timedelta(hours=1), None)

    def test_once_it_runs_until_start_another_is_stored(self, app: Longshore, send: Any) -> None:
        latest = send.options(unique=Unique(by=("to",), until="start", if_held="replace"))
        job = latest.enqueue("anna", "one")
        app.store.claim([Claim(("default",))], holder="anna", limit=1)
        assert latest.enqueue("anna", "two") != job

    @pytest.mark.parametrize("to", [State.RUNNING, State.PENDING], ids=["it runs", "it is tried again"])
    def test_one_that_begins_while_it_is_looked_at_is_left(
        self, app: Longshore, send: Any, monkeypatch: pytest.MonkeyPatch, to: State
    ) -> None:
        latest = send.options(unique=Unique(by=("to",), until="start", if_held="replace"))
        job = latest.enqueue("anna", "one")
        select = app.store.select

        def begins_meanwhile(*where: Any, **rest: Any) -> Any:
            page = select(*where, **rest)
            app.store.claim([Claim(id=job.id)], holder="anna", limit=1)
            app.store.update([Change(job.id, to)])
            return page

        monkeypatch.setattr(app.store, "select", begins_meanwhile)
        other = latest.enqueue("anna", "two")
        monkeypatch.undo()
        assert other != job
        payloads = {each.id: each.payload for each in app.store.each()}
        assert payloads == {job.id: b'{"to":"anna","text":"one"}', other.id: b'{"to":"anna","text":"two"}'}

    @pytest.mark.parametrize("reserve", [True, False])
    def test_one_that_has_begun_is_left_and_named(self, app: Longshore, latest: Any, reserve: bool) -> None:
        job = latest.enqueue("anna", "one")
        app.store.claim([Claim(("default",), reserve=reserve)], holder="anna", limit=1)
        with pytest.raises(UniqueConflict, match=f"expected {job.id} to wait.* it is (running|reserved)"):
            latest.enqueue("anna", "two")

    def test_the_call_that_was_replaced_is_known_when_its_insert_is_repeated(
        self, app: Longshore, send: Any, latest: Any
    ) -> None:
        first = send.options(id="mine", unique=Unique(by=("to",), if_held="replace"))
        first.enqueue("anna", "one")
        latest.enqueue("anna", "two")
        assert first.enqueue("anna", "one").id == "mine"
        work(app)
        assert app.job("mine").result() == ["anna", "two"]

    def test_in_a_bulk_the_last_wins(self, app: Longshore, latest: Any) -> None:
        jobs = app.enqueue_many([latest.call("anna", text) for text in ("one", "two", "three")])
        assert len(set(jobs)) == 1
        work(app)
        assert jobs[0].result() == ["anna", "three"]


class TestDebounce:
    def test_each_call_puts_the_job_off_and_the_last_one_s_arguments_run(
        self, app: Longshore, send: Any, clock: ManualClock
    ) -> None:
        unique = send.options(unique=Debounce(30, by=("to",)))
        jobs = set()
        for text in ("one", "two", "three"):
            jobs.add(unique.enqueue("anna", text))
            assert work(app) == []
            clock.advance(20)
        assert work(app) == []
        clock.advance(10)
        work(app)
        (job,) = jobs
        assert job.result() == ["anna", "three"]

    def test_but_no_longer_than_at_most(self, send: Any, clock: ManualClock) -> None:
        unique = send.options(unique=Debounce(30, at_most=50))
        job = unique.enqueue("anna")
        begun = job.info().created
        clock.advance(25)
        unique.enqueue("anna")
        assert job.info().due == begun + timedelta(seconds=50)
        clock.advance(100)
        unique.enqueue("anna")
        assert job.info().due == begun + timedelta(seconds=50)

    def test_a_call_while_the_job_runs_begins_anew(self, app: Longshore, send: Any, clock: ManualClock) -> None:
        unique = send.options(unique=Debounce(30))
        job = unique.enqueue("anna")
        clock.advance(30)
        app.store.claim([Claim(("default",))], holder="anna", limit=1)
        assert unique.enqueue("anna") != job

    def test_it_has_its_own_delay(self, send: Any) -> None:
        with pytest.raises(InvalidValue, match="neither delay nor at"):
            send.options(unique=Debounce(30), delay=5).enqueue("anna")


class TestThrottle:
    def test_one_job_a_period(self, app: Longshore, send: Any, clock: ManualClock) -> None:
        unique = send.options(unique=Throttle(60, by=("to",)))
        jobs = []
        for second in range(0, 180, 10):
            jobs.append(unique.enqueue("anna", f"at {second}"))
            work(app)
            clock.advance(10)
        assert len(set(jobs)) == stored(app) == 3
        assert [job.result() for job in dict.fromkeys(jobs)] == [["anna", f"at {second}"] for second in (0, 60, 120)]


class TestInATransaction:
    @pytest.fixture
    def target(self, tmp_path: Path) -> Any:
        return fresh_store("sqlite", tmp_path)

    def test_a_key_is_held_from_within_it(self, app: Longshore, send: Any) -> None:
        unique = send.options(unique=Unique())
        with app.transaction() as tx:
            one = app.enqueue(unique.call("anna"), tx=tx)
            assert app.enqueue(unique.call("anna"), tx=tx) == one
        assert stored(app) == 1

    @pytest.mark.parametrize("before", [True, False], ids=["stored before", "stored within"])
    def test_replacing_takes_part_in_it(self, app: Longshore, send: Any, before: bool) -> None:
        latest = send.options(unique=Unique(by=("to",), if_held="replace"))
        if before:
            latest.enqueue("anna", "zero")
        with app.transaction() as tx:
            app.enqueue(latest.call("anna", "one"), tx=tx)
            job = app.enqueue(latest.call("anna", "two"), tx=tx)
        work(app)
        assert (stored(app), job.result()) == (1, ["anna", "two"])


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        (Unique, {"key": ""}),
        (Unique, {"key": "a", "by": ("b",)}),
        (Unique, {"by": "to"}),
        (Unique, {"until": "later"}),
        (Unique, {"until": -1}),
        (Unique, {"until": 60, "if_held": "replace"}),
        (Unique, {"if_held": "forget"}),
        (Debounce, {"wait": -1}),
        (Debounce, {"wait": 60, "at_most": 30}),
        (Throttle, {"every": 0}),
    ],
    ids=str,
)
def test_a_rule_that_makes_no_sense_is_refused(kind: Any, values: dict[str, Any]) -> None:
    with pytest.raises(InvalidValue):
        kind(**values)
