"""One job per file: two worker processes compute SHA-256 and size, a manifest is written from their results.

    python examples/checksums.py [DIRECTORY] [--url URL] [--kill-one]

The manifest is checked against a plain loop over the same files.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import signal
import sysconfig
import tempfile
import time
import uuid
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from longshore import JobInfo, Longshore, State
from longshore.contract import ENDED
from longshore.processes.supervisor import Supervisor
from longshore.worker.settings import WorkerSettings

app = Longshore("sqlite:///checksums.db")
console = Console()


@dataclass(frozen=True)
class Checksum:
    """What is known of a file's content."""

    sha256: str
    size: int


@app.task
def checksum(path: Path) -> Checksum:
    """Reads a file, and tells what is in it."""
    digest = hashlib.sha256()
    size = 0
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
            size += len(block)
    return Checksum(digest.hexdigest(), size)


def main() -> int:
    """Runs the example; gives the exit code."""
    options = _options()
    files = sorted(path for path in options.directory.rglob("*") if path.is_file() and not path.is_symlink())
    with tempfile.TemporaryDirectory() as folder:
        url = options.url or f"sqlite:///{folder}/checksums.db"
        app.use(url)
        began = time.monotonic()
        queue = f"checksums-{uuid.uuid4()}"  # Of this run alone: the store may hold other jobs.
        jobs = app.enqueue_many([checksum.options(queue=queue).call(path) for path in files])
        settings = WorkerSettings(queues=(queue,))
        with Supervisor("checksums:app", processes=options.processes, url=url, settings=settings) as workers:
            _watch(queue, len(jobs), workers, kill_one=options.kill_one)
        seconds = time.monotonic() - began
        results = {path: job.result(timeout=60) for path, job in zip(files, jobs, strict=True)}
        infos = [job.info() for job in jobs]
        app.close()
    _write_manifest(options.manifest, results)
    expected = {path: checksum(path) for path in files}
    complete = results == expected
    _summary(infos, seconds, options.manifest, complete=complete)
    return 0 if complete else 1


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Checksums of all files of a directory, one job per file.")
    standard_library = Path(sysconfig.get_paths()["stdlib"])
    parser.add_argument("directory", nargs="?", type=Path, default=standard_library, help="whose files to read")
    parser.add_argument(
        "--url", default=os.environ.get("LONGSHORE_URL"), help="the store; a temporary SQLite file if not given"
    )
    parser.add_argument("--processes", type=int, default=2, help="how many worker processes")
    parser.add_argument("--kill-one", action="store_true", help="kill a worker process with SIGKILL half-way")
    parser.add_argument("--manifest", type=Path, default=Path("manifest.txt"), help="where to write the manifest")
    return parser.parse_args()


def _watch(queue: str, total: int, workers: Supervisor, *, kill_one: bool) -> None:
    """Shows how far the jobs are, until all have ended."""
    columns = (TextColumn("checksums"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console) as progress:
        bar = progress.add_task("checksums", total=total)
        while (ended := _ended(queue)) < total:
            progress.update(bar, completed=ended)
            if kill_one and 2 * ended >= total:
                victim = workers.pids[0]
                os.kill(victim, signal.SIGKILL)
                progress.console.print(f"killed worker process {victim} with SIGKILL after {ended:,} jobs")
                kill_one = False
            time.sleep(0.001 if kill_one else 0.2)
        progress.update(bar, completed=total)


def _ended(queue: str) -> int:
    return sum(number for state, number in app.counts(queue).items() if state in ENDED)


def _write_manifest(path: Path, results: dict[Path, Checksum]) -> None:
    lines = [f"{found.sha256}  {found.size:>10}  {file}\n" for file, found in results.items()]
    path.write_text("".join(lines))


def _summary(infos: list[JobInfo], seconds: float, manifest: Path, *, complete: bool) -> None:
    table = Table(title="checksums", show_header=False)
    table.add_row("jobs", f"{len(infos):,}")
    table.add_row("succeeded", f"{sum(info.state is State.SUCCEEDED for info in infos):,}")
    table.add_row("seconds", f"{seconds:.1f}")
    table.add_row("jobs per second", f"{len(infos) / seconds:,.0f}")
    table.add_row("retries", f"{sum(max(0, info.attempt - 1) for info in infos):,}")
    table.add_row("rescued", f"{sum(info.crashes for info in infos):,}")
    table.add_row("manifest", f"{manifest}: {'complete and correct' if complete else 'WRONG'}")
    console.print(table)


if __name__ == "__main__":
    raise SystemExit(main())
