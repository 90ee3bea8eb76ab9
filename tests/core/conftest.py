"""What the core's tests share: a clock in the hand, and a memory store behind a guard and behind an application."""

from __future__ import annotations

import os
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
            code = 1
            try:
                os.write(writing, function().encode())
                code = 0
            except BaseException:  # noqa: BLE001 - whatever it was, the parent shows it
                os.write(writing, traceback.format_exc().encode())
            finally:
                os._exit(code)
        os.close(writing)
        with os.fdopen(reading) as pipe:
            answer = pipe.read()
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0, answer
        return answer

    return run
