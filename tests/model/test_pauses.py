"""Queues that are paused: nothing of theirs begins, what runs goes on, and it lasts."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from longshore import Longshore, State
from worker.faulty import FaultyApp
from worker.gate import PATIENCE, Gate, say, stop

NEVER = 60.0


@pytest.fixture
def gate() -> Iterator[Gate]:
    gate = Gate()
    yield gate
    gate.open()


@pytest.fixture
def app(target: Any, gate: Gate) -> Iterator[FaultyApp]:
    with FaultyApp(target) as app:
        gate.serve(app)
        yield app


def test_pausing_says_what_it_changed_and_since_when_queues_are_paused(app: Longshore) -> None:
    before = app.store.now()
    assert app.admin.pause_queue("mail") == ("mail",)
    assert app.admin.pause_queue(["mail", "print"]) == ("print",)
    assert [each.queue for each in app.admin.paused_queues()] == ["mail", "print"]
    assert app.admin.paused_queues()[0].since.timestamp() >= before // 1_000_000
    assert app.admin.resume_queue(["mail", "other"]) == ("mail",)
    assert [each.queue for each in app.admin.paused_queues()] == ["print"]


def test_what_runs_goes_on_and_nothing_new_begins_until_it_is_resumed(app: FaultyApp, gate: Gate) -> None:
    other = app.task_named("say").options(queue="other")
    with app.worker(slots=2, poll=NEVER, heartbeat=20, queues=["default", "other"], drain=0) as worker:
        running = app.enqueue(stop(app, "runs"))
        assert gate.arrived() == "runs"
        app.admin.pause_queue("default")
        # The worker is told; it reads the limits, then the pauses.
        app.line.await_calls("read", app.line.calls["read"] + 2)
        waiting = app.enqueue(say(app, "waits"))
        other.enqueue(word="other")
        assert gate.arrived() == "other"
        assert gate.nobody_arrives(within=0.2)
        assert [info.paused for info in app.admin.workers() if info.name == worker.holder] == [("default",)]
        gate.open()
        assert running.wait(timeout=PATIENCE).state is State.SUCCEEDED
        assert gate.nobody_arrives(within=0.1)
        app.admin.resume_queue("default")
        assert gate.arrived(within=5.0) == "waits", "at once, not when it looks again"
        assert waiting.wait(timeout=PATIENCE).attempt == 1


def test_a_pause_lasts_over_restarts(app: FaultyApp, gate: Gate) -> None:
    app.admin.pause_queue("default")
    job = app.enqueue(say(app, "waits"))
    assert app.worker().run(until_empty=True).succeeded == 0
    assert job.info().state is State.PENDING
    app.admin.resume_queue("default")
    app.worker().run(until_empty=True)
    assert gate.said() == ["waits"]


def test_what_was_taken_ahead_is_handed_back_with_its_attempt(app: FaultyApp, gate: Gate) -> None:
    @app.task
    def work(word: str) -> None:
        if word == "on":
            gate.stop_here(word)

    with app.worker(slots=1, poll=NEVER, hold=NEVER, prefetch=NEVER, drain=0):
        for job in app.enqueue_many([work.call("quick")] * 50):
            job.wait(timeout=PATIENCE)
        first, *ahead = app.enqueue_many([work.call("on"), *[work.call("ahead")] * 5])
        assert gate.arrived() == "on"
        while {job.info().state for job in ahead} != {State.RUNNING}:
            assert gate.nobody_arrives(within=0.01)
        app.admin.pause_queue("default")
        while {job.info().state for job in ahead} != {State.PENDING}:
            assert gate.nobody_arrives(within=0.01)
        assert {job.info().attempt for job in ahead} == {0}
        gate.open()
        assert first.wait(timeout=PATIENCE).state is State.SUCCEEDED


def test_without_a_wake_up_it_is_paused_at_the_next_heartbeat(app: FaultyApp, gate: Gate) -> None:
    with app.worker(slots=1, poll=NEVER, heartbeat=0.3, lease=3):
        app.line.await_calls("read", 6)
        app.store.wake = lambda topics: None  # type: ignore[method-assign]
        app.admin.pause_queue("default")
        del app.store.wake
        app.line.await_calls("read", app.line.calls["read"] + 15)
        app.enqueue(say(app, "waits"))
        assert gate.nobody_arrives(within=0.2)
