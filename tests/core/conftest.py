"""What the core's tests share: a clock in the hand, and a memory store behind a guard and behind an application."""

from __future__ import annotations

import os
import signal
import traceback
from collections.abc import Callable

import pytest

from longshore import Longshore
from longshore.guard import Guard
from longshore.memory import MemoryDriver
from longshore.memory_store import MemoryStore
from longshore.testing.clock import ManualClock


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def memory() -> MemoryStore:
    return MemoryStore()


@pytest.fixture
def store(memory: MemoryStore, clock: ManualClock) -> Guard:
    return Guard(MemoryDriver.connect(memory, clock=clock))


@pytest.fixture
def app(memory: MemoryStore, clock: ManualClock) -> Longshore:
    return Longshore(memory, clock=clock)


@pytest.fixture
def in_child() -> Callable[[Callable[[], str]], str]:
    """Runs a function in a forked child, and gives what it answered there."""

    def run(function: Callable[[], str]) -> str:
        reading, writing = os.pipe()
        pid = os.fork()
        if pid == 0:
            try:
                os.write(writing, f"answer:{function()}".encode())
            except BaseException:  # noqa: BLE001 - whatever it was, the parent shows it
                os.write(writing, traceback.format_exc().encode())
            finally:
                os._exit(0)
        os.close(writing)
        try:
            with os.fdopen(reading) as pipe:
                outcome, _, answer = pipe.read().partition(":")
        finally:
            os.kill(pid, signal.SIGKILL)  # It has answered, or the test's time is up and it never will.
            os.waitpid(pid, 0)
        assert outcome == "answer", f"the child failed: {outcome}:{answer}"
        return answer

    return run
