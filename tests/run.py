"""Every test: first those that do not mind company, side by side; then, on the servers too, those of the core whose
meaning an engine could bend; then those that are judged by a clock, with little beside them.

    python tests/run.py [what pytest takes]

Files and servers of the tests live in memory where there is room, so that a busy disk disturbs nobody; TMPDIR in the
environment chooses another place. In continuous integration (CI=true) it also fails when all of them together take
longer than CONTRIBUTING.md allows.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

REPOSITORY = Path(__file__).parent.parent
BACKLOG = 5_000
"""Jobs of each kind in the kit's test of costs: a statement that walks through them shows as well as with more."""
PYTEST = [sys.executable, "-m", "pytest", "--durations=10", "--reruns=1", "-rR", f"--longshore-backlog={BACKLOG}"]
SIDE_BY_SIDE = ["-m", "not timed", "--numprocesses=4", "--dist=loadfile"]
ON_SERVERS = ["-m", "every_engine and not timed", *SIDE_BY_SIDE[2:]]
BY_THE_CLOCK = ["-m", "timed", "--numprocesses=3", "--dist=loadfile"]
SERVERS = {"LONGSHORE_TEST_STORES": "postgres,redis"}
GOOD, BAD, NOTHING_COLLECTED = 0, 1, 5
MEMORY = Path("/dev/shm")
ROOM = 8 * 2**30
LIMIT = re.compile(r"tests together take at most (\d+) seconds")


def seconds_allowed(page: Path) -> float:
    """The limit that a page states; ValueError when it states none."""
    found = LIMIT.search(page.read_text())
    if found is None:
        raise ValueError(f"{page.name} does not say: tests together take at most … seconds")
    return float(found[1])


def verdict(codes: list[int]) -> int:
    """One exit code of several runs, of which some may have had nothing to do."""
    if all(code == NOTHING_COLLECTED for code in codes):
        return NOTHING_COLLECTED
    return next((code for code in codes if code not in (GOOD, NOTHING_COLLECTED)), GOOD)


@contextmanager
def quick_folder() -> Iterator[dict[str, str]]:
    """The environment with a folder in memory for what is temporary, if there is such a place and none was chosen."""
    if "TMPDIR" in os.environ or not MEMORY.is_dir() or shutil.disk_usage(MEMORY).free < ROOM:
        yield dict(os.environ)
        return
    with tempfile.TemporaryDirectory(dir=MEMORY, prefix="longshore-", ignore_cleanup_errors=True) as folder:
        Path(folder).chmod(0o1777)  # As such folders are: some servers run as another user, and write there, too.
        yield os.environ | {"TMPDIR": folder}


def parts() -> list[tuple[list[str], dict[str, str]]]:
    """The runs of pytest, each with what its environment has more; who names stores has every test on those alone."""
    on_servers = [] if SERVERS.keys() & os.environ.keys() else [(ON_SERVERS, SERVERS)]
    return [(SIDE_BY_SIDE, {}), *on_servers, (BY_THE_CLOCK, {})]


def ended(part: list[str], arguments: list[str], environment: dict[str, str]) -> int:
    """The exit code of one run."""
    return subprocess.run([*PYTEST, *part, *arguments], check=False, cwd=REPOSITORY, env=environment).returncode


def main(arguments: list[str]) -> int:
    """Runs all and returns the exit code."""
    allowed, began = seconds_allowed(REPOSITORY / "CONTRIBUTING.md"), time.monotonic()
    with quick_folder() as environment:
        code = verdict([ended(part, arguments, environment | stores) for part, stores in parts()])
    took = time.monotonic() - began
    print(f"all tests together: {took:.0f} s of {allowed:.0f} s")
    late = took > allowed and os.environ.get("CI", "").lower() not in ("", "0", "false")
    return code or (BAD if late else GOOD)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
