"""What a worker process costs while it has nothing to do."""

from __future__ import annotations

import os
import sys
import threading
import time
from pathlib import Path

import pytest

from longshore import Longshore
from longshore.processes.supervisor import Supervisor
from longshore.worker.settings import WorkerSettings
from worker.gate import PATIENCE
from worker.test_processes import DOCK

pytestmark = pytest.mark.timed

MOST_MEGABYTES = 60
MOST_SHARE_OF_A_CPU = 0.005
IDLE_SECONDS = 4.0
AS_INSTALLED = """
import sys

class NotInstalled:
    @staticmethod
    def find_spec(name, path=None, target=None):
        if name.partition(".")[0] == "cryptography":
            raise ModuleNotFoundError(f"no module named {name}", name=name)

sys.meta_path.insert(0, NotInstalled)
"""
"""PyMySQL and PyMongo import 7 MB of ``cryptography`` where they find it, as among what the tests need. None of the
extras that bring a store's client library brings it: a worker is measured as those install it."""


def resident_megabytes(pid: int) -> float:
    """What a process has in memory."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(next(line for line in status.splitlines() if line.startswith("VmRSS")).split()[1]) / 1024


def cpu_seconds(pid: int) -> float:
    """What a process has used so far, to the nanosecond, by the clock that Linux keeps for each."""
    return time.clock_gettime((~pid << 3) | 2)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells in this way what a process uses")
def test_a_worker_is_small_and_idle_when_there_is_nothing_to_do(
    shared: Longshore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "sitecustomize.py").write_text(AS_INSTALLED)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=os.pathsep)
    jobs = shared.enqueue_many([shared.call_by_name("nothing", {"number": number}) for number in range(500)])
    with Supervisor(DOCK, processes=1, url=shared.store.driver.target, settings=WorkerSettings(poll=2.0)) as supervisor:
        for job in jobs:
            job.wait(timeout=PATIENCE)
        (pid,) = supervisor.pids
        megabytes = resident_megabytes(pid)
        before, began = cpu_seconds(pid), time.monotonic()
        threading.Event().wait(IDLE_SECONDS)  # It is what happens while nothing does that is measured.
        used = cpu_seconds(pid) - before
        share = used / (time.monotonic() - began)
    assert used > 0, "not even its heartbeat was measured"
    assert megabytes < MOST_MEGABYTES, f"a worker takes {megabytes:.1f} MB, at most {MOST_MEGABYTES} are allowed"
    assert share < MOST_SHARE_OF_A_CPU, f"an idle worker uses {share:.2%} of a CPU"
