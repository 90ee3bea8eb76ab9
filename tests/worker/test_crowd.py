"""A hundred idle workers and one job."""

from __future__ import annotations

import threading
import time
from contextlib import ExitStack

import pytest

from worker.faulty import FaultyApp
from worker.gate import Gate, say

pytestmark = pytest.mark.timed

NEVER = 60.0
WORKERS = 100


def quiet(app: FaultyApp) -> None:
    """Waits until nobody has asked for jobs for longer than anybody puts it off."""
    pause = threading.Event()
    ends = time.monotonic() + 30
    while time.monotonic() < ends:
        before = app.line.calls["claim"]
        pause.wait(1.3)
        if app.line.calls["claim"] == before:
            return
    raise AssertionError(f"{WORKERS} idle workers go on asking: {dict(app.line.calls)}")


@pytest.mark.slow
def test_a_job_does_not_make_a_hundred_idle_workers_ask_at_once(app: FaultyApp, gate: Gate) -> None:
    gate.serve(app)
    with ExitStack() as stack:
        workers = [app.worker(slots=1, poll=NEVER, heartbeat=1.0, drain=0) for _ in range(WORKERS)]
        for worker in workers:
            stack.enter_context(worker)
        pause = threading.Event()
        while any(courier.claiming.crowd < WORKERS for worker in workers for courier in worker._team.couriers):
            pause.wait(0.05)
        quiet(app)
        before = app.line.calls["claim"]
        app.enqueue(say(app, "one"))
        pause.wait(0.1)
        claims = app.line.calls["claim"] - before
        assert gate.arrived() == "one"
    assert claims <= 10, f"{claims} claims for one job"
