"""A memory store at the end of a line that breaks as planned: before a call has arrived, or before its answer has."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from enum import Enum, auto
from functools import partial
from typing import Any, TypeVar

from longshore.contract import Answer, Change, Claim, Claimed, Inserted, NewJob, Record, StoredJob, Write
from longshore.errors import Unavailable
from longshore.memory import MemoryDriver

T = TypeVar("T")


class Line(Enum):
    """What the line does with one call."""

    HOLDS = auto()
    LOSES_CALL = auto()
    LOSES_ANSWER = auto()


HOLDS, LOSES_CALL, LOSES_ANSWER = Line


class BrokenLine(MemoryDriver):
    """The memory driver; `plan` says what becomes of the next calls, later ones hold. `calls` has what was sent."""

    def plan(self, *lines: Line) -> None:
        self._planned = deque(lines)
        self.calls: list[tuple[str, int]] = []

    def _carry(self, name: str, elements: Sequence[Any], call: Callable[[], T]) -> T:
        self.calls.append((name, len(elements)))
        line = self._planned.popleft() if self._planned else HOLDS
        if line is LOSES_CALL:
            raise Unavailable("the line broke before the call arrived")
        answer = call()
        if line is LOSES_ANSWER:
            raise Unavailable("the line broke before the answer arrived")
        return answer

    def insert(self, jobs: Sequence[NewJob | StoredJob], *, tx: Any = None) -> list[Inserted]:
        return self._carry("insert", jobs, partial(super().insert, jobs, tx=tx))

    def claim(self, claims: Sequence[Claim], **limits: Any) -> Claimed:
        return self._carry("claim", claims, partial(super().claim, claims, **limits))

    def update(self, changes: Sequence[Change], *, tx: Any = None) -> list[Answer]:
        return self._carry("update", changes, partial(super().update, changes, tx=tx))

    def read(self, kind: str, keys: Sequence[str] | None = None, **rest: Any) -> list[Record]:
        return self._carry("read", keys or (), partial(super().read, kind, keys, **rest))

    def write(self, writes: Sequence[Write], *, tx: Any = None) -> list[int | None]:
        return self._carry("write", writes, partial(super().write, writes, tx=tx))
