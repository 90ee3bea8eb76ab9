"""Limits on how many run at a time, for all processes together: never exceeded, shared out, and cheap."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from longshore import Longshore, State
from longshore.errors import ConfigurationError, InvalidValue
from longshore.holders import end_lease
from longshore.limits.stored import lapsed_shares
from longshore.worker.settings import WorkerSettings
from model.crew import Stay, await_stay, most_at_a_time, processes, quiet, stays
from worker.faulty import FaultyApp
from worker.gate import PATIENCE, Gate, say, stop

pytestmark = pytest.mark.timed

NEVER = 60.0


@pytest.fixture
def gate() -> Iterator[Gate]:
    gate = Gate()
    yield gate
    gate.open()


@pytest.fixture
def app(target: Any) -> Iterator[FaultyApp]:
    with FaultyApp(target) as app:
        yield app


@pytest.fixture
def another(app: FaultyApp) -> Iterator[FaultyApp]:
    """A second application on the same store, as in another process."""
    with FaultyApp(app.store.driver.target) as another:
        yield another


class TestAdmin:
    def test_a_limit_is_set_changed_listed_and_removed(self, app: Longshore) -> None:
        app.admin.limit(queue="mail", running=5, rate=(100, 60.0), burst=20)
        app.admin.limit(task="send", running=2)
        app.admin.limit(queue="mail", running=3)
        mail, send = app.admin.limits()
        assert (mail.queue, mail.task, mail.running, mail.rate, mail.burst) == ("mail", None, 3, None, None)
        assert (send.queue, send.task, send.running, send.taken, send.waiting) == (None, "send", 2, 0, 0)
        assert app.admin.remove_limit(queue="mail")
        assert not app.admin.remove_limit(queue="mail")
        assert [limit.task for limit in app.admin.limits()] == ["send"]

    def test_a_rate_has_a_tenth_as_its_burst_unless_it_is_said(self, app: Longshore) -> None:
        app.admin.limit(task="send", rate=(100, 60.0))
        app.admin.limit(task="call", rate=(5, 1.0))
        assert [(limit.rate, limit.burst) for limit in app.admin.limits()] == [((5, 1.0), 1), ((100, 60.0), 10)]

    @pytest.mark.parametrize(
        ("given", "said"),
        [
            ({"running": 1}, "give one of both"),
            ({"queue": "a", "task": "b", "running": 1}, "give one of both"),
            ({"queue": "", "running": 1}, "a queue's name must be 1 to 200 bytes"),
            ({"task": "b" * 201, "running": 1}, "a task's name must be 1 to 200 bytes"),
            ({"queue": "a"}, "needs running="),
            ({"queue": "a", "running": -1}, "running must be 0 or more; it is -1"),
            ({"queue": "a", "running": 1, "burst": 1}, "give rate= with it"),
            ({"queue": "a", "rate": (0, 1)}, "both more than nothing"),
            ({"queue": "a", "rate": (1, 0)}, "both more than nothing"),
            ({"queue": "a", "rate": (1, -1)}, "the period of a rate must be a number of seconds"),
            ({"queue": "a", "rate": (5, 1), "burst": 6}, "burst must be between 1 and the rate's 5; it is 6"),
        ],
        ids=[
            "none",
            "both",
            "empty",
            "long",
            "no limit",
            "negative",
            "burst alone",
            "no jobs",
            "no period",
            "period",
            "burst",
        ],
    )
    def test_what_makes_no_sense_is_refused(self, app: Longshore, given: dict[str, Any], said: str) -> None:
        with pytest.raises(InvalidValue, match=said):
            app.admin.limit(**given)
        assert app.admin.limits() == ()

    def test_names_may_be_as_long_as_those_of_queues(self, app: Longshore) -> None:
        app.admin.limit(queue="é" * 100, running=1)
        assert [limit.queue for limit in app.admin.limits()] == ["é" * 100]


class TestDeclared:
    def test_a_limit_in_code_is_set_by_the_next_worker_and_only_when_the_code_says_something_new(
        self, app: FaultyApp
    ) -> None:
        def deploy(**limit: Any) -> None:
            with FaultyApp(app.store.driver.target) as release:
                if limit:
                    release.limit(queue="mail", **limit)
                release.worker().run(until_empty=True)

        def now() -> list[int | None]:
            return [limit.running for limit in app.admin.limits()]

        deploy(running=5)
        assert now() == [5]
        app.admin.limit(queue="mail", running=2)
        deploy(running=5)
        assert now() == [2], "what the operator said stays"
        app.admin.remove_limit(queue="mail")
        deploy(running=5)
        assert now() == [], "also that there is none"
        deploy(running=6)
        assert now() == [6]
        deploy()
        assert now() == [6]

    def test_it_can_be_declared_once(self, app: FaultyApp) -> None:
        app.limit(task="send", running=1)
        with pytest.raises(ConfigurationError, match="'send' has a task limit already"):
            app.limit(task="send", rate=(1, 1))


class TestRunning:
    @pytest.mark.parametrize("of", [{"queue": "default"}, {"task": "stop"}], ids=["queue", "task"])
    def test_no_more_run_than_allowed_in_all_workers_together(
        self, app: FaultyApp, another: FaultyApp, gate: Gate, of: dict[str, str]
    ) -> None:
        gate.serve(app)
        gate.serve(another)
        app.admin.limit(running=3, **of)
        with app.worker(slots=4, poll=NEVER), another.worker(slots=4, poll=NEVER):
            jobs = app.enqueue_many([stop(app, str(number)) for number in range(8)])
            assert len({gate.arrived() for _ in range(3)}) == 3
            assert gate.nobody_arrives(within=0.3)
            gate.open()
            assert {job.wait(timeout=PATIENCE).state for job in jobs} == {State.SUCCEEDED}
        assert [limit.taken for limit in app.admin.limits()] == [0], "who ends gives its tokens back"

    def test_an_exhausted_limit_stops_no_other_queue_and_no_other_task(self, app: FaultyApp, gate: Gate) -> None:
        gate.serve(app)
        app.admin.limit(queue="full", running=1)
        app.admin.limit(task="stop", running=2)
        blocked = app.task_named("stop").options(queue="full")
        urgent = app.task_named("say").options(queue="full", priority=9)
        with app.worker(slots=5, poll=NEVER, queues=["full", "default"]):
            blocked.enqueue(word="first")
            assert gate.arrived() == "first"
            app.enqueue_many([urgent.call(word="waits") for _ in range(20)])
            app.enqueue(stop(app, "second"))
            assert gate.arrived() == "second"
            app.enqueue_many([stop(app, "third")] * 5 + [say(app, "other")] * 5)
            assert [gate.arrived() for _ in range(5)] == ["other"] * 5
            assert gate.nobody_arrives(within=0.2)
            gate.open()
            left = [gate.arrived() for _ in range(25)]
            assert (left.count("waits"), left.count("third")) == (20, 5)

    def test_who_waits_for_a_token_asks_nothing_until_one_is_freed(
        self, app: FaultyApp, another: FaultyApp, gate: Gate
    ) -> None:
        gate.serve(app)
        gate.serve(another)
        app.admin.limit(task="stop", running=1)
        with app.worker(slots=1, poll=NEVER, heartbeat=20), another.worker(slots=2, poll=NEVER, heartbeat=20):
            app.enqueue_many([stop(app, "first"), stop(app, "second")])
            gate.arrived()
            quiet(app, another)
            before = app.line.calls + another.line.calls
            threading.Event().wait(2.5)  # It is what happens while nothing does that is counted.
            asked = app.line.calls + another.line.calls - before
            assert asked["claim"] + asked["exchange"] == 0, f"nobody looks again and again: {asked}"
            assert asked["read"] + asked["write"] <= 8, f"nobody looks again and again: {asked}"
            gate.open()
            assert gate.arrived(within=5.0) in ("first", "second")

    def test_a_queue_is_not_starved_by_another_worker_that_has_all_tokens_of_a_task(
        self, app: FaultyApp, another: FaultyApp
    ) -> None:
        ran: list[str] = []
        pause = threading.Event()
        for each in (app, another):

            @each.task
            def work(queue: str) -> None:
                ran.append(queue)
                pause.wait(0.02)

        app.admin.limit(task="work", running=1)
        greedy, patient = (app.task_named("work").options(queue=queue) for queue in ("greedy", "patient"))
        app.enqueue_many([greedy.call(queue="greedy") for _ in range(2_000)])
        with app.worker(slots=1, queues=["greedy"], poll=NEVER, drain=0):
            while len(ran) < 3:
                pause.wait(0.01)
            with another.worker(slots=1, queues=["patient"], poll=NEVER, drain=0):
                jobs = app.enqueue_many([patient.call(queue="patient") for _ in range(3)])
                assert [job.wait(timeout=PATIENCE).state for job in jobs] == [State.SUCCEEDED] * 3
            assert len(ran) < 1_000, "the others had to wait for all of them"

    def test_limits_of_queues_and_of_tasks_hold_together(self, app: FaultyApp, gate: Gate) -> None:
        gate.serve(app)
        for queue in "ab":
            app.admin.limit(queue=queue, running=3)
        app.admin.limit(task="stop", running=4)
        stops = [
            app.task_named("stop").options(queue=queue).call(word=f"stop {queue}") for queue in "abc" for _ in range(6)
        ]
        says = [
            app.task_named("say").options(queue=queue).call(word=f"say {queue}") for queue in "abc" for _ in range(6)
        ]
        with app.worker(slots=12, poll=NEVER, queues=["a", "b", "c"], limits={"say": 2}):
            jobs = app.enqueue_many([*stops, *says])
            arrived = [str(gate.arrived()) for _ in range(4 + 6)]
            while not gate.nobody_arrives(within=0.3):
                arrived.append("more")
            on = [word for word in arrived if word.startswith("stop")]
            assert len(on) == 4
            assert max(on.count("stop a"), on.count("stop b")) <= 3
            gate.open()
            assert {job.wait(timeout=PATIENCE).state for job in jobs} == {State.SUCCEEDED}

    def test_a_limit_of_none_lets_nothing_begin(self, app: FaultyApp, gate: Gate) -> None:
        gate.serve(app)
        app.admin.limit(task="say", running=0)
        job = app.enqueue(say(app, "never"))
        assert app.worker().run(until_empty=True).succeeded == 0
        assert job.info().state is State.PENDING


class TestChanging:
    def test_a_limit_that_is_set_is_in_force_within_moments(self, app: FaultyApp, gate: Gate) -> None:
        gate.serve(app)
        with app.worker(slots=5, poll=NEVER, heartbeat=20, drain=0):
            app.enqueue_many([stop(app, "before")] * 4)
            assert [gate.arrived() for _ in range(4)] == ["before"] * 4
            app.admin.limit(task="stop", running=2)
            await_taken(app, 4)
            app.enqueue_many([stop(app, "after")] * 2)
            assert gate.nobody_arrives(within=0.3), "those that ran count"
            app.admin.limit(task="stop", running=5)
            assert gate.arrived() == "after"
            assert gate.nobody_arrives(within=0.2), "the slots are taken"

    def test_a_limit_that_was_lowered_lets_nothing_begin_before_fewer_run(self, app: FaultyApp, gate: Gate) -> None:
        ends = [threading.Event() for _ in range(6)]

        @app.task
        def hold(number: int) -> None:
            gate.say(number)
            ends[number].wait(PATIENCE)

        with app.worker(slots=5, poll=NEVER, heartbeat=20, drain=0):
            jobs = app.enqueue_many([hold.call(number) for number in range(4)])
            assert {gate.arrived() for _ in range(4)} == {0, 1, 2, 3}
            app.admin.limit(task="hold", running=2)
            await_taken(app, 4)
            jobs += app.enqueue_many([hold.call(4), hold.call(5)])
            for number in (0, 1):
                ends[number].set()
                assert jobs[number].wait(timeout=PATIENCE).state is State.SUCCEEDED
                assert gate.nobody_arrives(within=0.2), "two are allowed, and two or more run"
            ends[2].set()
            assert gate.arrived() in (4, 5)
            assert gate.nobody_arrives(within=0.2)
            for end in ends:
                end.set()

    def test_what_was_taken_ahead_and_has_not_begun_is_handed_back(self, app: FaultyApp, gate: Gate) -> None:
        @app.task
        def work(word: str) -> None:
            if word == "on":
                gate.stop_here(word)

        with app.worker(slots=1, poll=NEVER, hold=NEVER, prefetch=NEVER, drain=0):
            for job in app.enqueue_many([work.call("quick")] * 50):
                job.wait(timeout=PATIENCE)
            first, *ahead = app.enqueue_many([work.call("on"), *[work.call("ahead")] * 20])
            assert gate.arrived() == "on"
            await_state(ahead, State.RUNNING)
            app.admin.limit(task="work", running=1)
            await_state(ahead, State.PENDING)
            assert {job.info().attempt for job in ahead} == {0}
            gate.open()
            assert {job.wait(timeout=PATIENCE).state for job in (first, *ahead)} == {State.SUCCEEDED}

    def test_without_a_wake_up_it_is_in_force_at_the_next_heartbeat(self, app: FaultyApp, gate: Gate) -> None:
        gate.serve(app)
        with app.worker(slots=5, poll=NEVER, heartbeat=0.3, lease=3, drain=0):
            app.line.await_calls("read", 6)
            app.store.wake = lambda topics: None  # type: ignore[method-assign]
            app.admin.limit(task="stop", running=1)
            del app.store.wake
            seen = app.line.calls["read"]
            app.line.await_calls("read", seen + 10)
            app.enqueue_many([stop(app, "one")] * 3)
            assert gate.arrived() == "one"
            assert gate.nobody_arrives(within=0.2)


class TestDying:
    def test_a_share_ends_with_the_lease_of_its_holder(self, app: FaultyApp, another: FaultyApp, gate: Gate) -> None:
        gate.serve(app)
        gate.serve(another)
        app.admin.limit(task="stop", running=1)
        lease = {"lease": 1.2, "heartbeat": 0.3, "poll": NEVER}
        with app.worker(slots=1, drain=0, grace=0.1, **lease), ExitStack() as stack:
            app.enqueue(stop(app, "first"))
            assert gate.arrived() == "first"
            stack.enter_context(another.worker(slots=1, drain=0, grace=0.1, **lease))
            app.enqueue(stop(app, "second"))
            assert gate.nobody_arrives(within=0.5)
            app.line.go_down()
            assert gate.arrived() in ("first", "second")
            app.line.mend()

    def test_the_shares_of_the_dead_are_found_and_struck(self, app: FaultyApp, gate: Gate) -> None:
        gate.serve(app)
        app.admin.limit(task="stop", running=1)
        worker = app.worker(slots=1, poll=NEVER, lease=1.2, heartbeat=0.3, drain=0, grace=0.1)
        worker.start()
        app.enqueue(stop(app, "first"))
        gate.arrived()
        assert lapsed_shares(app.store, [app.store], "") == set()
        app.line.go_down()
        end_lease(app.store, worker.holder)
        assert lapsed_shares(app.store, [app.store], "") == {worker.holder}
        with FaultyApp(app.store.driver.target) as other:
            gate.serve(other)
            with other.worker(slots=1, poll=NEVER, lease=1.2, heartbeat=0.3, drain=0, grace=0.1):
                assert gate.arrived() == "first"
                (limit,) = app.admin.limits()
                assert (limit.taken, limit.waiting) == (1, 0)
        app.line.mend()
        worker.stop(drain=0)


@pytest.mark.slow
def test_never_more_than_allowed_under_four_processes_one_of_which_is_killed(
    shared_target: str, tmp_path: Path
) -> None:
    log = str(tmp_path / "log")
    settings = WorkerSettings(slots=3, lease=1.5, heartbeat=0.4, poll=NEVER, drain=0, grace=0.5)
    with Longshore(shared_target) as app:
        app.admin.limit(task="moor", running=4)
        arguments = [{"log": log, "number": number, "seconds": 0.03} for number in range(160)]
        arguments[20]["seconds"] = arguments[21]["seconds"] = 30.0
        jobs = app.enqueue_many([app.call_by_name("moor", each) for each in arguments])
        with processes(shared_target, settings, 4) as children:
            victim = await_stay(log, lambda run: run.ended == float("inf") and time.monotonic() - run.began > 0.5)
            child = next(child for child in children if child.process.pid == victim.pid)
            child.signal(signal.SIGKILL)
            child.process.wait()
            killed = time.monotonic()
            for number, job in enumerate(jobs):
                if number not in (20, 21):
                    assert job.wait(timeout=PATIENCE).state is State.SUCCEEDED
            runs = stays(log)
    on = [Stay(run.pid, run.began, min(run.ended, killed) if run.pid == victim.pid else run.ended) for run in runs]
    assert most_at_a_time(on) <= 4
    assert len({run.pid for run in runs}) >= 3, "the others took part"


def await_taken(app: Longshore, number: int) -> None:
    """Waits until workers have so many tokens of the one limit."""
    pause, ends = threading.Event(), time.monotonic() + PATIENCE
    while (taken := app.admin.limits()[0].taken) != number:
        assert time.monotonic() < ends, f"expected {number} tokens to be taken; {taken} are"
        pause.wait(0.01)


def await_state(jobs: list[Any], state: State) -> None:
    """Waits until all jobs are in the state."""
    pause, ends = threading.Event(), time.monotonic() + PATIENCE
    while {job.info().state for job in jobs} != {state}:
        assert time.monotonic() < ends, f"expected all to be {state.name}"
        pause.wait(0.01)
