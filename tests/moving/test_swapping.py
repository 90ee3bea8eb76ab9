"""A store is a choice: one application and one test of it, on every store, and with a move in the middle."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from conftest import Serve
from longshore import Context, Longshore, State
from longshore.errors import StoreError, StoreMoved
from longshore.moving import Carried, move
from moving import pier
from moving.freight import PATIENCE, Work, application
from stores import AROUND, fresh_store
from worker.gate import Gate


@pytest.fixture
def log(tmp_path: Path) -> Path:
    log = tmp_path / "log"
    log.touch()
    return log


@pytest.fixture
def gate() -> Iterator[Gate]:
    gate = Gate()
    yield gate
    gate.open()


@pytest.mark.parametrize("engine", AROUND)
def test_the_same_application_on_every_store(engine: str, log: Path, tmp_path: Path, shared_server: Serve) -> None:
    with application(fresh_store(engine, tmp_path, shared_server), log) as app, app.worker():
        Work(app, "quay").check(app, log)


@pytest.mark.around
def test_moved_in_the_middle_with_workers_going_on(pair: tuple[Any, Any], log: Path, gate: Gate) -> None:
    """Workers of old begin the work, a move takes it along, workers that open both go on with it."""
    old, new = pair
    with (
        application(old, log, stop=gate.stop_here) as before,
        application(new, log, moving_from=old, stop=gate.stop_here) as after,
    ):
        with before.worker(slots=3):
            early = Work(before, "old quay")
            tides = [before.tasks["wait_for_tide"].enqueue(word) for word in ("ebb", "flow")]
            for _ in tides:
                gate.arrived(PATIENCE)
            moving = Moving(old, new)
            with after.worker():
                while before.store.read("moving") == []:
                    threading.Event().wait(0.01)
                late = Work(after, "new quay")
                assert after.job(tides[0].id).info().state is State.RUNNING, "a job is found wherever it is"
                gate.open()
                carried = moving.carried()
                early.check(after, log)
                late.check(after, log)
                assert [after.job(tide.id).result(PATIENCE) for tide in tides] == ["ebb", "flow"]
        assert sum(carried.jobs.values()) > 2
        assert sum(before.counts().values()) == 0
        with pytest.raises(StoreMoved), application(old, log) as late_producer:
            late_producer.tasks["weigh"].enqueue(1)


class Moving:
    """A move in a thread of its own, as in another process."""

    def __init__(self, old: Any, new: Any) -> None:
        self._carried: list[Carried] = []
        self._thread = threading.Thread(target=lambda: self._carried.append(move(old, new, verify=True)))
        self._thread.start()

    def carried(self) -> Carried:
        self._thread.join(PATIENCE)
        (carried,) = self._carried
        return carried


class TestBoth:
    """An application that opens both stores."""

    @pytest.fixture
    def apps(self, pair: tuple[Any, Any], log: Path, gate: Gate) -> Iterator[tuple[Longshore, Longshore]]:
        old, new = pair
        with (
            application(old, log, stop=gate.stop_here) as before,
            application(new, log, moving_from=old, stop=gate.stop_here) as after,
        ):
            before.store.now()
            yield before, after

    def test_its_worker_works_for_both_and_inserts_into_the_new_one(
        self, apps: tuple[Longshore, Longshore], gate: Gate
    ) -> None:
        before, after = apps
        gate.open()
        tide = before.tasks["wait_for_tide"].enqueue("ebb")
        crate = after.tasks["weigh"].enqueue(1)
        with after.worker():
            assert after.job(tide.id).result(PATIENCE) == "ebb"
            assert crate.result(PATIENCE) == 10
            assert after.job("after ebb").result(PATIENCE) == 70
        assert sum(before.counts().values()) == 1
        assert sum(after.counts().values()) == 2

    def test_there_is_one_number_of_slots_for_both(self, apps: tuple[Longshore, Longshore], gate: Gate) -> None:
        after = apps[1]
        jobs = [app.tasks["wait_for_tide"].enqueue(f"{number}") for number, app in enumerate(apps * 4)]
        started: list[object] = []
        after.hooks.worker_start(started.append)
        with after.worker(slots=3, limits={"weigh": 1}):
            for _ in range(3):
                gate.arrived(PATIENCE)
            assert gate.nobody_arrives(within=0.3)
            (worker,) = after.admin.workers()
            assert worker.slots == 3
            gate.open()
            assert {after.job(job.id).wait(PATIENCE).state for job in jobs} == {State.SUCCEEDED}
        assert len(started) == 1, "it is one worker"

    @pytest.mark.parametrize("place", [0, 1], ids=["old", "new"])
    def test_all_slots_are_for_the_one_that_has_jobs(
        self, apps: tuple[Longshore, Longshore], gate: Gate, place: int
    ) -> None:
        for number in range(4):
            apps[place].tasks["wait_for_tide"].enqueue(f"{number}")
        with apps[1].worker(slots=4):
            assert {gate.arrived(PATIENCE) for _ in range(4)} == {"0", "1", "2", "3"}
            gate.open()

    def test_the_last_job_that_it_may_run_is_the_last_of_both(self, apps: tuple[Longshore, Longshore]) -> None:
        for app in apps * 5:
            app.tasks["weigh"].enqueue(1)
        worker = apps[1].worker(slots=2, max_jobs=7)
        assert worker.run().succeeded == 7
        assert worker.retired is not None
        assert sum(app.counts()[State.PENDING] for app in apps) == 3

    def test_it_ends_when_both_are_empty(self, apps: tuple[Longshore, Longshore], gate: Gate) -> None:
        before, after = apps
        jobs = [before.tasks["weigh"].enqueue(1), after.tasks["weigh"].enqueue(2)]
        after.worker().run(until_empty=True)
        assert [after.job(job.id).info().state for job in jobs] == [State.SUCCEEDED] * 2

    def test_a_job_is_found_cancelled_and_waited_for_wherever_it_is(
        self, apps: tuple[Longshore, Longshore], pair: tuple[Any, Any]
    ) -> None:
        before, after = apps
        first, second = before.tasks["weigh"].enqueue(1), before.tasks["weigh"].enqueue(2)
        assert after.job(first.id).info().state is State.PENDING
        after.admin.cancel([first.id])
        assert before.job(first.id).info().state is State.CANCELLED
        move(*pair)
        assert before.admin.job(first.id) is None
        assert after.job(first.id).info().state is State.CANCELLED
        assert after.job(second.id).info().queue == "default"

    def test_a_child_waits_for_its_parent_in_the_other_store(
        self, apps: tuple[Longshore, Longshore], pair: tuple[Any, Any]
    ) -> None:
        before, after = apps
        parent = before.tasks["weigh"].options(delay=3600).enqueue(1)
        child = after.tasks["add"].options(after=[parent.id]).enqueue()
        after.worker().run(until_empty=True)
        assert child.info().state is State.WAITING
        move(*pair)
        assert child.info().state is State.WAITING
        after.admin.edit(parent.id, delay=0)
        after.worker().run(until_empty=True)
        assert child.result(PATIENCE) == 10

    def test_when_all_has_arrived_the_old_one_is_not_asked_any_more(
        self, apps: tuple[Longshore, Longshore], pair: tuple[Any, Any]
    ) -> None:
        before, after = apps
        move(*pair)
        assert list(after.sides) == [after]
        with after.worker():
            assert after.tasks["weigh"].enqueue(1).result(PATIENCE) == 10
        assert len(before.admin.workers()) == 0

    def test_a_job_that_replaces_itself_leaves_the_others_in_the_new_one(
        self, apps: tuple[Longshore, Longshore]
    ) -> None:
        before, after = apps

        def split(context: Context) -> None:
            context.replace([after.tasks["weigh"].call(number) for number in range(3)])

        for app in apps:
            app.task(split)
        job = before.tasks["split"].enqueue()
        with after.worker():
            after.job(job.id).wait(PATIENCE)
            ends = {state: number for state, number in after.counts().items() if number}
        assert sum(ends.values()) == 3
        assert sum(before.counts().values()) == 1

    def test_a_run_in_a_process_of_its_own_enqueues_into_the_new_one_too(self, tmp_path: Path) -> None:
        old, new = f"sqlite:///{tmp_path}/old.db", f"sqlite:///{tmp_path}/new.db"
        with Longshore(old) as before:
            job = before.enqueue(before.call_by_name("send_another"))
            pier.app.use(new, moving_from=old)
            try:
                pier.app.worker().run(until_empty=True)
                assert pier.app.job(job.id).result(PATIENCE) == "sent"
                assert pier.app.admin.jobs().jobs[0].task == "nothing"
                assert [info.id for info in before.admin.jobs().jobs] == [job.id]
            finally:
                pier.app.close()

    def test_it_goes_on_where_the_old_one_cannot_be_reached(
        self, target: Any, log: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        with Longshore(target, moving_from="redis://127.0.0.1:1/0", patience=0) as app:
            task = app.task(_say)
            with app.worker():
                assert task.enqueue("here").result(PATIENCE) == "here"
            with pytest.raises(StoreError):
                app.job("nowhere").info()
        assert "whether jobs are still to come from the old store is not known" in caplog.text


def _say(word: str) -> str:
    return word
