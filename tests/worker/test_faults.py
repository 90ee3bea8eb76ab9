"""Answers that get lost, stores that go away, holders that are cut off: nothing is lost, nobody living is rescued."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from longshore import Context, JobInfo, Longshore, State
from longshore.contract import Claim
from longshore.errors import LeaseLost
from longshore.holders import KIND, end_lease, lapsed_holders, rescue
from longshore.memory import store_clock
from longshore.testing.clock import ManualClock
from longshore.testing.faults.cut import Moment
from longshore.worker.performing import Interrupted
from worker.conftest import Connect
from worker.faulty import FaultyApp
from worker.gate import PATIENCE, Gate, say, stop, wait_for

pytestmark = pytest.mark.timed

PATIENT = {"lease": 30.0, "heartbeat": 0.1, "poll": 60.0}
"""For outages that are over long before the lease is."""
SHORT = {"lease": 1.0, "heartbeat": 0.15, "poll": 60.0, "drain": 0.0}
"""For tests that outlast a lease."""


def until(condition: Callable[[], bool], what: str) -> None:
    """Waits for what only the store can tell."""
    pause = threading.Event()
    for _ in range(round(PATIENCE / 0.01)):
        if condition():
            return
        pause.wait(0.01)
    raise AssertionError(f"expected {what} within {PATIENCE:g} s")


def assert_ran_undisturbed(info: JobInfo) -> None:
    assert (info.state, info.attempt, info.crashes, info.tries) == (State.SUCCEEDED, 1, 0, 0)


@pytest.mark.parametrize("moment", list(Moment))
@pytest.mark.parametrize("method", ["claim", "exchange", "select", "write", "now"])
def test_when_an_answer_is_lost_every_job_runs_once(app: FaultyApp, method: str, moment: Moment) -> None:
    runs: Counter[int] = Counter()

    @app.task
    def count(number: int) -> int:
        runs[number] += 1
        return number

    with app.worker(slots=3, **PATIENT) as worker:
        holder = worker.holder
        app.line.cut(method, moment)
        jobs = app.enqueue_many([count.call(number) for number in range(100)])
        assert [job.result(timeout=PATIENCE) for job in jobs] == list(range(100))
        app.line.await_cuts()
        assert worker.holder == holder
    assert set(runs.values()) == {1}
    for job in jobs:
        assert_ran_undisturbed(job.info())


@pytest.mark.parametrize("moment", list(Moment))
def test_when_the_answer_of_an_update_is_lost_the_run_counts_once(app: FaultyApp, gate: Gate, moment: Moment) -> None:
    gate.serve(app)
    worker = app.worker(slots=1, **PATIENT)
    worker.start()
    job = app.enqueue(stop(app, "a"))
    gate.arrived()
    app.line.cut("update", moment)
    with ThreadPoolExecutor() as pool:
        stopped = pool.submit(worker.stop)
        gate.open()
        stopped.result(PATIENCE)
    app.line.await_cuts()
    assert_ran_undisturbed(job.info())
    assert worker.tally.succeeded == 1
    assert gate.said() == []


def test_an_outage_shorter_than_the_lease_costs_nothing_but_time(connect: Connect) -> None:
    runs: Counter[int] = Counter()
    half = threading.Event()
    apps = [connect(), connect()]
    for app in apps:

        @app.task
        def count(number: int) -> None:
            threading.Event().wait(0.002)
            runs[number] += 1
            if len(runs) > 150:
                half.set()

    jobs = apps[0].enqueue_many([apps[0].call_by_name("count", {"number": number}) for number in range(400)])
    with apps[0].worker(slots=2, **PATIENT) as first, apps[1].worker(slots=2, **PATIENT) as second:
        holders = [first.holder, second.holder]
        wait_for(half, "the jobs to be done in part")
        for app in apps:
            app.line.go_down()
        for app in apps:
            app.line.await_calls("write", app.line.calls["write"] + 3)
            app.line.mend()
        infos = [job.wait(timeout=PATIENCE) for job in jobs]
        assert [first.holder, second.holder] == holders
    for info in infos:
        assert_ran_undisturbed(info)
    assert set(runs.values()) == {1}


def test_an_outage_longer_than_the_lease_interrupts_the_runs_and_rescues_nobody(connect: Connect, gate: Gate) -> None:
    apps = [connect(), connect()]
    for app in apps:

        @app.task
        def stay() -> str:
            try:
                gate.stop_here("begun")
            except Interrupted:
                gate.stop_here("interrupted")
                raise
            return "done"

    with apps[0].worker(slots=1, **SHORT) as first, apps[1].worker(slots=1, **SHORT) as second:
        holders = [first.holder, second.holder]
        jobs = apps[0].enqueue_many([apps[0].call_by_name("stay") for _ in range(2)])
        assert [gate.arrived(), gate.arrived()] == ["begun"] * 2
        for app in apps:
            app.line.go_down()
        assert [gate.arrived(), gate.arrived()] == ["interrupted"] * 2
        until(lambda: apps[0].store.read(KIND) == [], "both leases to lapse")
        assert len(lapsed_holders(apps[0].store)) == 2
        gate.open()
        for app in apps:
            app.line.mend()
        for job in jobs:
            assert job.result(timeout=PATIENCE) == "done"
        assert [first.holder, second.holder] == holders, "nobody was rescued"
        assert first.tally.void + second.tally.void == 2
        for job in jobs:
            assert_ran_undisturbed(job.info())


@pytest.mark.parametrize("is_asking", [False, True], ids=["silent", "asking"])
def test_who_is_cut_off_stops_before_its_lease_is_over(connect: Connect, gate: Gate, is_asking: bool) -> None:
    """Whether it has nothing to ask of the store, or asks in vain, and waits longer from time to time."""
    app = connect()

    @app.task
    def stay() -> None:
        try:
            gate.stop_here("begun")
        except Interrupted:
            gate.stop_here(app.store.read(KIND))

    with app.worker(slots=1 + is_asking, **SHORT | {"lease": 1.5, "heartbeat": 0.5}):
        app.enqueue(app.call_by_name("stay"))
        assert gate.arrived() == "begun"
        app.line.go_down()
        if is_asking:
            app.enqueue(app.call_by_name("stay"))
        assert gate.arrived(), "its lease had lapsed when it was interrupted"
        gate.open()
        app.line.mend()


def test_who_is_cut_off_alone_is_rescued_and_goes_on_under_another_name(connect: Connect, gate: Gate) -> None:
    away, near = connect(), connect()
    returned: list[str] = []

    def define(app: FaultyApp, name: str) -> None:
        @app.task
        def stay() -> str:
            try:
                gate.stop_here(name)
            except Interrupted:
                gate.stop_here(f"{name} interrupted")
            returned.append(name)
            return name

    define(away, "away")
    define(near, "near")
    with away.worker(slots=1, **SHORT) as lost:
        holder = lost.holder
        job = away.enqueue(away.call_by_name("stay"))
        assert gate.arrived() == "away"
        # What says that it was rescued lives for the rescuer's lease, and is to be there when the line is mended.
        with near.worker(slots=1, **SHORT | {"lease": 30.0}) as rescuer:
            away.line.go_down()
            # In this order: by its own clock it stops before others may begin.
            assert [gate.arrived(), gate.arrived()] == ["away interrupted", "near"]
            away.line.mend()
            until(lambda: lost.holder != holder, "another name")
            gate.open()
            assert job.result(timeout=PATIENCE) == "near"
        gate.serve(away)
        assert away.enqueue(say(away, "at work again")).result(timeout=PATIENCE) == "at work again"
    info = job.info()
    assert (info.attempt, info.crashes, [attempt.outcome for attempt in info.attempts]) == (1, 1, ["crashed"])
    assert info.attempts[0].holder == holder
    assert rescuer.tally.succeeded == 1
    assert "away" in returned, "its late result came, and changed nothing"


def test_a_job_that_was_rescued_while_it_runs_cannot_be_ended_by_its_old_run(app: FaultyApp, gate: Gate) -> None:
    @app.task
    def stay(context: Context) -> int:
        gate.stop_here(context.crashes)
        return context.crashes

    with app.worker(slots=1, **PATIENT) as worker:
        holder = worker.holder
        job = stay.enqueue()
        assert gate.arrived() == 0
        end_lease(app.store, holder)
        done = rescue(app.store, holder, by="a person", lease=30_000_000)
        assert done is not None
        assert done.pending == 1
        # The worker learns it at its next heartbeat, interrupts the old run, and takes the job anew.
        assert gate.arrived() == 1
        gate.open()
        assert job.result(timeout=PATIENCE) == 1
        assert worker.holder != holder
    assert (job.info().attempt, job.info().crashes) == (1, 1)


def test_a_rescuer_rescues_nobody_who_lives(app: FaultyApp, gate: Gate) -> None:
    gate.serve(app)
    with app.worker(slots=1, **PATIENT) as worker:
        job = app.enqueue(stop(app, "a"))
        gate.arrived()
        assert rescue(app.store, worker.holder, by="a hasty one", lease=1_000_000) is None
        gate.open()
        assert_ran_undisturbed(job.wait(timeout=PATIENCE))


def test_a_job_whose_workers_keep_dying_is_abandoned(timed: Longshore, clock: ManualClock, gate: Gate) -> None:
    gate.serve(timed)
    job = timed.enqueue(say(timed, "poison"))
    pauses = []
    for number in range(4):
        assert timed.store.claim([Claim(("default",))], holder=f"dead {number}", limit=1).jobs
        assert lapsed_holders(timed.store) == [f"dead {number}"]
        assert rescue(timed.store, f"dead {number}", by="a test", lease=1_000_000) is not None
        (stored,) = timed.store.select().jobs
        assert (stored.attempt, stored.crashes) == (0, number + 1)
        pauses.append((stored.due - timed.store.now()) / 1_000_000)
        clock.advance(max(0.0, pauses[-1]))
    assert pauses[:3] == [0, 30, 300]
    info = job.info()
    assert (info.state, info.tries) == (State.ABANDONED, 4)
    timed.worker().run(until_empty=True)
    assert gate.said() == []


def test_who_ends_when_nothing_is_due_waits_for_what_its_own_upkeep_frees(
    timed: FaultyApp, clock: ManualClock, gate: Gate
) -> None:
    """Upkeep has ended a parent, and its child is not yet free when the worker finds nothing to claim."""
    gate.serve(timed)
    parent = timed.tasks["say"].options(queue="elsewhere", expires=10).enqueue("parent")
    child = timed.tasks["say"].options(after=parent, lax=True).enqueue("child")
    clock.advance(10)
    ending = timed.line.hold("update")
    worker = timed.worker()
    worker.start(until_empty=True)
    wait_for(ending.reached, "upkeep to end the parent")
    timed.line.await_calls("claim", 1)
    ending.released.set()
    worker.join()
    assert (parent.info().state, child.info().state) == (State.EXPIRED, State.SUCCEEDED)


class JumpingClock:
    """The clock of this machine, moved by a test."""

    def __init__(self) -> None:
        self.ahead = 0

    def __call__(self) -> int:
        return store_clock() + self.ahead

    def jump(self, seconds: int) -> None:
        self.ahead += seconds * 1_000_000


@pytest.mark.parametrize("seconds", [3600, -3600])
def test_when_the_stores_clock_jumps_nobody_is_rescued(connect: Connect, gate: Gate, seconds: int) -> None:
    clock = JumpingClock()
    apps = [connect(clock=clock), connect(clock=clock)]
    for app in apps:
        gate.serve(app)
    settings = PATIENT | {"lease": 1.2}
    with apps[0].worker(slots=1, **settings) as first, apps[1].worker(slots=1, **settings) as second:
        jobs = apps[0].enqueue_many([stop(apps[0], "a"), stop(apps[0], "b")])
        gate.arrived(), gate.arrived()
        holders = [first.holder, second.holder]
        for app in apps:
            app.line.await_calls("now", 3)
        clock.jump(seconds)
        for app in apps:
            app.line.await_calls("now", app.line.calls["now"] + 5)
        gate.open()
        for job in jobs:
            assert_ran_undisturbed(job.wait(timeout=PATIENCE))
        assert [first.holder, second.holder] == holders


def test_a_clock_that_jumps_while_others_are_judged_condemns_nobody(connect: Connect, gate: Gate) -> None:
    clock = JumpingClock()
    judging, judged = connect(clock=clock), connect(clock=clock)
    gate.serve(judged)
    settings = PATIENT | {"lease": 1.2}
    with judging.worker(**settings), judged.worker(slots=1, **settings) as worker:
        job = judged.enqueue(stop(judged, "a"))
        gate.arrived()
        holder = worker.holder
        held = judging.line.hold("count")
        wait_for(held.reached, "the first to look who holds jobs")
        clock.jump(3600)
        held.released.set()
        for app in (judging, judged):
            app.line.await_calls("now", app.line.calls["now"] + 3)
        gate.open()
        assert_ran_undisturbed(job.wait(timeout=PATIENCE))
        assert worker.holder == holder


def test_what_was_claimed_under_a_name_that_was_rescued_by_mistake_is_not_left_behind(
    app: FaultyApp, gate: Gate
) -> None:
    """Rescued, it claims once more before it learns that: nobody else would look at that job for a lease."""
    gate.serve(app)
    with app.worker(slots=1, lease=30.0, heartbeat=10.0, poll=60.0) as worker:
        holder = worker.holder
        app.line.await_calls("now", 1)
        end_lease(app.store, holder)
        assert rescue(app.store, holder, by="a hasty one", lease=60_000_000) is not None
        job = app.enqueue(stop(app, "a"))
        assert gate.arrived() == "a"
        assert job.info().holder == holder
        with pytest.raises(LeaseLost):
            worker._stations[0].lease.renew(app.store)
        worker._team.couriers[0].look_at_held()
        assert gate.arrived() == "a", "it is begun anew under another name"
        assert job.info().holder == worker.holder != holder
        gate.open()
        info = job.wait(timeout=PATIENCE)
    assert (info.state, info.attempt, info.crashes) == (State.SUCCEEDED, 1, 0)
