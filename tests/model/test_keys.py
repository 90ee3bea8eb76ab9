"""Jobs of one key: one at a time or a few, in order, whatever becomes of them, and at no cost to others."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from longshore import Job, Longshore, Retry, State
from longshore.contract import Change, Claim, NewJob, Where
from longshore.errors import InvalidValue
from longshore.following import Ended, follow, look
from longshore.following.follower import mend
from longshore.following.sweep import sweep
from longshore.retry import RetryIn
from longshore.testing.clock import ManualClock
from longshore.testing.together import together
from worker.gate import Gate


class Berth:
    """Workers on one store, and tasks that note who was there at the same time."""

    def __init__(self, app: Longshore) -> None:
        self.apps = [app]
        self.log: list[str] = []
        self.most: Counter[str] = Counter()
        self._inside: Counter[str] = Counter()
        self._lock = threading.Lock()
        self.register(app)

    def register(self, app: Longshore) -> None:
        @app.task(retry=Retry(max_attempts=3, delay=0.0))
        def load(key: str, word: str, failures: int = 0) -> None:
            with self._lock:
                self.log.append(word)
                self._inside[key] += 1
                self.most[key] = max(self.most[key], self._inside[key])
            threading.Event().wait(0.001)
            with self._lock:
                self._inside[key] -= 1
                again = self.log.count(word) <= failures
            if again:
                raise ValueError(word)

        self.load = load

    def enqueue(self, key: str, word: str, failures: int = 0, *, turns: int = 1) -> Job[None]:
        task = self.apps[0].tasks["load"]
        return task.options(key=key, turns=turns).enqueue(key, word, failures)

    def another(self) -> Longshore:
        app = Longshore(self.apps[0].store.driver.target)
        self.register(app)
        self.apps.append(app)
        return app


@pytest.fixture
def berth(app: Longshore) -> Iterator[Berth]:
    berth = Berth(app)
    yield berth
    for other in berth.apps[1:]:
        other.close()


@pytest.fixture
def gate() -> Iterator[Gate]:
    gate = Gate()
    yield gate
    gate.open()


def state(app: Longshore, name: str) -> State:
    return app.job(name).info().state


class TestOrder:
    def test_one_key_runs_one_at_a_time_in_order_across_workers_and_retries(self, berth: Berth) -> None:
        keys = ("one", "two", "three")
        jobs = [berth.enqueue(key, f"{key} {number:02}", number % 3) for number in range(10) for key in keys]
        with ExitStack() as workers:
            for app in (berth.apps[0], berth.another(), berth.another()):
                workers.enter_context(app.worker(slots=4))
            assert [job.wait(timeout=30).state for job in jobs] == [State.SUCCEEDED] * 30
        assert berth.most == dict.fromkeys(keys, 1)
        for key in keys:
            ran = [word for word in berth.log if word.startswith(key)]
            assert ran == sorted(ran), "a retried job keeps its turn, and nothing overtakes it"
            assert len(ran) == 10 + 9, "each ran as often as it was to"

    def test_a_key_may_have_several_turns(self, app: Longshore, gate: Gate) -> None:
        gate.serve(app)
        task = app.tasks["stop"]
        jobs = [task.options(key="k", turns=3).enqueue(word) for word in "abcdef"]
        assert [job.info().state for job in jobs] == [State.PENDING] * 3 + [State.WAITING] * 3
        with app.worker(slots=8):
            assert {gate.arrived() for _ in range(3)} == set("abc")
            assert gate.nobody_arrives(0.2)
            gate.open()
            assert {gate.arrived() for _ in range(3)} == set("def")
            assert [job.wait(timeout=30).state for job in jobs] == [State.SUCCEEDED] * 6

    def test_turns_of_a_key_that_were_left_at_once_are_all_given_on(self, timed: Longshore, clock: ManualClock) -> None:
        timed.store.insert([NewJob(name, "default", "load", b"{}", key="k", turns=3) for name in "abcdefg"])
        timed.store.update([Change(name, State.CANCELLED) for name in "abc"])
        clock.advance(1)
        mend(timed.store)
        assert [state(timed, name) for name in "defg"] == [State.PENDING] * 3 + [State.WAITING]

    def test_a_job_that_is_put_off_keeps_its_turn(self, timed: Longshore, clock: ManualClock) -> None:
        log: list[str] = []

        @timed.task
        def load(word: str) -> None:
            log.append(word)
            if log == ["first"]:
                raise RetryIn(60, "not yet")

        for word in ("first", "second"):
            load.options(key="k").enqueue(word)
        timed.worker().run(until_empty=True)
        assert log == ["first"]
        clock.advance(60)
        timed.worker().run(until_empty=True)
        assert log == ["first", "first", "second"]

    def test_the_first_of_a_key_that_waits_for_its_parents_holds_up_those_behind_it(self, app: Longshore) -> None:
        @app.task
        def load(word: str) -> None: ...

        parent = load.options(delay=600).enqueue("parent")
        head = load.options(key="k", after=parent).enqueue("head")
        second = load.options(key="k").enqueue("second")
        assert [job.info().state for job in (head, second)] == [State.WAITING] * 2
        app.admin.run_here(parent.id)
        assert [job.info().state for job in (head, second)] == [State.PENDING, State.WAITING]

    def test_a_head_that_is_cancelled_lets_the_next_come(self, app: Longshore) -> None:
        @app.task
        def load(word: str) -> None: ...

        parent = load.options(delay=600).enqueue("parent")
        head, second, third = (load.options(key="k", after=after).enqueue("x") for after in (parent, (), parent))
        app.admin.cancel(head.id)
        assert second.info().state is State.PENDING
        app.admin.cancel(parent.id)
        assert [job.info().state for job in (second, third)] == [State.PENDING, State.CANCELLED]

    def test_a_removed_holder_lets_the_next_come(self, berth: Berth) -> None:
        jobs = [berth.enqueue("k", word) for word in "ab"]
        berth.apps[0].admin.remove(jobs[0].id)
        assert jobs[1].info().state is State.PENDING

    @pytest.mark.parametrize("turns", [0, 1_001])
    def test_turns_are_between_one_and_a_thousand(self, berth: Berth, turns: int) -> None:
        with pytest.raises(InvalidValue, match="turns must be between 1 and 1,000"):
            berth.load.options(key="k", turns=turns)
        with pytest.raises(InvalidValue, match="give key too"):
            berth.load.options(turns=2)


class TestManualRetry:
    def test_takes_a_free_turn(self, berth: Berth) -> None:
        app = berth.apps[0]
        ended = berth.enqueue("k", "ended")
        app.worker().run(until_empty=True)
        app.admin.retry(ended.id)
        assert ended.info().state is State.PENDING
        waiting = berth.enqueue("k", "next")
        assert waiting.info().state is State.WAITING, "the turn is taken"

    def test_waits_before_the_younger_ones_while_all_are_taken(self, berth: Berth) -> None:
        app = berth.apps[0]
        ended = berth.enqueue("k", "ended")
        app.worker().run(until_empty=True)
        holder, younger = berth.enqueue("k", "holder"), berth.enqueue("k", "younger")
        app.admin.retry(ended.id)
        assert [job.info().state for job in (ended, holder, younger)] == [State.WAITING, State.PENDING, State.WAITING]
        app.worker().run(until_empty=True)
        assert berth.log == ["ended", "holder", "ended", "younger"]
        assert berth.most == {"k": 1}

    def test_of_the_one_whose_turn_it_is_changes_nothing_of_that(self, berth: Berth) -> None:
        app = berth.apps[0]
        holder, other = berth.enqueue("k", "holder"), berth.enqueue("k", "other")
        app.admin.retry(holder.id)
        assert [job.info().state for job in (holder, other)] == [State.PENDING, State.WAITING]

    def test_a_new_job_in_place_of_a_failed_one_has_its_key(self, app: Longshore) -> None:
        @app.task(retry=Retry(max_attempts=1))
        def load() -> None:
            raise ValueError

        failed = load.options(key="k").enqueue()
        app.worker().run(until_empty=True)
        load.options(key="k", delay=60).enqueue()
        (fate,) = app.admin.enqueue_failed(failed.id)
        assert fate.new_id is not None
        assert (app.job(fate.new_id).info().key, state(app, fate.new_id)) == ("k", State.WAITING)


class TestCost:
    @pytest.mark.parametrize("many", [50, 3_000])
    def test_jobs_of_one_key_cost_the_claim_of_others_nothing(self, app: Longshore, many: int) -> None:
        app.store.insert([NewJob(f"{n:05}", "default", "load", b"{}", key="busy", priority=9) for n in range(many)])
        app.store.insert([NewJob(f"other {n}", "default", "load", b"{}", key=f"other {n}") for n in range(20)])
        examined = app.store.driver.examined()
        claimed = app.store.claim([Claim(("default",))], holder="h", limit=100)
        assert {job.key for job in claimed.jobs} == {"busy", *(f"other {n}" for n in range(20))}, "nobody starves"
        if examined is not None:
            now = app.store.driver.examined()
            assert now is not None
            # On SQLite steps of the virtual machine are counted, several hundred for each job that is taken.
            assert now - examined < 30_000, f"{now - examined} for 21 jobs beside {many}"

    @pytest.mark.parametrize("many", [50, 3_000])
    def test_the_next_of_a_long_line_is_found_at_once(self, app: Longshore, many: int) -> None:
        app.store.insert([NewJob(f"{n:05}", "default", "load", b"{}", key="busy") for n in range(many)])
        app.store.update([Change("00000", State.SUCCEEDED)])
        examined = app.store.driver.examined()
        mend_now(app)
        assert state(app, "00001") is State.PENDING
        if examined is not None and "sqlite" in str(app.store.driver.target):
            now = app.store.driver.examined()
            assert now is not None
            assert now - examined < 10_000, f"{now - examined} to find the first of {many}"


def mend_now(app: Longshore) -> None:
    """What upkeep does, for ends that are as young as those of a test."""
    follow(app.store, [Ended("00000", State.SUCCEEDED, True, None, "busy")])


@pytest.mark.every_engine
class TestCrashes:
    @pytest.fixture
    def line(self, timed: Longshore) -> Longshore:
        timed.store.insert([NewJob(name, "default", "load", b"{}", key="k") for name in "abc"])
        return timed

    def test_a_turn_that_its_holder_did_not_give_on_is_given_by_upkeep(
        self, line: Longshore, clock: ManualClock
    ) -> None:
        assert line.store.update([Change("a", State.SUCCEEDED)])[0].releases
        clock.advance(1)
        mend(line.store)
        assert [state(line, name) for name in "abc"] == [State.SUCCEEDED, State.PENDING, State.WAITING]
        assert line.store.select(Where(releases=True)).jobs == []

    def test_who_was_made_to_wait_while_the_turn_was_left_looks_again(self, line: Longshore) -> None:
        line.store.update([Change("a", State.SUCCEEDED, {"releases": False})])
        assert look(line.store, ["c"]) == {"default"}
        assert [state(line, name) for name in "bc"] == [State.PENDING, State.WAITING], (
            "the first of the line, not who looks"
        )

    def test_what_nobody_saw_the_sweep_finds(self, line: Longshore) -> None:
        line.store.update([Change("a", State.SUCCEEDED, {"releases": False})])
        sweep(line.store)
        assert [state(line, name) for name in "bc"] == [State.PENDING, State.WAITING]

    def test_a_head_that_somebody_ended_and_did_not_follow_is_passed_over_by_the_sweep(self, timed: Longshore) -> None:
        timed.store.insert([NewJob("parent", "default", "load", b"{}")])
        head = NewJob("head", "default", "load", b"{}", key="k", parents=("parent",), waiting=True)
        timed.store.insert([head, NewJob("next", "default", "load", b"{}", key="k")])
        timed.store.update([Change("head", State.CANCELLED)])
        assert state(timed, "next") is State.WAITING
        sweep(timed.store)
        assert state(timed, "next") is State.PENDING

    def test_many_who_give_on_the_same_turn_give_it_once(self, line: Longshore) -> None:
        line.store.update([Change("a", State.SUCCEEDED)])
        end = Ended("a", State.SUCCEEDED, True, None, "k", 0)
        together(*[lambda: follow(line.store, [end])] * 4)
        assert [state(line, name) for name in "abc"] == [State.SUCCEEDED, State.PENDING, State.WAITING]
