"""The example and the benchmark, run as a user runs them."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FILES = 1_500


@pytest.fixture
def cargo(tmp_path: Path) -> Path:
    """A folder of files that all differ."""
    folder = tmp_path / "cargo"
    for number in range(FILES):
        path = folder / str(number % 10) / f"{number}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"file {number}\n" * (number % 50))
    return folder


def run_example(cargo: Path, manifest: Path, *options: str) -> str:
    command = [
        sys.executable,
        str(ROOT / "examples" / "checksums.py"),
        str(cargo),
        "--manifest",
        str(manifest),
        *options,
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=110, cwd=manifest.parent, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def check_manifest(cargo: Path, manifest: Path) -> None:
    wanted = {
        str(path): (hashlib.sha256(path.read_bytes()).hexdigest(), str(path.stat().st_size))
        for path in cargo.rglob("*.txt")
    }
    lines = [line.split(maxsplit=2) for line in manifest.read_text().splitlines()]
    assert {path: (digest, size) for digest, size, path in lines} == wanted


@pytest.mark.timeout(120)
def test_the_example_writes_a_complete_manifest(cargo: Path, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/given.db"
    shown = run_example(cargo, tmp_path / "manifest.txt", "--url", url)
    check_manifest(cargo, tmp_path / "manifest.txt")
    assert "complete and correct" in shown
    assert f"{FILES:,}" in shown
    assert Path(tmp_path / "given.db").exists(), "--url chooses the store"


@pytest.mark.timeout(120)
@pytest.mark.timed
def test_the_manifest_is_complete_though_a_worker_was_killed(cargo: Path, tmp_path: Path) -> None:
    shown = run_example(cargo, tmp_path / "manifest.txt", "--kill-one")
    assert "with SIGKILL after" in shown
    check_manifest(cargo, tmp_path / "manifest.txt")


@pytest.mark.slow
@pytest.mark.timeout(120)
def test_the_benchmark_measures_longshore_beside_the_limit() -> None:
    command = [sys.executable, "-m", "benchmarks", "--quick", "--only", "limit,longshore"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=110, cwd=ROOT, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "own time" in done.stdout
    assert "a job due later begins" in done.stdout
