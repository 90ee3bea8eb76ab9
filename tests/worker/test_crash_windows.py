"""What a crash leaves behind is made good by somebody, within the time that docs/design/crash-windows.md says."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from longshore import Longshore, State
from longshore.errors import Unavailable
from longshore.guard import Guard
from longshore.holders import KIND, Lease, lapsed_holders
from longshore.testing.clock import ManualClock
from longshore.testing.faults.cut import Moment
from longshore.testing.together import together
from longshore.worker.settings import WorkerSettings
from longshore.worker.upkeep import Upkeep
from worker.conftest import Connect
from worker.faulty import FaultyApp
from worker.gate import Gate, say, stop

pytestmark = pytest.mark.every_engine

SETTINGS = WorkerSettings()


def test_a_lease_without_jobs_lapses(timed: Longshore, clock: ManualClock) -> None:
    lease = Lease(SETTINGS.lease)
    lease.begin(timed.store)
    assert [record.key for record in timed.store.read(KIND)] == [lease.holder]
    clock.advance(SETTINGS.lease)
    assert timed.store.read(KIND) == []
    assert lapsed_holders(timed.store) == []


def test_who_waits_finds_an_end_that_was_not_announced(app: FaultyApp, gate: Gate) -> None:
    gate.serve(app)
    pause = threading.Event()
    with app.worker(poll=60.0):
        job = app.enqueue(stop(app, "a"))
        gate.arrived()

        def end() -> None:
            while not app.store.select(limit=1).jobs[0].awaited:
                pause.wait(0.01)
            app.line.cut("wake", Moment.BEFORE)
            gate.open()
            app.line.await_cuts()

        info, _ = together(lambda: job.wait(timeout=2.0), end)
        assert info.state is State.SUCCEEDED


def overdue_job(app: Longshore, clock: ManualClock) -> str:
    """A job that should have begun by now, and that no claim meets."""
    job = app.enqueue(app.call_by_name("unknown", options=type(say(app, "x").options)(expires=1.0)))
    clock.advance(2.0)
    return job.id


def test_a_chore_that_was_begun_and_not_done_is_done_in_the_next_round(connect: Connect, clock: ManualClock) -> None:
    dying, living = connect(clock=clock), connect(clock=clock)
    job = living.job(overdue_job(living, clock))
    over_the_line: Guard = dying.another_store()
    dying.line.cut("select", Moment.BEFORE)
    with pytest.raises(Unavailable):
        Upkeep(Lease(SETTINGS.lease), SETTINGS).work(over_the_line, may_rescue=lambda: False)
    over_the_line.close()

    upkeep = Upkeep(Lease(SETTINGS.lease), SETTINGS)
    upkeep.work(living.store, may_rescue=lambda: False)
    assert job.info().state is State.PENDING, "the round was taken by who died"
    clock.advance(4 * SETTINGS.heartbeat)
    upkeep.work(living.store, may_rescue=lambda: False)
    assert job.info().state is State.EXPIRED


def test_ended_jobs_are_removed_when_they_were_kept_long_enough(timed: Longshore, clock: ManualClock) -> None:
    @timed.task
    def work() -> int:
        return 1

    kept, failed = work.enqueue(), timed.job(overdue_job(timed, clock))
    timed.worker().run(until_empty=True)
    upkeep = Upkeep(Lease(SETTINGS.lease), SETTINGS)
    clock.advance(SETTINGS.keep_succeeded - 10)
    upkeep.work(timed.store, may_rescue=lambda: False)
    assert {kept.info().state, failed.info().state} == {State.SUCCEEDED, State.EXPIRED}
    clock.advance(4 * SETTINGS.heartbeat)
    upkeep.work(timed.store, may_rescue=lambda: False)
    assert [job.id for job in timed.store.select().jobs] == [failed.id]


def test_the_tests_that_the_page_names_are_there() -> None:
    page = Path(__file__).parents[2] / "docs" / "design" / "crash-windows.md"
    named = {word for line in page.read_text().splitlines() for word in line.split("`") if word.startswith("tests/")}
    assert named
    missing = []
    for name in named:
        path, *_, test = name.split("::")
        file = page.parents[2] / path
        if not file.exists() or f"def {test.rpartition('::')[2]}(" not in file.read_text():
            missing.append(name)
    assert not missing
