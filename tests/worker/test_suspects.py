"""Jobs that kill the processes that run them, and their neighbours."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import pytest

from longshore import Longshore, State
from longshore.contract import Claim, StoredJob, Where
from longshore.holders import rescue
from longshore.processes.supervisor import Supervisor
from longshore.states import EDIT, move
from longshore.worker.settings import WorkerSettings
from worker.faulty import FaultyApp
from worker.gate import PATIENCE, Gate, stop, wait_for
from worker.test_processes import DOCK

pytestmark = pytest.mark.timed

NEVER = 60.0
INNOCENTS = 200


def crash(app: Longshore, times: int) -> None:
    """Lets all that is pending be there when a worker dies, and be due at once again."""
    for number in range(times):
        assert app.store.claim([Claim(("default",))], holder=f"dead {number}", limit=100).jobs
        assert rescue(app.store, f"dead {number}", by="a test", lease=1_000_000) is not None
        make_due(app)


def make_due(app: Longshore) -> list[StoredJob]:
    """What waits after a crash need not wait any longer; gives what has not ended."""
    unended = app.store.select(Where(states=(State.PENDING, State.RUNNING)), limit=1_000, body=False).jobs
    waiting = [job for job in unended if job.state is State.PENDING and job.crashes]
    app.store.update([move(EDIT, job, {"due": job.created}) for job in waiting])
    app.store.wake(["queue:default"])
    return unended


def test_only_one_suspect_runs_at_a_time_beside_others(app: FaultyApp, gate: Gate) -> None:
    gate.serve(app)
    suspects = app.enqueue_many([stop(app, f"suspect {number}") for number in range(3)])
    crash(app, 2)
    others = app.enqueue_many([stop(app, f"other {number}") for number in range(2)])
    with app.worker(slots=5, poll=0.1):
        words = {str(gate.arrived()) for _ in range(3)}
        assert sorted(word.split()[0] for word in words) == ["other", "other", "suspect"]
        assert gate.nobody_arrives(within=0.3)
        states = [app.job(job.id).info() for job in suspects]
        assert sorted(info.state for info in states) == [State.PENDING, State.PENDING, State.RUNNING]
        assert {info.shown_as for info in states} == {"retrying", "running"}, "the others are put off"
        gate.open()
        for job in [*suspects, *others]:
            info = job.wait(timeout=PATIENCE)
            assert (info.state, info.attempt) == (State.SUCCEEDED, 1)


def test_until_empty_a_worker_waits_for_the_suspects_that_it_put_off(app: FaultyApp, gate: Gate) -> None:
    gate.serve(app)
    gate.open()
    jobs = app.enqueue_many([stop(app, f"suspect {number}") for number in range(2)])
    crash(app, 2)
    assert app.worker(slots=5).run(until_empty=True).succeeded == 2
    assert {job.info().state for job in jobs} == {State.SUCCEEDED}


def test_a_suspect_begins_only_when_the_others_were_handed_back(app: FaultyApp, gate: Gate) -> None:
    """Else it could kill the process while that still holds them, and they would be held guilty too."""
    gate.serve(app)
    app.enqueue_many([stop(app, f"suspect {number}") for number in range(3)])
    crash(app, 2)
    taking, handing_back = app.line.hold("claim"), app.line.hold("update")
    with app.worker(slots=5, poll=NEVER, drain=0) as worker:
        wait_for(taking.reached, "the first claim")
        worker._team.couriers[0].look_at_held()  # They are held and do not run, and are on their way back all the same.
        taking.released.set()
        wait_for(handing_back.reached, "the others to be handed back")
        assert gate.nobody_arrives(within=0.2), "a suspect runs while others are held"
        held = app.store.select(Where(holder=worker.holder)).jobs
        assert len(held) == 1, "the answer is on its way: the others are handed back"
        handing_back.released.set()
        assert str(gate.arrived()).startswith("suspect")


def test_a_suspect_that_waits_is_handed_back_when_its_worker_stops(app: FaultyApp, gate: Gate) -> None:
    gate.serve(app)
    jobs = app.enqueue_many([stop(app, f"suspect {number}") for number in range(2)])
    crash(app, 2)
    worker = app.worker(slots=5, poll=NEVER, drain=0)
    handing_back = app.line.hold("update")
    worker.start()
    wait_for(handing_back.reached, "the other to be handed back")
    worker.ask_to_stop(now=True)
    handing_back.released.set()
    worker.stop()
    for job in jobs:
        info = job.info()
        assert (info.state, info.attempt, info.crashes) == (State.PENDING, 0, 2)


@pytest.mark.slow
def test_one_that_kills_its_process_among_two_hundred_is_abandoned_alone(shared: Longshore) -> None:
    settings = WorkerSettings(slots=10, poll=60, drain=5, grace=1)
    innocents = shared.enqueue_many(
        [shared.call_by_name("take_a_moment", {"number": number}) for number in range(INNOCENTS // 2)]
    )
    poison = shared.enqueue(shared.call_by_name("kill_its_process"))
    innocents += shared.enqueue_many(
        [shared.call_by_name("take_a_moment", {"number": number}) for number in range(INNOCENTS // 2)]
    )
    with Supervisor(DOCK, processes=2, url=shared.store.driver.target, settings=settings):
        until(lambda: not make_due(shared), "all jobs to have ended")
    info = poison.info()
    assert (info.state, info.crashes, info.attempt) == (State.ABANDONED, 4, 0)
    for job in innocents:
        innocent = job.info()
        assert (innocent.state, innocent.attempt) == (State.SUCCEEDED, 1)
        assert innocent.crashes <= 2


def until(condition: Callable[[], bool], what: str) -> None:
    """Waits for what only the store can tell."""
    ends = time.monotonic() + 50
    while not condition():
        assert time.monotonic() < ends, f"expected {what}"
        threading.Event().wait(0.05)
