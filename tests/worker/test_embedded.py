"""A worker inside an application that has a life of its own: a web server, a script, a test."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from longshore import Longshore, State
from longshore.holders import KIND
from worker.faulty import FaultyApp
from worker.gate import PATIENCE, Gate, stop
from worker.test_processes import call
from worker.test_signals import handed_back
from worker.test_supervisor import TESTS
from worker.words import Words

NEVER = 60.0
SCRIPT = (
    "import sys, threading; from worker.dock import app; app.use(sys.argv[1]); worker = app.worker(slots=1, drain=60)"
)
FOREGROUND = f"{SCRIPT}; worker.run()"
BACKGROUND = f"{SCRIPT}\nwith worker: threading.Event().wait()"
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGCHLD)


@contextmanager
def web_server(app: Longshore, words: Words, folder: Path) -> Iterator[tuple[subprocess.Popen[bytes], Path]]:
    """A real server with the quay behind it, and the socket where it answers."""
    address = folder / "web.socket"
    process = subprocess.Popen(
        [sys.executable, "-m", "uvicorn", "worker.quay:web", "--uds", address, "--log-level", "warning"],
        cwd=TESTS,
        env={**os.environ, "QUAY_URL": app.store.driver.target, "QUAY_PIPE": words.path},
    )
    try:
        yield process, address
    finally:
        process.kill()
        process.wait()


@contextmanager
def script(app: Longshore, text: str) -> Iterator[subprocess.Popen[str]]:
    """A process that runs such a text on the application's store."""
    process = subprocess.Popen(
        [sys.executable, "-c", text, app.store.driver.target], cwd=TESTS, stderr=subprocess.PIPE, text=True
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def request(address: Path) -> str:
    """The body of the server's answer, as soon as it answers at all."""
    ends = time.monotonic() + PATIENCE
    while True:
        with socket.socket(socket.AF_UNIX) as line:
            try:
                line.connect(str(address))
            except (FileNotFoundError, ConnectionRefusedError):
                assert time.monotonic() < ends, "the server does not begin to serve"
                threading.Event().wait(0.02)
                continue
            line.sendall(b"GET / HTTP/1.1\r\nHost: quay\r\nConnection: close\r\n\r\n")
            answer = line.makefile("rb").read()
            assert answer.startswith(b"HTTP/1.1 200"), answer
            return answer.split(b"\r\n")[-1].decode()


def test_a_web_server_stops_its_worker_with_itself_and_what_runs_ends_in_peace(
    shared: Longshore, words: Words, tmp_path: Path
) -> None:
    with web_server(shared, words, tmp_path) as (process, address):
        job = shared.job(request(address))
        assert words.hear() == ["stay", "-", str(process.pid)], "it runs in the server's own process"
        process.send_signal(signal.SIGTERM)
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(0.3)
        words.open_gate()
        # Its work done, this server ends by the signal that it was sent, which was its own to handle.
        assert process.wait(PATIENCE) in (0, -signal.SIGTERM)
    assert job.result(timeout=0) == process.pid
    assert shared.store.read(KIND) == []


def test_on_an_event_loop_it_holds_up_nobody_while_it_ends(app: FaultyApp, gate: Gate) -> None:
    gate.serve(app)

    async def serve() -> str:
        async with app.worker(slots=1, poll=NEVER, drain=NEVER) as worker:
            job = await app.aenqueue(stop(app, "a"))
            assert await asyncio.to_thread(gate.arrived) == "a"
            opening = asyncio.create_task(open_when_it_stops())
        await opening
        assert worker.tally.succeeded == 1
        return await job.aresult(timeout=PATIENCE)

    async def open_when_it_stops() -> None:
        # The loop comes here only while the block above is being left.
        gate.open()

    assert asyncio.run(serve()) == "a"
    assert app.store.read(KIND) == []


def test_signals_stay_with_the_process_that_it_is_in(app: FaultyApp, gate: Gate) -> None:
    gate.serve(app)
    told: list[int] = []
    before = signal.signal(signal.SIGTERM, lambda number, _frame: told.append(number))
    try:
        handlers = [signal.getsignal(number) for number in SIGNALS]
        with app.worker(slots=1, poll=NEVER):
            job = app.enqueue(stop(app, "a"))
            assert gate.arrived() == "a"
            assert [signal.getsignal(number) for number in SIGNALS] == handlers
            signal.raise_signal(signal.SIGTERM)
            assert told == [signal.SIGTERM]
            assert job.info().state is State.RUNNING, "it is not the worker's to stop"
            gate.open()
            assert job.result(timeout=PATIENCE) == "a"
        assert [signal.getsignal(number) for number in SIGNALS] == handlers
    finally:
        signal.signal(signal.SIGTERM, before)


@pytest.mark.parametrize("text", [FOREGROUND, BACKGROUND], ids=["run", "with"])
def test_ctrl_c_lets_a_script_s_worker_finish_what_runs(shared: Longshore, words: Words, text: str) -> None:
    shared.store.now()
    with script(shared, text) as process:
        job = shared.job(call(shared, "stay", words, "a"))
        words.hear()
        process.send_signal(signal.SIGINT)
        assert not words.somebody_speaks(within=0.3), "what runs goes on"
        words.open_gate()
        _, said = process.communicate(timeout=PATIENCE)
    assert said.rstrip().endswith("KeyboardInterrupt")
    assert (job.info().state, job.info().attempt) == (State.SUCCEEDED, 1)
    assert shared.store.read(KIND) == []


@pytest.mark.parametrize("text", [FOREGROUND, BACKGROUND], ids=["run", "with"])
def test_a_second_ctrl_c_hands_back_what_a_script_s_worker_runs(shared: Longshore, words: Words, text: str) -> None:
    shared.store.now()
    with script(shared, text) as process:
        job = call(shared, "stay", words, "a")
        words.hear()
        process.send_signal(signal.SIGINT)
        # Two that come at once are one signal.
        words.await_speaking(again=lambda: process.send_signal(signal.SIGINT))
        assert words.hear()[0] == "interrupted"
        process.communicate(timeout=PATIENCE)
    assert handed_back(shared, job)
    assert shared.store.read(KIND) == []


def test_what_goes_wrong_within_is_raised_where_it_was_called(app: FaultyApp, monkeypatch: pytest.MonkeyPatch) -> None:
    worker = app.worker()

    def fail() -> None:
        raise RuntimeError("a fault of ours")

    monkeypatch.setattr("longshore.worker.courier.Courier.run", lambda self: fail())
    with pytest.raises(RuntimeError, match="a fault of ours"):
        worker.run()
    assert app.store.read(KIND) == []
