"""An application whose workers reach the store over a line that a test cuts, holds and mends."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from longshore import Longshore
from longshore.contract import Answer, Change, Claim, Claimed, Driver, Listener
from longshore.errors import Unavailable
from longshore.guard import Guard
from longshore.testing.faults.cut import CutDriver, Moment
from worker.gate import PATIENCE

T = TypeVar("T")


class Hold:
    """A call that took effect, and whose answer waits until the test lets it arrive."""

    def __init__(self) -> None:
        self.reached = threading.Event()
        self.released = threading.Event()


class Line:
    """What lies between the workers of an application and its store. Thread-safe."""

    def __init__(self) -> None:
        self.calls: Counter[str] = Counter()
        self.sizes: list[int] = []
        self.cannot_take: Callable[[Change], bool] = lambda change: False
        self._changed = threading.Condition()
        self._cuts: list[tuple[str, Moment]] = []
        self._breaking = 0
        self._holds: dict[str, Hold] = {}
        self._is_down = False

    def cut(self, method: str, moment: Moment) -> None:
        """The next call of the method breaks, before or after it takes effect; asked for twice, the next two do."""
        with self._changed:
            self._cuts.append((method, moment))

    def hold(self, method: str) -> Hold:
        """Keeps back the answer of the next call of the method."""
        with self._changed:
            return self._holds.setdefault(method, Hold())

    def go_down(self) -> None:
        """From now on nothing gets through."""
        with self._changed:
            self._is_down = True

    def mend(self) -> None:
        """From now on everything gets through."""
        with self._changed:
            self._is_down = False

    def await_cuts(self) -> None:
        """Waits until all that was to break has broken."""
        with self._changed:
            done = self._changed.wait_for(lambda: not self._cuts and not self._breaking, PATIENCE)
        assert done, f"expected these calls to be made: {self._cuts}; made were {dict(self.calls)}"

    def await_calls(self, method: str, number: int) -> None:
        """Waits until the method was called so many times in all, got through or not."""
        with self._changed:
            done = self._changed.wait_for(lambda: self.calls[method] >= number, PATIENCE)
        assert done, f"expected {number} calls of {method}; made were {dict(self.calls)}"

    def note(self, method: str) -> None:
        """Counts a call."""
        with self._changed:
            self.calls[method] += 1
            self._changed.notify_all()

    def carry(self, method: str, call: Callable[[], T]) -> T:
        """Makes one call over the line."""
        self.note(method)
        with self._changed:
            moment = next((moment for name, moment in self._cuts if name == method), None)
            if moment is not None:
                self._cuts.remove((method, moment))
                self._breaking += 1
            hold = self._holds.pop(method, None)
            is_down = self._is_down
        if is_down:
            raise Unavailable("the line is down, as the test wanted")
        answer = call() if moment is not Moment.BEFORE else None
        if moment is not None:
            with self._changed:
                self._breaking -= 1
                self._changed.notify_all()
            raise Unavailable(f"the line broke {moment.name.lower()} {method} took effect, as the test wanted")
        if hold is not None:
            hold.reached.set()
            assert hold.released.wait(PATIENCE), f"the test never let the answer of {method} arrive"
        return answer  # type: ignore[return-value]


class LineDriver(CutDriver):
    """A connection over a `Line`."""

    def __init__(self, whole: Driver, line: Line) -> None:
        super().__init__(whole)
        self._line = line

    def _pass(self, method: str, call: Callable[[], T]) -> T:
        return self._line.carry(method, call)

    def claim(self, claims: Sequence[Claim], *, holder: str, limit: int, max_bytes: int | None = None) -> Claimed:
        claimed = super().claim(claims, holder=holder, limit=limit, max_bytes=max_bytes)
        self._line.sizes.append(len(claimed.jobs))
        return claimed

    def update(self, changes: Sequence[Change], *, tx: Any = None) -> list[Answer]:
        self._check(changes)
        return super().update(changes, tx=tx)

    def exchange(
        self,
        changes: Sequence[Change],
        claims: Sequence[Claim],
        *,
        holder: str,
        limit: int,
        max_bytes: int | None = None,
    ) -> tuple[list[Answer], Claimed]:
        self._check(changes)
        answers, claimed = super().exchange(changes, claims, holder=holder, limit=limit, max_bytes=max_bytes)
        self._line.sizes.append(len(claimed.jobs))
        return answers, claimed

    def listen(self, topics: Sequence[str]) -> Listener:
        return NotedListener(super().listen(topics), self._line)

    def _check(self, changes: Sequence[Change]) -> None:
        if any(self._line.cannot_take(change) for change in changes):
            raise OverflowError("a value does not fit, as the test wanted")


class NotedListener:
    """A listener that lets a test know when somebody begins to wait again."""

    def __init__(self, listener: Listener, line: Line) -> None:
        self._listener = listener
        self._line = line

    def wait(self, timeout: float) -> bool:
        self._line.note("listener.wait")
        return self._listener.wait(timeout)

    def interrupt(self) -> None:
        self._listener.interrupt()

    def close(self) -> None:
        self._listener.close()


class FaultyApp(Longshore):
    """Its own calls go straight to the store; those of its workers go over `line`."""

    def __init__(self, target: Any, **options: Any) -> None:
        super().__init__(target, **options)
        self.line = Line()

    def another_store(self) -> Guard:
        straight = super().another_store()
        return Guard(LineDriver(straight.driver, self.line), patience=0.0, max_payload=straight.max_payload)
