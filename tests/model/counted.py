"""A store whose calls a test counts, cuts, and acts between."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from longshore.contract import Driver, Write
from longshore.errors import Unavailable
from longshore.testing.faults.cut import CutDriver

T = TypeVar("T")


class CountedDriver(CutDriver):
    """Counts calls, and lets a test act after a write took effect and before its answer is lost."""

    def __init__(self, whole: Driver) -> None:
        super().__init__(whole)
        self.calls: Counter[str] = Counter()
        self.meanwhile: Callable[[], object] = lambda: None

    def _pass(self, method: str, call: Callable[[], T]) -> T:
        self.calls[method] += 1
        return super()._pass(method, call)

    def write(self, writes: Sequence[Write], *, tx: Any = None) -> list[int | None]:
        try:
            return super().write(writes, tx=tx)
        except Unavailable:
            self.meanwhile()
            raise
