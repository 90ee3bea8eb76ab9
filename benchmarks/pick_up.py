"""How long an idle worker in another process takes to begin a job, and what its idling costs.

The job's argument is the monotonic clock just before ``enqueue``, or at the time when the job is due; the worker,
``python -m benchmarks.pick_up STORE PROGRAM --directory …``, subtracts it from the clock when the job's body begins,
and prints the nanoseconds between.
"""

import argparse
import random
import select
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from benchmarks.footprint import cpu_seconds, peak_megabytes
from benchmarks.measure import ROOT, scratch
from benchmarks.programs import LATER_SECONDS, PickUp, load
from benchmarks.servers import serving

WARM_UP = 20
PATIENCE_SECONDS = 20
PAUSE_SECONDS = (0.005, 0.03)


@dataclass(frozen=True, slots=True, kw_only=True)
class PickUpSample:
    """Latencies in milliseconds, of jobs due at once and of those due later, after their time; the share of one CPU
    while idle (1.0 = a whole one); the worker's peak megabytes."""

    latencies: tuple[float, ...]
    later: tuple[float, ...]
    idle_share: float
    megabytes: float


def picked_up(store: str, program: str, *, jobs: int, idle_seconds: float, disk: Path) -> PickUpSample:
    """Start a worker, let it idle, then send it one job at a time."""
    ends = load(store, program).pick_up
    assert ends is not None, f"{program} has no pick-up"
    with (
        scratch(disk) as directory,
        serving(store, directory),
        ends.producer(directory) as send,
        _worker(store, program, directory) as process,
    ):
        assert process.stdout is not None

        def latency() -> float:
            send(time.monotonic_ns())
            return _answered(process.stdout) / 1e6

        for _ in range(WARM_UP):
            latency()
        idle_share = _share_while_idle(process.pid, idle_seconds)
        latencies = []
        for _ in range(jobs):
            # Of changing length, so that a worker which polls is met at every point of its interval.
            time.sleep(random.uniform(*PAUSE_SECONDS))
            latencies.append(latency())
        later = tuple(_begun_later(ends, directory, process.stdout, jobs // 4))
        megabytes = peak_megabytes(process.pid)
        return PickUpSample(latencies=tuple(latencies), later=later, idle_share=idle_share, megabytes=megabytes)


def _begun_later(ends: PickUp, directory: Path, answers: IO[str], jobs: int) -> Iterator[float]:
    """How many milliseconds after its time each of some jobs begins that are due later."""
    if ends.later is None:
        return
    with ends.later(directory) as send:
        for _ in range(jobs):
            send(time.monotonic_ns() + int(LATER_SECONDS * 1e9))
            yield _answered(answers) / 1e6


def _answered(lines: IO[str] | None) -> int:
    # An answer is one line, so between two answers nothing is left in the buffer that select() does not see.
    ready = select.select([lines], [], [], PATIENCE_SECONDS)[0] if lines is not None else []
    line = ready[0].readline() if ready else ""
    if not line:
        raise RuntimeError(f"expected a latency from the worker within {PATIENCE_SECONDS} s, came nothing")
    return int(line)


def _share_while_idle(process: int, seconds: float) -> float:
    before = cpu_seconds(process)
    time.sleep(seconds)
    return (cpu_seconds(process) - before) / seconds


@contextmanager
def _worker(store: str, program: str, directory: Path) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", "benchmarks.pick_up", store, program, "--directory", str(directory)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.terminate()
            try:
                process.wait(PATIENCE_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()


def _began(sent: int) -> None:
    print(time.monotonic_ns() - sent, flush=True)


def main() -> None:
    """Be the worker, until somebody ends this process."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("store")
    parser.add_argument("program")
    parser.add_argument("--directory", type=Path, required=True)
    arguments = parser.parse_args()
    ends: PickUp | None = load(arguments.store, arguments.program).pick_up
    if ends is None:
        parser.error(f"{arguments.program} has no pick-up")
    ends.serve(arguments.directory, _began)


if __name__ == "__main__":
    main()
