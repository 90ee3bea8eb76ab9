"""Several worker processes: kept alive, ended together; and the command line that begins them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from longshore import Longshore, State
from longshore.holders import KIND
from longshore.processes.supervisor import Supervisor
from longshore.worker.settings import WorkerSettings
from worker.gate import PATIENCE
from worker.test_processes import DOCK, PATIENT, call
from worker.words import Words, await_end

pytestmark = pytest.mark.timed

TESTS = Path(__file__).parent.parent


@contextmanager
def command(app: Longshore, *options: str) -> Iterator[subprocess.Popen[str]]:
    """``longshore worker`` on the application's store."""
    process = longshore("worker", DOCK, "--url", app.store.driver.target, *options)
    try:
        yield process
    finally:
        process.kill()
        process.wait()
        for pipe in (process.stdout, process.stderr):
            assert pipe is not None
            pipe.close()


def longshore(*words: str) -> subprocess.Popen[str]:
    """A process of the command line, where the dock can be found."""
    return subprocess.Popen(
        [sys.executable, "-m", "longshore", *words],
        cwd=TESTS,
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def test_told_to_stop_it_drains_and_exits_with_0(shared: Longshore, words: Words) -> None:
    shared.store.now()
    with command(shared, "--processes", "2", "--slots", "1") as process:
        jobs = [shared.job(call(shared, "stay", words, word)) for word in "ab"]
        pids = {words.hear()[-1] for _ in jobs}
        assert len(pids) == 2, "each process runs one"
        later = shared.job(call(shared, "say", words, "later"))
        process.send_signal(signal.SIGTERM)
        # The children have been told when they have let go of what they will not run.
        handles = [os.pidfd_open(int(pid)) for pid in pids]
        words.open_gate()
        assert process.wait(PATIENCE) == 0, process.communicate()[1]
        for pid, handle in zip(pids, handles, strict=True):
            await_end(int(pid), handle)
    assert [job.info().state for job in jobs] == [State.SUCCEEDED] * 2
    assert [job.info().attempt for job in jobs] == [1, 1]
    assert later.info().state in (State.PENDING, State.SUCCEEDED)
    assert shared.store.read(KIND) == [], "their leases were ended"


def test_a_second_signal_stops_now_and_hands_back(shared: Longshore, words: Words) -> None:
    shared.store.now()
    with command(shared, "--slots", "1", "--drain", "60") as process:
        job = shared.job(call(shared, "stay", words, "a"))
        words.hear()
        process.send_signal(signal.SIGTERM)
        # Two of a kind may be merged on their way.
        words.await_speaking(again=lambda: process.send_signal(signal.SIGTERM))
        assert words.hear()[0] == "interrupted"
        assert process.wait(PATIENCE) == 0, process.communicate()[1]
    info = job.info()
    assert (info.state, info.attempt, info.crashes, info.tries) == (State.PENDING, 0, 0, 0)
    assert shared.store.read(KIND) == []


def test_when_the_supervisor_is_killed_its_children_finish_and_end(shared: Longshore, words: Words) -> None:
    shared.store.now()
    with command(shared, "--processes", "2", "--slots", "1") as process:
        jobs = [shared.job(call(shared, "stay", words, word)) for word in "ab"]
        pids = [int(words.hear()[-1]) for _ in jobs]
        handles = [os.pidfd_open(pid) for pid in pids]
        process.kill()
        process.wait(PATIENCE)
        words.open_gate()
        for pid, handle in zip(pids, handles, strict=True):
            await_end(pid, handle)
    assert [job.info().state for job in jobs] == [State.SUCCEEDED] * 2


def test_until_empty_it_works_and_exits_with_0(shared: Longshore) -> None:
    jobs = shared.enqueue_many([shared.call_by_name("nothing", {"number": number}) for number in range(50)])
    with command(shared, "--processes", "2", "--until-empty") as process:
        out, err = process.communicate(timeout=PATIENCE)
    assert (process.returncode, out, err) == (0, "", "")
    assert [job.result(timeout=0) for job in jobs] == list(range(50))


def test_a_supervisor_whose_workers_have_ended_can_be_left(shared: Longshore, words: Words) -> None:
    job = shared.job(call(shared, "say", words, "a"))
    with Supervisor(
        DOCK, processes=1, url=shared.store.driver.target, settings=PATIENT, until_empty=True
    ) as supervisor:
        handle = os.pidfd_open(supervisor.pids[0])
        await_end(int(words.hear()[-1]), handle)
    assert job.info().state is State.SUCCEEDED
    supervisor.stop()


def test_a_child_that_cannot_start_is_tried_with_growing_pauses(
    shared: Longshore, words: Words, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SINKING_PIPE", words.path)
    with Supervisor("worker.sinking:app", processes=1, url=shared.store.driver.target, settings=WorkerSettings()):
        first, second, third = (float(words.hear_about("tried")[1]) for _ in range(3))
        began = time.monotonic()
    assert time.monotonic() - began < 1.5, "told to stop, it does not wait for its pause"
    assert second - first >= 1.0
    assert third - second >= 2.0


def test_a_process_that_the_system_refuses_to_start_is_tried_again(
    shared: Longshore, words: Words, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = shared.job(call(shared, "say", words, "a"))
    monkeypatch.setattr(sys, "executable", str(TESTS / "no such program"))
    with Supervisor(DOCK, processes=1, url=shared.store.driver.target, settings=PATIENT) as supervisor:
        assert supervisor.pids == []
        monkeypatch.undo()
        assert job.result(timeout=PATIENCE) == int(words.hear()[-1])


@pytest.mark.parametrize(
    ("words_given", "said"),
    [
        (["worker", "nowhere:app"], "there is no module 'nowhere'"),
        (["worker", "worker.dock"], "expected an application as module:attribute"),
        (["worker", "worker.dock:tell"], "must name a Longshore application; there is a function"),
        (["worker", DOCK, "--url", "sqlit:///x"], "did you mean sqlite://?"),
        (["worker"], "Missing argument"),
    ],
    ids=["module", "form", "function", "scheme", "nothing"],
)
def test_what_cannot_be_is_said_and_exits_with_2(words_given: list[str], said: str) -> None:
    process = longshore(*words_given)
    out, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 2, err
    assert said in err
    assert "Traceback" not in err
    assert out == ""
