"""Spare slots: with all others taken, urgent jobs run all the same."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from longshore import Longshore, State
from longshore.errors import ConfigurationError
from longshore.worker.line import Line
from longshore.worker.settings import WorkerSettings
from worker.gate import PATIENCE, Gate, stop

NEVER = 60.0


@pytest.fixture
def gate() -> Iterator[Gate]:
    gate = Gate()
    yield gate
    gate.open()


@pytest.fixture
def app(target: Any, gate: Gate) -> Iterator[Longshore]:
    with Longshore(target) as app:
        gate.serve(app)
        yield app


def test_with_all_slots_full_of_long_jobs_urgent_ones_begin(app: Longshore, gate: Gate) -> None:
    urgent = app.task_named("stop").options(priority=5)
    with app.worker(slots=2, spare=2, spare_priority=5, poll=NEVER, heartbeat=20):
        app.enqueue_many([stop(app, "long")] * 4)
        assert [gate.arrived(), gate.arrived()] == ["long"] * 2
        waits = app.task_named("stop").options(priority=4).enqueue(word="not urgent enough")
        assert gate.nobody_arrives(within=0.2)
        app.enqueue_many([urgent.call(word=f"urgent {number}") for number in range(3)])
        assert {gate.arrived(), gate.arrived()} == {"urgent 0", "urgent 1"}
        assert gate.nobody_arrives(within=0.2), "there are two spare slots and no third"
        assert {job.id for job in app.store.each() if job.id == waits.id and job.generation}.isdisjoint({waits.id})
        gate.open()
        assert gate.arrived() == "urgent 2"


def test_async_tasks_have_spare_slots_too(app: Longshore, gate: Gate) -> None:
    async def wait(word: str) -> None:
        gate.say(word)
        await asyncio.to_thread(ended.wait)

    ended, task = threading.Event(), app.task(wait)
    with app.worker(slots=2, spare=1, poll=NEVER, heartbeat=20):
        jobs = app.enqueue_many([task.call("long")] * 3)
        assert [gate.arrived(), gate.arrived()] == ["long"] * 2
        jobs += app.enqueue_many([task.options(priority=1).call("urgent")] * 2)
        assert gate.arrived() == "urgent"
        assert gate.nobody_arrives(within=0.2)
        ended.set()
        assert {job.wait(timeout=PATIENCE).state for job in jobs} == {State.SUCCEEDED}


def test_nothing_is_taken_ahead_for_spare_slots(app: Longshore, gate: Gate) -> None:
    @app.task
    def work(word: str) -> None:
        if word == "long":
            gate.stop_here(word)

    with app.worker(slots=1, spare=1, poll=NEVER, heartbeat=20, hold=NEVER, prefetch=NEVER, drain=0):
        for job in app.enqueue_many([work.call("quick")] * 50):
            job.wait(timeout=PATIENCE)
        app.enqueue_many([work.call("long"), *[work.call("ahead")] * 20])
        assert gate.arrived() == "long"
        ahead = [job for job in app.store.each() if job.state is State.RUNNING]
        urgent = app.enqueue_many([work.options(priority=9).call("urgent")] * 3)
        assert {job.wait(timeout=PATIENCE).state for job in urgent} == {State.SUCCEEDED}, "before those taken ahead"
        states = [app.job(job.id).info().state for job in ahead]
        assert states.count(State.SUCCEEDED) == 0, "no spare slot runs what is not urgent"
        assert len(ahead) > 1, "nothing was taken ahead, so this test shows nothing"


def test_spare_slots_are_counted_with_the_limits(app: Longshore, gate: Gate) -> None:
    app.admin.limit(task="stop", running=2)
    urgent = app.task_named("stop").options(priority=5)
    with app.worker(slots=1, spare=3, poll=NEVER, heartbeat=20):
        app.enqueue(stop(app, "long"))
        assert gate.arrived() == "long"
        app.enqueue_many([urgent.call(word="urgent")] * 3)
        assert gate.arrived() == "urgent"
        assert gate.nobody_arrives(within=0.2)
        gate.open()


def test_without_spare_slots_urgent_jobs_wait(app: Longshore, gate: Gate) -> None:
    with app.worker(slots=1, poll=NEVER, heartbeat=20):
        app.enqueue(stop(app, "long"))
        assert gate.arrived() == "long"
        app.task_named("say").options(priority=99).enqueue(word="urgent")
        assert gate.nobody_arrives(within=0.2)
        gate.open()
        assert gate.arrived() == "urgent"


def test_a_job_that_is_not_urgent_leaves_the_spare_slots_free() -> None:
    line = Line(2, lambda run: run == "urgent")
    line.extend(["first", "urgent", "second"])  # type: ignore[list-item]
    assert line.first(3) == "urgent"
    line.begin_first()
    assert (line.first(3), line.first(2), line.spare_room(2)) == ("first", None, 2)


def test_a_number_that_makes_no_sense_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="spare is how many jobs run beyond slots, 0 or more; it is -1"):
        WorkerSettings(spare=-1)
