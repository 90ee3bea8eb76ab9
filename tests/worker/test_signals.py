"""How worker processes are told to stop: by Ctrl-C at a terminal, all at once, as the first process of a container."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
import pytest

from longshore import Longshore, State
from longshore.holders import KIND
from worker.gate import PATIENCE
from worker.test_processes import DOCK, call
from worker.test_supervisor import TESTS, command
from worker.words import Words, await_end

pytestmark = pytest.mark.timed

CTRL_C = b"\x03"
AT_A_TERMINAL = "import os, sys; os.login_tty(0); os.execv(sys.executable, [sys.executable, *sys.argv[1:]])"


class Terminal:
    """A terminal, and the command that runs in its foreground."""

    def __init__(self, *words: str) -> None:
        self._keys, inside = pty.openpty()
        self.process = subprocess.Popen(
            [sys.executable, "-c", AT_A_TERMINAL, "-m", "longshore", *words], cwd=TESTS, stdin=inside
        )
        os.close(inside)

    def press(self, keys: bytes) -> None:
        os.write(self._keys, keys)

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self._keys)


@contextmanager
def at_a_terminal(app: Longshore, *options: str) -> Iterator[Terminal]:
    """``longshore worker`` as somebody starts it at a terminal."""
    terminal = Terminal("worker", DOCK, "--url", app.store.driver.target, *options)
    try:
        yield terminal
    finally:
        terminal.close()


def handed_back(app: Longshore, identity: str) -> bool:
    """Whether the job waits again as if it had never begun."""
    info = app.job(identity).info()
    return (info.state, info.attempt, info.crashes, info.tries) == (State.PENDING, 0, 0, 0)


def test_ctrl_c_counts_once_for_all_processes(shared: Longshore, words: Words) -> None:
    shared.store.now()
    with at_a_terminal(shared, "--processes", "2", "--slots", "1", "--drain", "60") as terminal:
        jobs = [shared.job(call(shared, "stay", words, word)) for word in "ab"]
        assert {words.hear()[1] for _ in jobs} == {"a", "b"}
        terminal.press(CTRL_C)
        assert not words.somebody_speaks(within=0.5), "what runs goes on"
        words.open_gate()
        assert terminal.process.wait(PATIENCE) == 0
    assert [job.info().state for job in jobs] == [State.SUCCEEDED] * 2
    assert shared.store.read(KIND) == []


def test_a_second_ctrl_c_stops_now(shared: Longshore, words: Words) -> None:
    shared.store.now()
    with at_a_terminal(shared, "--slots", "1", "--drain", "60") as terminal:
        job = call(shared, "stay", words, "a")
        words.hear()
        terminal.press(CTRL_C)
        # Two that come at once are one signal.
        words.await_speaking(again=lambda: terminal.press(CTRL_C))
        assert words.hear()[0] == "interrupted"
        assert terminal.process.wait(PATIENCE) == 0
    assert handed_back(shared, job)


def test_a_signal_to_all_processes_of_a_service_counts_once(shared: Longshore, words: Words) -> None:
    """As systemd stops a service, or `kill` a list: the workers get the signal itself, and their supervisor's word."""
    shared.store.now()
    with command(shared, "--processes", "2", "--slots", "1", "--drain", "60") as process:
        jobs = [shared.job(call(shared, "stay", words, word)) for word in "ab"]
        pids = [int(words.hear()[-1]) for _ in jobs]
        for pid in (process.pid, *pids):
            os.kill(pid, signal.SIGTERM)
        assert not words.somebody_speaks(within=0.5), "what runs goes on"
        words.open_gate()
        assert process.wait(PATIENCE) == 0, process.communicate()[1]
    assert [job.info().state for job in jobs] == [State.SUCCEEDED] * 2


def test_what_runs_on_after_the_drain_time_is_interrupted_and_handed_back(shared: Longshore, words: Words) -> None:
    shared.store.now()
    with command(shared, "--slots", "1", "--drain", "0.2") as process:
        job = call(shared, "stay", words, "a")
        words.hear()
        process.send_signal(signal.SIGINT)
        assert words.hear()[0] == "interrupted"
        assert process.wait(PATIENCE) == 0, process.communicate()[1]
    assert handed_back(shared, job)
    assert shared.store.read(KIND) == []


def test_when_the_supervisor_is_killed_its_children_hand_back_what_does_not_end(
    shared: Longshore, words: Words
) -> None:
    shared.store.now()
    with command(shared, "--processes", "2", "--slots", "1", "--drain", "0.2") as process:
        jobs = [call(shared, "stay", words, word) for word in "ab"]
        pids = [int(words.hear()[-1]) for _ in jobs]
        handles = [os.pidfd_open(pid) for pid in pids]
        process.kill()
        assert {words.hear()[0] for _ in jobs} == {"interrupted"}
        for pid, handle in zip(pids, handles, strict=True):
            await_end(pid, handle)
    assert all(handed_back(shared, job) for job in jobs)
    assert shared.store.read(KIND) == []


def test_a_process_that_has_not_begun_to_work_is_told_to_stop_too(shared: Longshore) -> None:
    shared.store.now()
    with command(shared, "--processes", "2", "--drain", "60") as process:
        while len(psutil.Process(process.pid).children()) < 2:
            threading.Event().wait(0.01)
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=PATIENCE)
    assert (process.returncode, out, err) == (0, "", "")


@contextmanager
def in_a_container(app: Longshore, *options: str) -> Iterator[psutil.Process]:
    """``longshore worker`` as the first process of a process namespace: it has the number 1 there, and no parent."""
    unshare = ["unshare", "--user", "--map-root-user", "--pid", "--fork", "--mount-proc", "--kill-child"]
    if subprocess.run([*unshare, "true"], capture_output=True).returncode:
        pytest.skip("this system does not let us make a process namespace")
    worker = [sys.executable, "-m", "longshore", "worker", DOCK, "--url", app.store.driver.target, *options]
    outside = subprocess.Popen([*unshare, *worker], cwd=TESTS)
    try:
        while not (inside := psutil.Process(outside.pid).children()):
            threading.Event().wait(0.01)
        yield inside[0]
    finally:
        with suppress(psutil.NoSuchProcess):
            inside[0].kill()
        outside.wait()


def number_inside(process: psutil.Process) -> str:
    """The number that a process has in its own namespace."""
    status = Path(f"/proc/{process.pid}/status").read_text()
    return next(line for line in status.splitlines() if line.startswith("NSpid")).split()[-1]


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has process namespaces")
def test_as_the_first_process_of_a_container_it_obeys_signals_and_buries_orphans(
    shared: Longshore, words: Words
) -> None:
    shared.store.now()
    with in_a_container(shared, "--slots", "2", "--drain", "60") as first:
        shared.enqueue(shared.call_by_name("leave_an_orphan", {"pipe": words.path}))
        assert words.hear()[0] == "orphan"
        ends = time.monotonic() + PATIENCE
        while len(first.children()) > 1:
            assert time.monotonic() < ends, "nobody buries the orphan that the task left behind"
            threading.Event().wait(0.05)
        assert number_inside(first) == "1"
        job = shared.job(call(shared, "stay", words, "a"))
        words.hear_about("stay")
        handle = os.pidfd_open(first.pid)
        first.send_signal(signal.SIGTERM)
        assert not words.somebody_speaks(within=0.5), "what runs goes on"
        words.open_gate()
        await_end(first.pid, handle)
    assert job.info().state is State.SUCCEEDED
    assert shared.store.read(KIND) == []
