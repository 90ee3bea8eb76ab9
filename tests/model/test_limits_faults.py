"""Limits when answers and wake-ups are lost: docs/design/crash-windows.md names these tests."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import Any

import pytest
from msgspec.structs import replace

from longshore import State
from longshore.errors import Unavailable
from longshore.holders import Lease, end_lease, rescue
from longshore.limits.stored import read_limits, write_of
from longshore.testing.faults.cut import Moment
from longshore.worker.claims.allowance import Allowance
from longshore.worker.settings import WorkerSettings
from worker.faulty import FaultyApp
from worker.gate import PATIENCE, Gate, say, stop, wait_for

pytestmark = pytest.mark.timed

NEVER = 60.0


@pytest.fixture
def gate() -> Iterator[Gate]:
    gate = Gate()
    yield gate
    gate.open()


@pytest.fixture
def apps(target: Any, gate: Gate) -> Iterator[list[FaultyApp]]:
    """Two applications on one store, as in two processes."""
    with FaultyApp(target) as first, FaultyApp(first.store.driver.target) as second:
        for app in (first, second):
            gate.serve(app)
        yield [first, second]


@pytest.mark.parametrize("moment", list(Moment), ids=lambda moment: moment.name.lower())
def test_tokens_whose_taking_was_not_answered_are_found_in_the_record(
    apps: list[FaultyApp], gate: Gate, moment: Moment
) -> None:
    app, _ = apps
    app.admin.limit(task="stop", running=3)
    with app.worker(slots=5, poll=NEVER, heartbeat=20):
        app.line.await_calls("claim", 1)
        while app.admin.limits()[0].taken:
            assert gate.nobody_arrives(within=0.02)
        app.line.cut("write", moment)
        jobs = app.enqueue_many([stop(app, "on")] * 6)
        assert [gate.arrived() for _ in range(3)] == ["on"] * 3
        app.line.await_cuts()
        assert gate.nobody_arrives(within=0.3)
        assert app.admin.limits()[0].taken == 3
        gate.open()
        assert {job.wait(timeout=PATIENCE).state for job in jobs} == {State.SUCCEEDED}
    assert app.admin.limits()[0].taken == 0


def test_tokens_of_a_claim_whose_answer_was_lost_are_used_again(apps: list[FaultyApp], gate: Gate) -> None:
    app, _ = apps
    app.admin.limit(task="stop", running=2)
    with app.worker(slots=5, poll=0.2, heartbeat=20):
        app.line.await_calls("claim", 1)
        app.line.cut("claim", Moment.AFTER)
        jobs = app.enqueue_many([stop(app, "on")] * 4)
        app.line.await_cuts()
        assert [gate.arrived(), gate.arrived()] == ["on"] * 2
        assert gate.nobody_arrives(within=0.3)
        gate.open()
        assert {(job.wait(timeout=PATIENCE).state, job.info().attempt) for job in jobs} == {(State.SUCCEEDED, 1)}


def test_tokens_that_were_freed_without_a_wake_up_are_found_at_the_poll_time(apps: list[FaultyApp], gate: Gate) -> None:
    app, other = apps
    app.admin.limit(task="stop", running=1)
    with app.worker(slots=1, poll=0.5, heartbeat=20), other.worker(slots=1, poll=0.5, heartbeat=20):
        first = app.enqueue(stop(app, "first"))
        assert gate.arrived() == "first"
        second = app.enqueue(stop(app, "second"))
        while not app.admin.limits()[0].waiting:
            assert gate.nobody_arrives(within=0.02)
        for each in apps:
            each.line.cut("wake", Moment.BEFORE)
        gate.open()
        assert gate.arrived() == "second"
        assert {job.wait(timeout=PATIENCE).state for job in (first, second)} == {State.SUCCEEDED}


def test_a_worker_that_was_rescued_counts_its_runs_under_its_new_name(apps: list[FaultyApp], gate: Gate) -> None:
    app, other = apps
    app.admin.limit(task="stop", running=2)
    lease = {"lease": 1.2, "heartbeat": 0.3, "poll": 0.3, "grace": 0.1}
    with app.worker(slots=2, drain=0, **lease) as worker:
        app.enqueue_many([stop(app, "on")] * 4)
        assert [gate.arrived(), gate.arrived()] == ["on"] * 2
        name = worker.holder
        app.line.go_down()
        with other.worker(slots=2, drain=0, **lease):
            assert [gate.arrived(), gate.arrived()] == ["on"] * 2
            app.line.mend()
            while worker.holder == name:
                assert gate.nobody_arrives(within=0.02)
            assert gate.nobody_arrives(within=0.5)
            assert app.admin.limits()[0].taken <= 2


def test_the_last_claim_s_unused_tokens_do_not_lie_with_who_is_idle(apps: list[FaultyApp], gate: Gate) -> None:
    app = apps[0]
    app.admin.limit(queue="default", running=4)
    with app.worker(slots=4, poll=NEVER, heartbeat=20):
        app.enqueue(say(app, "quick"))
        assert gate.arrived() == "quick"
        while app.admin.limits()[0].taken:
            assert gate.nobody_arrives(within=0.02)


def test_who_takes_tokens_strikes_the_share_of_one_that_was_rescued(apps: list[FaultyApp], gate: Gate) -> None:
    app, other = apps
    app.admin.limit(task="stop", running=1)
    dead = other.worker(slots=1, poll=NEVER, heartbeat=20, drain=0, grace=0.1)
    dead.start()
    app.enqueue(stop(app, "on"))
    assert gate.arrived() == "on"
    other.line.go_down()
    end_lease(app.store, dead.holder)
    assert rescue(app.store, dead.holder, by="a supervisor", lease=60_000_000) is not None
    with app.worker(slots=1, poll=NEVER, heartbeat=20, drain=0):
        assert gate.arrived() == "on", "at once: its heartbeat is far away"
    other.line.mend()
    dead.stop(drain=0)


def test_the_share_of_one_that_died_without_a_job_is_struck_too(apps: list[FaultyApp], gate: Gate) -> None:
    app = apps[0]
    app.admin.limit(task="stop", running=1)
    (limit,) = read_limits(app.store)
    dead = replace(limit.stored, shares={"dead.1": 1}, waiting=("dead.2",))
    assert app.store.write([write_of(limit, dead)]) != [None]
    with app.worker(slots=1, poll=NEVER, lease=1.2, heartbeat=0.3):
        app.enqueue(stop(app, "on"))
        assert gate.arrived() == "on"
        while app.admin.limits()[0].waiting:
            assert gate.nobody_arrives(within=0.02)
        gate.open()


@pytest.mark.parametrize("is_cut", [False, True], ids=["answered", "cut"])
def test_what_is_set_while_the_rules_are_read_is_read_too(apps: list[FaultyApp], is_cut: bool) -> None:
    with closing(apps[0].another_store()) as store:
        allowance = Allowance(store, Lease(60.0), WorkerSettings(), lambda: frozenset({"stop"}))
        read_while_one_is_set(allowance, apps, is_cut=is_cut)


def read_while_one_is_set(allowance: Allowance, apps: list[FaultyApp], *, is_cut: bool) -> None:
    line = apps[0].line
    if is_cut:
        line.cut("read", Moment.AFTER)
        with pytest.raises(Unavailable):
            allowance.read_rules()
        assert allowance.must_read_rules
    held = line.hold("read")
    with ThreadPoolExecutor() as pool:
        reading = pool.submit(allowance.read_rules)
        wait_for(held.reached, "the rules to be read")
        apps[1].admin.limit(task="stop", running=1)
        allowance.rules_changed()
        held.released.set()
        reading.result(PATIENCE)
    assert allowance.must_read_rules
    allowance.read_rules()
    assert (allowance.is_limited, allowance.must_read_rules) == (True, False)
