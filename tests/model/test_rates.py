"""Limits on how many begin in a period: buckets on the store's clock."""

from __future__ import annotations

import threading
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from longshore import Longshore, State
from longshore.contract import SECOND
from longshore.limits.stored import Rule, rule_of
from longshore.testing.clock import ManualClock
from worker.faulty import FaultyApp
from worker.gate import PATIENCE, Gate, say

pytestmark = pytest.mark.timed

NEVER = 60.0

rates = st.builds(
    lambda count, period, burst: Rule(None, count, period, min(burst, count)),
    st.integers(1, 10_000),
    st.integers(1, 100_000).map(lambda milliseconds: milliseconds * 1_000),
    st.integers(1, 10_000),
)


class TestBucket:
    @given(rule=rates, steps=st.lists(st.tuples(st.integers(0, 10_000_000), st.integers(0, 50)), max_size=40))
    def test_in_any_period_no_more_is_taken_than_its_number_and_its_size(
        self, rule: Rule, steps: list[tuple[int, int]]
    ) -> None:
        assert rule.count is not None
        now, empty, taken = 1_900_000_000 * SECOND, 0, []
        for passed, wanted in steps:
            now += passed
            tokens = min(wanted, rule.level(empty, now))
            empty = rule.taken(empty, now, tokens) if tokens else empty
            taken.append((now, tokens))
        for start, _ in taken:
            within = sum(tokens for at, tokens in taken if start <= at <= start + rule.period)
            assert within <= rule.count + rule.size

    @given(rule=rates)
    def test_what_lies_with_workers_stays_within_the_burst(self, rule: Rule) -> None:
        assert rule.count is not None
        assert 1 <= rule.size <= rule.burst
        assert rule.size * rule.period + rule.keep * rule.count <= rule.burst * rule.period
        assert rule.keep <= SECOND

    def test_what_was_taken_and_not_used_is_given_back(self) -> None:
        rule = rule_of(None, (10, 1.0), 5)
        now = 1_900_000_000 * SECOND
        empty = rule.taken(0, now, rule.size)
        assert rule.level(empty, now) == 0
        assert rule.level(rule.returned(empty, 2), now) == 2

    def test_a_clock_that_jumps_neither_freezes_it_nor_fills_it_twice(self) -> None:
        rule = rule_of(None, (10, 1.0), 5)
        now = 1_900_000_000 * SECOND
        empty = rule.taken(0, now, rule.size)
        back = now - 3_600 * SECOND
        assert rule.level(empty, back) == 0
        assert rule.level(rule.taken(empty, back, 0), back + SECOND) == rule.size
        assert rule.level(empty, now + 3_600 * SECOND) == rule.size


@pytest.fixture
def app(target: Any) -> Any:
    with FaultyApp(target) as app:
        yield app


def started(app: Longshore) -> list[float]:
    """When the jobs began, by the store's clock, in seconds."""
    return sorted(job.started / SECOND for job in app.store.each() if job.started is not None)


def most_within(moments: list[float], seconds: float) -> int:
    return max(sum(1 for other in moments if moment <= other <= moment + seconds) for moment in moments)


@pytest.mark.parametrize("of", [{"queue": "default"}, {"task": "say"}], ids=["queue", "task"])
def test_no_more_begin_in_a_period_than_the_rate_and_its_burst(app: FaultyApp, of: dict[str, str]) -> None:
    gates = Gate(), Gate()
    with FaultyApp(app.store.driver.target) as another:
        for gate, each in zip(gates, (app, another), strict=True):
            gate.serve(each)
        app.admin.limit(rate=(20, 1.0), burst=4, **of)
        began = time.monotonic()
        with app.worker(slots=4, poll=NEVER), another.worker(slots=4, poll=NEVER):
            jobs = app.enqueue_many([say(app, str(number)) for number in range(36)])
            assert {job.wait(timeout=PATIENCE).state for job in jobs} == {State.SUCCEEDED}
        took = time.monotonic() - began
    assert most_within(started(app), 1.0) <= 20 + 4
    assert took >= (36 - 24) / 20, "they were all begun at once"


def test_an_exhausted_rate_holds_up_no_other_queue_and_is_not_asked_for_again_and_again(app: FaultyApp) -> None:
    gate = Gate()
    gate.serve(app)
    slow = app.task_named("say").options(queue="slow")
    app.admin.limit(queue="slow", rate=(1, 3600.0))
    with app.worker(slots=4, poll=NEVER, heartbeat=20, queues=["slow", "default"]):
        app.enqueue_many([slow.call(word="slow") for _ in range(10)])
        assert gate.arrived() == "slow"
        app.enqueue_many([say(app, "quick")] * 20)
        assert [gate.arrived() for _ in range(20)] == ["quick"] * 20
        threading.Event().wait(0.5)  # Until what it has begun to ask is answered.
        before = app.line.calls["write"] + app.line.calls["claim"]
        assert gate.nobody_arrives(within=1.5)
        assert app.line.calls["write"] + app.line.calls["claim"] - before <= 3


def test_a_rate_goes_by_the_store_s_clock_and_begins_when_its_time_has_come(target: Any) -> None:
    clock, gate = ManualClock(), Gate()
    with FaultyApp(target, clock=clock) as app:
        gate.serve(app)
        app.admin.limit(task="say", rate=(2, 0.2), burst=1)
        with app.worker(slots=4, poll=NEVER, heartbeat=20):
            app.enqueue_many([say(app, "a")] * 3)
            assert gate.arrived() == "a"
            assert gate.nobody_arrives(within=0.5), "the store's clock stands still"
            clock.advance(0.1)
            assert gate.arrived() == "a"
            assert gate.nobody_arrives(within=0.3)
            clock.advance(0.1)
            assert gate.arrived() == "a"


def test_a_rate_is_used_up_though_few_run_at_a_time(app: FaultyApp) -> None:
    gate = Gate()
    gate.serve(app)
    app.admin.limit(task="say", running=2, rate=(1_000, 3600.0))
    began = time.monotonic()
    jobs = app.enqueue_many([say(app, "a")] * 60)
    with app.worker(slots=10, poll=NEVER, heartbeat=20):
        assert {job.wait(timeout=PATIENCE).state for job in jobs} == {State.SUCCEEDED}
    assert time.monotonic() - began < 3.6 * 3, "it waited for tokens of the rate while the bucket was full"


def test_who_ends_gives_back_what_it_has_not_used(app: FaultyApp) -> None:
    gate = Gate()
    gate.serve(app)
    app.admin.limit(task="say", rate=(100, 3600.0), burst=50)
    for _ in range(4):
        app.enqueue_many([say(app, "a")] * 10)
        assert app.worker(slots=4).run(until_empty=True).succeeded == 10
