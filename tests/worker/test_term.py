"""How long a worker works: until it is idle for a while, for so many jobs, within so much memory."""

from __future__ import annotations

import os
import threading
import time

import msgspec
import pytest

from longshore import Longshore, State
from longshore.holders import KIND, HolderRecord
from longshore.processes.supervisor import Supervisor
from longshore.worker.settings import WorkerSettings
from longshore.worker.term import Term, megabytes
from worker.faulty import FaultyApp
from worker.gate import PATIENCE, Gate, say, stop
from worker.test_processes import DOCK
from worker.test_supervisor import command
from worker.words import Words, await_end

pytestmark = pytest.mark.timed

NEVER = 60.0


class Hand:
    """A clock in the hand."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def only_record(app: Longshore) -> HolderRecord:
    (record,) = app.store.read(KIND)
    return msgspec.json.decode(record.value, type=HolderRecord)


def test_it_ends_when_it_was_idle_for_so_long_and_not_while_something_runs(app: FaultyApp, gate: Gate) -> None:
    gate.serve(app)
    began = time.monotonic()
    app.worker(poll=NEVER, idle_timeout=0.2).run()
    assert 0.2 <= time.monotonic() - began < PATIENCE
    app.enqueue(stop(app, "a"))
    worker = app.worker(slots=1, poll=NEVER, idle_timeout=0.05)
    ended = threading.Event()
    running = threading.Thread(target=lambda: (worker.run(), ended.set()))
    running.start()
    assert gate.arrived() == "a"
    assert not ended.wait(0.3)
    gate.open()
    running.join(PATIENCE)
    assert (worker.tally.succeeded, worker.retired) == (1, None)


def test_it_runs_exactly_as_many_jobs_as_it_may(app: FaultyApp) -> None:
    ran: list[int] = []

    @app.task
    def note(number: int) -> None:
        ran.append(number)

    jobs = app.enqueue_many([note.call(number) for number in range(200)])
    worker = app.worker(slots=3, max_jobs=100, poll=NEVER)
    worker.run()
    assert (len(ran), worker.tally.succeeded) == (100, 100)
    assert "it has run 100 jobs" in (worker.retired or "")
    assert sum(job.info().state is State.PENDING for job in jobs) == 100
    assert app.store.read(KIND) == []


def test_above_its_memory_it_takes_nothing_more_and_finishes_what_runs(app: FaultyApp, gate: Gate) -> None:
    gate.serve(app)
    with app.worker(slots=2, poll=NEVER, max_memory=1.0) as worker:
        jobs = app.enqueue_many([stop(app, "stays"), say(app, "ends"), *[say(app, "never")] * 3])
        assert {gate.arrived(), gate.arrived()} == {"stays", "ends"}
        jobs[1].wait(timeout=PATIENCE)
        assert gate.nobody_arrives(within=0.2)
        gate.open()
        assert jobs[0].result(timeout=PATIENCE) == "stays"
    assert "MB" in (worker.retired or "")
    assert {job.info().state for job in jobs[2:]} == {State.PENDING}


def test_the_memory_is_looked_at_once_a_second() -> None:
    clock, used = Hand(), [10.0]
    term = Term(WorkerSettings(max_memory=50), monotonic=clock, megabytes=lambda: used[0])
    assert term.reason_to_retire() is None
    used[0] = 51.0
    assert term.reason_to_retire() is None
    clock.now += 1.0
    assert term.reason_to_retire() == "it takes 51 MB"
    ballast = bytearray(os.urandom(1)) * 50_000_000
    assert megabytes() > len(ballast) / 1024 / 1024


def test_a_process_that_has_run_its_jobs_is_replaced_at_once(shared: Longshore, words: Words) -> None:
    settings = WorkerSettings(slots=1, poll=60, max_jobs=2)
    calls = [shared.call_by_name("say", {"pipe": words.path, "word": str(number)}) for number in range(6)]
    with Supervisor(DOCK, processes=1, url=shared.store.driver.target, settings=settings):
        jobs = shared.enqueue_many(calls)
        pids = [words.hear()[-1] for _ in jobs]
    assert pids[0] == pids[1] != pids[2] == pids[3] != pids[4] == pids[5]
    assert {job.info().crashes for job in jobs} == {0}


def test_a_process_that_has_grown_too_large_is_replaced_at_once(shared: Longshore, words: Words) -> None:
    settings = WorkerSettings(slots=1, poll=60, max_memory=1.0)
    calls = [shared.call_by_name("say", {"pipe": words.path, "word": str(number)}) for number in range(3)]
    with Supervisor(DOCK, processes=1, url=shared.store.driver.target, settings=settings):
        jobs = shared.enqueue_many(calls)
        assert len({words.hear()[-1] for _ in jobs}) == 3, "each is larger than a megabyte, and runs one job"
    assert {job.info().crashes for job in jobs} == {0}


def test_idle_processes_end_and_are_not_replaced(shared: Longshore, words: Words) -> None:
    shared.store.now()
    shared.enqueue(shared.call_by_name("say", {"pipe": words.path, "word": "a"}))
    with command(shared, "--processes", "2", "--idle-timeout", "0.5") as process:
        pid = int(words.hear()[-1])
        await_end(pid, os.pidfd_open(pid))
        assert process.wait(PATIENCE) == 0


def test_the_command_takes_weights_limits_and_the_rest(shared: Longshore, words: Words) -> None:
    shared.store.now()
    options = ["-q", "high=3", "-q", "low=1", "--limit", "say=1", "--max-jobs", "1000", "--max-memory", "1000"]
    with command(shared, *options, "--until-empty") as process:
        out, err = process.communicate(timeout=PATIENCE)
    assert (process.returncode, out) == (0, "")
    assert err.splitlines()[1:] == [], "only that no task uses these queues"
    for wrong, said in (
        (["-q", "high=3", "-q", "low"], "expected NAME=NUMBER"),
        (["-q", "high=0"], "must be at least 1"),
        (["-q", "a=1", "--strict"], "have no other order beside them"),
    ):
        with command(shared, *wrong) as process:
            out, err = process.communicate(timeout=PATIENCE)
        assert process.returncode == 2, err
        assert said in " ".join(err.replace("│", "").split()), err


def test_its_record_says_what_it_is_and_does(app: FaultyApp, gate: Gate) -> None:
    gate.serve(app)
    worker = app.worker(slots=3, poll=NEVER, heartbeat=0.05, release="v7", drain=NEVER)
    worker.start()
    app.enqueue(stop(app, "a"))
    gate.arrived()
    while (record := only_record(app)).busy != 1:
        threading.Event().wait(0.02)
    assert (record.release, record.status, record.slots) == ("v7", "working", 3)
    (shown,) = app.admin.workers()
    assert (shown.release, shown.status) == ("v7", "working")
    worker.ask_to_stop()
    while only_record(app).status != "stopping":
        threading.Event().wait(0.02)
    gate.open()
    worker.stop()
