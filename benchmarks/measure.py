"""Run one phase of one program in a process of its own, and bring back what it cost.

The child, ``python -m benchmarks.measure STORE PROGRAM PHASE …``, prints one line of JSON.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmarks.footprint import peak_megabytes
from benchmarks.programs import load
from benchmarks.servers import serving
from benchmarks.stage import Stage

ROOT = Path(__file__).parent.parent
PATIENCE_SECONDS = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One timed stretch: jobs, seconds on the wall and on the CPU, and the process's peak memory in megabytes."""

    jobs: int
    wall: float
    cpu: float
    megabytes: float

    @property
    def jobs_per_second(self) -> float:
        return self.jobs / self.wall

    @property
    def cpu_microseconds(self) -> float:
        """CPU time per job."""
        return self.cpu / self.jobs * 1e6


@contextmanager
def scratch(parent: Path) -> Iterator[Path]:
    """A directory of its own for each run, gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="longshore-bench-", dir=parent) as directory:
        yield Path(directory)


def measured(store: str, program: str, phase: str, *, jobs: int, warm_up: int, backlog: int, disk: Path) -> Sample:
    """Run one phase in a fresh process, on a fresh store below ``disk``."""
    with scratch(disk) as directory, serving(store, directory):
        command = [sys.executable, "-m", "benchmarks.measure", store, program, phase, "--directory", str(directory)]
        command += ["--jobs", str(jobs), "--warm-up", str(warm_up), "--backlog", str(backlog)]
        answer = subprocess.run(
            command, cwd=ROOT, stdout=subprocess.PIPE, check=True, text=True, timeout=PATIENCE_SECONDS
        )
    return Sample(**json.loads(answer.stdout))


def sample_of(arguments: argparse.Namespace) -> Sample:
    """Run the phase in this process."""
    stage = Stage(
        directory=arguments.directory, jobs=arguments.jobs, warm_up=arguments.warm_up, backlog=arguments.backlog
    )
    load(arguments.store, arguments.program).phases[arguments.phase].run(stage)
    if stage.reading is None:
        raise RuntimeError(f"{arguments.program}, {arguments.phase}: expected one timed stretch, came none")
    reading = stage.reading
    return Sample(jobs=reading.jobs, wall=reading.wall, cpu=reading.cpu, megabytes=peak_megabytes("self"))


def main() -> None:
    """Measure what the command line names, and print the sample as a line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("store")
    parser.add_argument("program")
    parser.add_argument("phase")
    parser.add_argument("--directory", type=Path, required=True)
    for number in ("--jobs", "--warm-up", "--backlog"):
        parser.add_argument(number, type=int, required=True)
    print(json.dumps(asdict(sample_of(parser.parse_args()))))


if __name__ == "__main__":
    main()
