"""A server that goes away under load and comes back, with several worker processes: the same for every engine."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import ClassVar

import pytest

from engines import Server
from longshore import Job, JobInfo, Longshore, State
from longshore.processes.supervisor import Supervisor
from longshore.worker.settings import WorkerSettings

DOCK = "worker.dock:app"
PROCESSES = 3
SLOTS = 2
STAYING = SLOTS * (PROCESSES - 1) + 1
"""So many jobs run at once only when each process runs at least one of them: who is just starting may end if the server
is away."""
PATIENCE = 50.0
ENOUGH = 60
"""Jobs that are done before the server goes away."""


class Log:
    """What worker processes say into a file, and the gate beside it at which their `stay` jobs stay."""

    def __init__(self, folder: Path) -> None:
        self.path = str(folder / "log")
        Path(self.path).touch()

    def words(self, about: str) -> Counter[str]:
        """How often each word was said by one kind of task."""
        lines = [line.split() for line in Path(self.path).read_text().splitlines()]
        return Counter(word for kind, word, _ in lines if kind == about)

    def await_words(self, about: str, number: int) -> None:
        """Waits until so many different words were said."""
        ends, pause = time.monotonic() + PATIENCE, threading.Event()
        while len(words := self.words(about)) < number:
            assert time.monotonic() < ends, f"expected {number} words of {about}, got {len(words)}"
            pause.wait(0.02)

    def open_gate(self) -> None:
        """Lets all go on."""
        Path(f"{self.path}.open").touch()


class Outages:
    """Inherit from this, and say which engine's server it is to be."""

    engine: ClassVar[str]

    @pytest.fixture
    def server(self, own_server: Callable[[str], Server]) -> Server:
        """A server of the test's own."""
        return own_server(self.engine)

    @pytest.fixture
    def app(self, server: Server) -> Iterator[Longshore]:
        """An application that waits for its store."""
        with Longshore(server.url, patience=PATIENCE) as app:
            yield app

    @pytest.fixture
    def log(self, tmp_path: Path) -> Iterator[Log]:
        """What the processes say; its gate is open at the end, so that none stays."""
        log = Log(tmp_path)
        yield log
        log.open_gate()

    @pytest.mark.slow
    @pytest.mark.timed
    @pytest.mark.timeout(180)
    def test_a_restart_under_load_costs_nothing_but_time(self, app: Longshore, server: Server, log: Log) -> None:
        """Every job is done once, those that run go on, and nobody is rescued."""
        with at_work(app, log, lease=60.0, heartbeat=1.0) as jobs:
            server.kill()
            server.restart()
            log.open_gate()
            infos = ended(jobs)
        assert {(info.state, info.attempt, info.tries, info.crashes) for info in infos} == {(State.SUCCEEDED, 1, 0, 0)}
        twice = [word for word, number in (log.words("say") + log.words("stay")).items() if number > 1]
        assert not twice, f"these jobs ran more than once: {twice}"
        assert not log.words("interrupted")

    @pytest.mark.slow
    @pytest.mark.timed
    @pytest.mark.timeout(180)
    def test_an_outage_of_two_leases_rescues_nobody_who_lives(self, app: Longshore, server: Server, log: Log) -> None:
        """The workers stop what they run before their leases are over, and do it again when the server is back."""
        lease = 2.0
        with at_work(app, log, lease=lease, heartbeat=0.4) as jobs:
            server.kill()
            began = time.monotonic()
            log.await_words("interrupted", STAYING)
            threading.Event().wait(max(0.0, began + 2 * lease - time.monotonic()))
            server.restart()
            log.open_gate()
            infos = ended(jobs)
        assert {(info.state, info.attempt, info.tries, info.crashes) for info in infos} == {(State.SUCCEEDED, 1, 0, 0)}
        assert len(log.words("say")) + len(log.words("stay")) == len(jobs)
        assert log.words("stay") == dict.fromkeys(log.words("stay"), 2)


@contextmanager
def at_work(app: Longshore, log: Log, *, lease: float, heartbeat: float) -> Iterator[list[Job[object]]]:
    """Several worker processes in the middle of many jobs, with some that stay until the gate is open."""
    settings = WorkerSettings(slots=SLOTS, lease=lease, heartbeat=heartbeat, poll=1.0, drain=5.0, grace=1.0)
    stay = [app.call_by_name("stay", {"pipe": log.path, "word": f"stay-{number}"}) for number in range(STAYING)]
    jobs = app.enqueue_many(stay)
    with Supervisor(DOCK, processes=PROCESSES, url=app.store.driver.target, settings=settings) as supervisor:
        log.await_words("stay", STAYING)
        pids = set(supervisor.pids)
        calls = [app.call_by_name("say", {"pipe": log.path, "word": f"{number}"}) for number in range(600)]
        jobs += app.enqueue_many(calls)
        log.await_words("say", ENOUGH)
        yield jobs
        assert set(supervisor.pids) == pids, "a worker process did not go on by itself"


def ended(jobs: list[Job[object]]) -> list[JobInfo]:
    """How the jobs have ended."""
    return [job.wait(timeout=PATIENCE) for job in jobs]
