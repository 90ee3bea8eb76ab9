"""Hooks of a worker's start, stop, idle and busy."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest

from longshore import Longshore, Worker
from longshore.errors import NotReady
from longshore.hooks import Settled
from longshore.worker import reactions
from worker.faulty import FaultyApp
from worker.gate import Gate


def test_they_are_called_in_the_course_of_a_worker(app: FaultyApp, gate: Gate) -> None:
    gate.serve(app)
    said: list[str] = []
    idle, busy = threading.Semaphore(0), threading.Semaphore(0)

    @app.hooks.worker_start
    async def start(worker: Worker) -> None:
        await asyncio.sleep(0)
        said.append(f"start {worker.tally.succeeded}")

    @app.hooks.worker_busy
    def get_busy(worker: Worker) -> None:
        said.append("busy")
        busy.release()

    @app.hooks.worker_idle
    async def get_idle(worker: Worker) -> None:
        said.append("idle")
        idle.release()

    @app.hooks.worker_stop
    def stop(worker: Worker) -> None:
        said.append(f"stop {worker.tally.succeeded}")

    with app.worker() as worker:
        assert isinstance(worker, Worker)
        assert idle.acquire(timeout=20)
        app.tasks["stop"].enqueue("a")
        assert busy.acquire(timeout=20)
        gate.arrived()
        app.tasks["say"].enqueue("b")
        assert gate.arrived() == "b"
        gate.open()
        assert idle.acquire(timeout=20)
    assert said == ["start 0", "idle", "busy", "idle", "stop 2"]


def test_starts_run_in_order_and_stops_in_reverse_while_resources_are_open(app: FaultyApp) -> None:
    said: list[str] = []

    class Pool:
        def __enter__(self) -> Pool:
            said.append("opened")
            return self

        def __exit__(self, *_: object) -> None:
            said.append("closed")

    app.resources.manage(Pool, Pool)
    for name in ("first", "second"):
        app.hooks.worker_start(lambda worker, name=name: said.append(f"start {name}"))
        app.hooks.worker_stop(lambda worker, name=name: said.append(f"stop {name}"))
    with app.worker():
        pass
    assert said == ["opened", "start first", "start second", "stop second", "stop first", "closed"]


def test_a_start_that_raises_keeps_the_worker_from_starting(app: FaultyApp) -> None:
    said: list[str] = []
    app.hooks.worker_stop(lambda worker: said.append("stop"))

    @app.hooks.worker_start
    def refuse(worker: Worker) -> None:
        raise RuntimeError("not on this machine")

    with pytest.raises(RuntimeError, match="not on this machine"):
        app.worker().run(until_empty=True)
    assert said == []
    assert not app.admin.workers()


def test_what_the_others_raise_changes_nothing(app: FaultyApp, caplog: pytest.LogCaptureFixture) -> None:
    def fail(worker: Worker) -> None:
        raise OSError("nobody listens")

    for point in (app.hooks.worker_busy, app.hooks.worker_idle, app.hooks.worker_stop):
        point(fail)

    @app.task
    def run() -> int:
        return 1

    job = run.enqueue()
    app.worker().run(until_empty=True)
    assert job.result(timeout=5) == 1
    assert caplog.text.count("fail failed, which changes nothing else") == 3


def test_async_hooks_of_a_worker_share_one_event_loop(app: FaultyApp) -> None:
    loops: list[Any] = []

    @app.hooks.on_success
    async def note(settled: Settled) -> None:
        loops.append(asyncio.get_running_loop())

    @app.task
    def run() -> None: ...

    app.enqueue_many([run.call() for _ in range(5)])
    app.worker().run(until_empty=True)
    assert len(loops) == 5
    assert len(set(map(id, loops))) == 1
    assert loops[0].is_closed()


def test_a_worker_whose_hooks_are_far_behind_takes_nothing_more(
    app: FaultyApp, gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reactions, "MOST_BEHIND", 20)

    @app.hooks.on_success
    def stop(settled: Settled) -> None:
        gate.stop_here()

    @app.task
    def run() -> None: ...

    jobs = app.enqueue_many([run.call() for _ in range(100)])
    with app.worker(slots=1, limits={"run": 1}):
        jobs[19].wait(timeout=20)
        with pytest.raises(NotReady):
            jobs[30].wait(timeout=0.5)
        gate.open()
        jobs[99].wait(timeout=20)


def test_an_embedded_worker_is_started_where_an_event_loop_runs(app: FaultyApp) -> None:
    said: list[str] = []

    @app.hooks.worker_start
    async def start(worker: Worker) -> None:
        await asyncio.sleep(0)
        said.append("start")

    async def serve() -> None:
        with app.worker():
            said.append("on")

    asyncio.run(serve())
    assert said == ["start", "on"]


def test_other_applications_are_not_told(app: FaultyApp) -> None:
    app.hooks.worker_start(lambda worker: pytest.fail("not of this one"))
    Longshore("memory://").worker().run(until_empty=True)
