"""Other processes that use the same store."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from longshore.contract import Driver, Features
from longshore.testing.fixtures import Connect, StoreFixtures, needs
from longshore.testing.together import PATIENCE

SCRIPT = Path(__file__).parent / "programs.py"
NO_URL = "a live handle cannot be given to another process"


class Process:
    """A process that runs one of the programs of `longshore.testing.programs`."""

    def __init__(self, order: dict[str, Any]) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-P", str(SCRIPT)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        # Whatever hangs is killed: then `hear` finds the end of its output and says so.
        self._watchdog = threading.Timer(PATIENCE, self._process.kill)
        self._watchdog.daemon = True
        self._watchdog.start()
        self._tell(json.dumps(order))

    def _tell(self, line: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()

    def go(self) -> None:
        """Lets a process that is ready begin."""
        self._tell("go")

    def hear(self) -> Any:
        """The next word that it says."""
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line, "a process that uses the store died, or hung; its error is above"
        return json.loads(line)

    def kill(self) -> list[Any]:
        """Ends it with SIGKILL, and answers what else it had said."""
        self._process.kill()
        assert self._process.stdout is not None
        return [json.loads(line) for line in self._process.stdout if line.endswith("\n")]

    def close(self) -> None:
        """Leaves nothing of it behind."""
        self._watchdog.cancel()
        self._process.kill()
        self._process.communicate()


Begin = Callable[..., Process]


class ProcessFixtures(StoreFixtures):
    """Processes on the test's store, with the store's own clock."""

    @pytest.fixture
    def begin(
        self, driver_class: type[Driver], connect: Connect, target: Any, options: dict[str, Any]
    ) -> Iterator[Begin]:
        """Starts a program in another process; all are ended at the end of the test."""
        known = connect(clock=None).target
        place = known if isinstance(known, str) else target
        if not isinstance(place, str):
            pytest.skip(NO_URL)
        begun: list[Process] = []

        def begin(program: str, **arguments: Any) -> Process:
            name = f"{driver_class.__module__}:{driver_class.__qualname__}"
            order = {"driver": name, "target": place, "options": options, "path": sys.path}
            begun.append(Process(order | {"program": program, "arguments": arguments}))
            return begun[-1]

        yield begin
        for process in begun:
            process.close()

    @pytest.fixture
    def shared(self, connect: Connect) -> Driver:
        """A store that other processes may use at the same time, with its own clock."""
        store = connect(clock=None)
        needs(store, Features.SHARED)
        store.migrate()
        return store


def all_at_once(processes: list[Process]) -> list[Any]:
    """Lets processes begin when all are ready, and answers what each said."""
    for process in processes:
        assert process.hear() == "ready"
    for process in processes:
        process.go()
    return [process.hear() for process in processes]
