"""Worker processes that are killed, stopped and woken."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from longshore import Longshore
from longshore.contract import Write
from longshore.errors import Unavailable
from longshore.holders import KIND
from longshore.processes.child import Orders
from longshore.processes.supervisor import Child, Supervisor
from longshore.worker.settings import WorkerSettings
from worker.gate import PATIENCE, Gate
from worker.words import Words

pytestmark = pytest.mark.timed

DOCK = "worker.dock:app"
SHORT = WorkerSettings(slots=1, lease=1.5, heartbeat=0.5, poll=60, drain=5, grace=1)
PATIENT = WorkerSettings(slots=1, lease=60, heartbeat=15, poll=60, drain=5, grace=1)


def call(app: Longshore, task: str, words: Words, word: str, queue: str = "default") -> str:
    """Enqueues a job of the dock, and gives its id."""
    known = app.call_by_name(task, {"pipe": words.path, "word": word})
    options = type(known.options)(queue=queue)
    return app.enqueue(app.call_by_name(task, {"pipe": words.path, "word": word}, options=options)).id


@contextmanager
def alone(app: Longshore, settings: WorkerSettings) -> Iterator[Child]:
    """One worker process without a supervisor that would free its jobs."""
    child = Child(Orders(DOCK, settings, -1, tuple(sys.path), app.store.driver.target))
    try:
        yield child
    finally:
        child.signal(signal.SIGCONT)
        child.signal(signal.SIGKILL)
        child.end()


@contextmanager
def rescuer(app: Longshore, words: Words, settings: WorkerSettings) -> Iterator[Gate]:
    """A worker in this process that knows the dock's `stay`, and does not stay."""
    gate = Gate()
    other = Longshore(app.store.driver.target)

    @other.task
    def stay(pipe: str, word: str) -> str:
        gate.say(word)
        return "by the rescuer"

    with other, other.worker(slots=1, lease=settings.lease, heartbeat=settings.heartbeat, poll=60):
        yield gate


def stop_between_writes(child: Child, app: Longshore) -> None:
    """Stops a process where it holds nobody up: on SQLite, who is stopped while it writes locks all others out."""
    with Longshore(app.store.driver.target, patience=0) as other:
        other.store.now()
        while True:
            child.signal(signal.SIGSTOP)
            try:
                other.store.write([Write("probe", "of the lock", b"")])
            except Unavailable:
                child.signal(signal.SIGCONT)
            else:
                return


def test_the_jobs_of_a_killed_process_are_rescued_when_its_lease_is_over(shared: Longshore, words: Words) -> None:
    with alone(shared, SHORT) as child:
        job = shared.job(call(shared, "stay", words, "a"))
        assert words.hear() == ["stay", "a", str(child.process.pid)]
        child.signal(signal.SIGKILL)
        with rescuer(shared, words, SHORT):
            assert job.result(timeout=PATIENCE) == "by the rescuer"
    info = job.info()
    assert (info.attempt, info.crashes, [attempt.outcome for attempt in info.attempts]) == (1, 1, ["crashed"])
    waited = info.attempts[0].ended - info.attempts[0].started
    assert waited > (SHORT.lease - SHORT.heartbeat) * 1_000_000, f"rescued after {waited / 1e6:.2f} s already"


def test_a_process_that_was_stopped_and_woken_changes_nothing_and_works_on(shared: Longshore, words: Words) -> None:
    settings = WorkerSettings(
        **{field: getattr(SHORT, field) for field in SHORT.__struct_fields__} | {"queues": ("default", "its own")}
    )
    with alone(shared, settings) as child:
        pid = str(child.process.pid)
        job = shared.job(call(shared, "stay", words, "a"))
        assert words.hear() == ["stay", "a", pid]
        stop_between_writes(child, shared)
        with rescuer(shared, words, SHORT) as gate:
            assert gate.arrived() == "a"
            assert job.result(timeout=PATIENCE) == "by the rescuer"
            child.signal(signal.SIGCONT)
            assert words.hear() == ["interrupted", "a", pid]
            words.open_gate()
            assert words.hear() == ["late", "a", pid]
            call(shared, "say", words, "at work again", "its own")
            assert words.hear()[-1] == pid
        assert job.result() == "by the rescuer", "the late result came, and changed nothing"
        assert (job.info().attempt, job.info().crashes) == (1, 1)
        while child.read_report() and len(child.holders) < 2:
            pass
        assert child.holders[1] in {record.key for record in shared.store.read(KIND)}, "it works under a new name"


def test_the_supervisor_frees_the_jobs_of_a_killed_process_at_once(shared: Longshore, words: Words) -> None:
    url = shared.store.driver.target
    with Supervisor(DOCK, processes=1, url=url, settings=PATIENT) as supervisor:
        jobs = [shared.job(call(shared, "stay", words, word)) for word in "ab"]
        _, word, pid = words.hear()
        assert [pid] == [str(pid) for pid in supervisor.pids]
        os.kill(int(pid), signal.SIGKILL)
        _, again, other = words.hear()
        assert other != pid
        words.open_gate()
        results = {job.result(timeout=PATIENCE) for job in jobs}
    assert len(results) == 2
    infos = [job.info() for job in jobs]
    assert sorted(info.crashes for info in infos) == [0, 1]
    assert {info.attempt for info in infos} == {1}
    assert (word, again) in {("a", "a"), ("a", "b")}


def test_a_killed_process_is_replaced_though_another_holds_its_pipes(shared: Longshore, words: Words) -> None:
    url = shared.store.driver.target
    with Supervisor(DOCK, processes=1, url=url, settings=PATIENT):
        forks = shared.enqueue(shared.call_by_name("leave_a_process_behind", {"pipe": words.path}))
        pid = words.hear_about("forked")[-1]
        os.kill(int(pid), signal.SIGKILL)
        assert words.hear_about("forked")[-1] != pid
        words.open_gate()
        assert forks.wait(timeout=PATIENCE).crashes == 1


def test_a_killed_process_loses_no_job(shared: Longshore) -> None:
    url = shared.store.driver.target
    jobs = shared.enqueue_many([shared.call_by_name("nothing", {"number": number}) for number in range(1_500)])
    with Supervisor(DOCK, processes=2, url=url, settings=PATIENT) as supervisor:
        jobs[300].wait(timeout=PATIENCE)
        os.kill(supervisor.pids[0], signal.SIGKILL)
        assert [job.result(timeout=PATIENCE) for job in jobs] == list(range(1_500))
    assert {job.info().attempt for job in jobs[::50]} == {1}
