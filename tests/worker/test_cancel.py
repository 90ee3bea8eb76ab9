"""A running job is cancelled from another process, in milliseconds."""

from __future__ import annotations

import asyncio
import time

import pytest

from longshore import Longshore, State
from worker.conftest import Connect
from worker.gate import PATIENCE, Gate, stop
from worker.test_processes import PATIENT, alone, call
from worker.words import Words

pytestmark = pytest.mark.timed


def test_a_run_in_another_process_is_interrupted_long_before_its_next_heartbeat(
    shared: Longshore, words: Words
) -> None:
    with alone(shared, PATIENT):
        job = shared.job(call(shared, "stay", words, "a"))
        words.hear()
        asked = time.monotonic()
        shared.admin.cancel(job.id)
        assert words.hear()[0] == "interrupted"
        assert time.monotonic() - asked < 2.0, "PATIENT beats every 15 s"
        words.open_gate()
        job.wait(timeout=PATIENCE)


@pytest.mark.parametrize("where", ["thread", "loop"])
def test_it_takes_milliseconds_from_the_wish_to_the_end(connect: Connect, gate: Gate, where: str) -> None:
    running, asking = connect(), connect()
    gate.serve(running)

    @running.task
    async def stay(word: str) -> None:
        gate.say(word)
        await asyncio.Event().wait()

    took = []
    with running.worker(poll=60.0, heartbeat=15.0):
        running.line.await_calls("listener.wait", 2)
        for number in range(9):
            one = stop(asking, str(number)) if where == "thread" else stay.call(str(number))
            job = asking.enqueue(one)
            assert gate.arrived() == str(number)
            began = time.monotonic()
            asking.admin.cancel(job.id)
            assert job.wait(timeout=PATIENCE).state is State.CANCELLED
            took.append(time.monotonic() - began)
    assert min(took) < 0.2, [f"{seconds * 1000:.0f} ms" for seconds in took]
