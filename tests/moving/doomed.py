"""Moves, copies and aborts that end at a point: by an exception in tests of one process, by SIGKILL in a process.

``doomed.py SOURCE DESTINATION POINT`` moves from one URL to the other and dies at that point.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Sequence
from typing import Any, Final, NoReturn, TypeVar

from longshore import registry
from longshore.contract import Answer, Change, Driver, Inserted, NewJob, StoredJob, Where, Write
from longshore.guard import Guard
from longshore.motion import AWAY, HERE
from longshore.moving.mover import Mover
from longshore.testing.faults.cut import CutDriver

T = TypeVar("T")

POINTS: Final[dict[str, tuple[str, str, Callable[[Any], bool]]]] = {
    "sealing": ("source", "write", lambda write: write.key == AWAY),
    "expecting": ("destination", "write", lambda write: write.key.startswith(HERE)),
    "copying a rule": ("destination", "write", lambda write: write.kind == "paused queue"),
    "taking": ("source", "update", lambda change: "queue" in change.fields),
    "inserting": ("destination", "insert", lambda job: True),
    "freeing a period": ("source", "update", lambda change: "unique_held" in change.fields),
    "deleting": ("source", "delete", lambda where: True),
    "writing a record": ("destination", "write", lambda write: write.kind == "group"),
    "erasing a record": ("source", "write", lambda write: write.kind == "group" and write.value is None),
    "expecting no more": ("destination", "write", lambda write: write.key.startswith(HERE) and write.value is None),
}
"""After which call a move ends: at which store, of which method, with which element."""


class Died(Exception):
    """What stands for the end of a process in tests of one."""


class DoomedDriver(CutDriver):
    """Dies after a call took effect."""

    def __init__(self, whole: Driver, point: str, die: Callable[[], NoReturn]) -> None:
        super().__init__(whole)
        _, self._method, self._is_meant = POINTS[point]
        self._die = die

    def insert(self, jobs: Sequence[NewJob | StoredJob], *, tx: Any = None) -> list[Inserted]:
        return self._after("insert", jobs, super().insert(jobs, tx=tx))

    def update(self, changes: Sequence[Change], *, tx: Any = None) -> list[Answer]:
        return self._after("update", changes, super().update(changes, tx=tx))

    def delete(self, where: Where, *, limit: int = 1_000) -> list[str]:
        return self._after("delete", [where], super().delete(where, limit=limit))

    def write(self, writes: Sequence[Write], *, tx: Any = None) -> list[int | None]:
        return self._after("write", writes, super().write(writes, tx=tx))

    def _after(self, method: str, elements: Sequence[Any], answer: T) -> T:
        if method == self._method and any(map(self._is_meant, elements)):
            self._die()
        return answer


def doomed(source: Guard, destination: Guard, point: str, die: Callable[[], NoReturn]) -> tuple[Guard, Guard]:
    """Both stores, of which one dies at the point."""
    side = POINTS[point][0]
    return (
        Guard(DoomedDriver(source.driver, point, die)) if side == "source" else source,
        Guard(DoomedDriver(destination.driver, point, die)) if side == "destination" else destination,
    )


def raise_died() -> NoReturn:
    raise Died


def _kill() -> NoReturn:
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError("this process is dead")


def main(source: str, destination: str, point: str) -> None:
    stores = [Guard(registry.connect(url)) for url in (source, destination)]
    Mover(*doomed(*stores, point, _kill), settle=0.0).run()


if __name__ == "__main__":
    main(*sys.argv[1:])
