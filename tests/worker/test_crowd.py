"""A crowd of idle workers and one job: how many ask at once is in `test_claiming.py`, here that chance decides it."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from types import SimpleNamespace

import pytest

from worker.faulty import FaultyApp
from worker.gate import Gate, say

NEVER = 60.0
WORKERS = 12
LEAST = 0.2
"""Seconds for which none of so many asks whom chance has put off as long as it can."""


@pytest.fixture
def crowd(app: FaultyApp, gate: Gate, monkeypatch: pytest.MonkeyPatch) -> Iterator[FaultyApp]:
    """Workers that know how many they are, and whom chance always puts off; nobody asks for jobs any more."""
    chance = SimpleNamespace(random=lambda: 0.99, uniform=lambda low, high: high)
    monkeypatch.setattr("longshore.worker.claiming.random", chance)
    gate.serve(app)
    with ExitStack() as stack:
        workers = [app.worker(slots=1, poll=NEVER, heartbeat=1.0, drain=0) for _ in range(WORKERS)]
        for worker in workers:
            stack.enter_context(worker)
        pause, ends = threading.Event(), time.monotonic() + 60
        while any(courier.claiming.crowd < WORKERS for worker in workers for courier in worker._team.couriers):
            assert time.monotonic() < ends, "the workers do not learn how many they are"
            pause.wait(0.05)
        asked = -1
        while asked != app.line.calls["claim"]:
            assert time.monotonic() < ends, f"idle workers go on asking: {dict(app.line.calls)}"
            asked = app.line.calls["claim"]
            pause.wait(3 * LEAST)
        yield app


def test_a_job_does_not_make_a_crowd_of_idle_workers_ask_at_once(crowd: FaultyApp, gate: Gate) -> None:
    before, began = crowd.line.calls["claim"], time.monotonic()
    crowd.enqueue(say(crowd, "one"))
    while crowd.line.calls["claim"] == before:
        threading.Event().wait(0.001)
    # Later than this does no harm, on a busy machine: the test is that nobody was earlier.
    assert time.monotonic() - began >= LEAST
    assert gate.arrived() == "one"
