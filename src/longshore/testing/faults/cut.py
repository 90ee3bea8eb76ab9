"""A driver whose connection breaks when a test wants it to."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from enum import Enum, auto
from typing import Any, Self, TypeVar

from longshore.contract import (
    EVERY,
    Answer,
    By,
    Change,
    Claim,
    Claimed,
    Clock,
    Driver,
    Inserted,
    Instant,
    Listener,
    NewJob,
    Order,
    Page,
    Record,
    StoredJob,
    Where,
    Write,
)
from longshore.errors import Unavailable

T = TypeVar("T")


class Moment(Enum):
    """When a connection breaks."""

    BEFORE = auto()  # The call never reached the store.
    AFTER = auto()  # It took effect, and its answer was lost.


class CutDriver(Driver):
    """Passes every call on to another driver, and breaks those that `cut` names. Thread-safe as that driver is."""

    def __init__(self, whole: Driver) -> None:
        self.whole = whole
        self.features = whole.features
        self.limits = whole.limits
        self.target = whole.target
        self._cuts: list[tuple[str, Moment]] = []

    def cut(self, method: str, moment: Moment) -> None:
        """The next call of the method breaks at this moment; asked for twice, the next two do."""
        self._cuts.append((method, moment))

    @property
    def is_whole(self) -> bool:
        """Whether all that was to break has broken."""
        return not self._cuts

    def _pass(self, method: str, call: Callable[[], T]) -> T:
        moment = next((moment for name, moment in self._cuts if name == method), None)
        if moment is None:
            return call()
        self._cuts.remove((method, moment))
        if moment is Moment.AFTER:
            call()
        raise Unavailable(f"the connection broke {moment.name.lower()} {method} took effect, as the test wanted")

    @classmethod
    def connect(cls, target: Any, *, clock: Clock | None = None, **options: Any) -> Self:
        """Takes a connected driver as its target."""
        return cls(target)

    def close(self) -> None:
        self._pass("close", self.whole.close)

    def migrate(self) -> None:
        self._pass("migrate", self.whole.migrate)

    def clear(self) -> None:
        self._pass("clear", self.whole.clear)

    def now(self) -> Instant:
        return self._pass("now", self.whole.now)

    def insert(self, jobs: Sequence[NewJob | StoredJob], *, tx: Any = None) -> list[Inserted]:
        return self._pass("insert", lambda: self.whole.insert(jobs, tx=tx))

    def claim(self, claims: Sequence[Claim], *, holder: str, limit: int, max_bytes: int | None = None) -> Claimed:
        return self._pass("claim", lambda: self.whole.claim(claims, holder=holder, limit=limit, max_bytes=max_bytes))

    def update(self, changes: Sequence[Change], *, tx: Any = None) -> list[Answer]:
        return self._pass("update", lambda: self.whole.update(changes, tx=tx))

    def exchange(
        self,
        changes: Sequence[Change],
        claims: Sequence[Claim],
        *,
        holder: str,
        limit: int,
        max_bytes: int | None = None,
    ) -> tuple[list[Answer], Claimed]:
        return self._pass(
            "exchange",
            lambda: self.whole.exchange(changes, claims, holder=holder, limit=limit, max_bytes=max_bytes),
        )

    def select(
        self,
        where: Where,
        *,
        order: Order = Order.NEWEST,
        limit: int = 100,
        after: str | None = None,
        each: int | None = None,
        body: bool = True,
    ) -> Page:
        return self._pass(
            "select",
            lambda: self.whole.select(where, order=order, limit=limit, after=after, each=each, body=body),
        )

    def count(self, by: By, where: Where = EVERY) -> dict[tuple[Any, ...], int]:
        return self._pass("count", lambda: self.whole.count(by, where))

    def delete(self, where: Where, *, limit: int = 1_000) -> list[str]:
        return self._pass("delete", lambda: self.whole.delete(where, limit=limit))

    def read(
        self,
        kind: str,
        keys: Sequence[str] | None = None,
        *,
        prefix: str = "",
        limit: int = 1_000,
        after: str | None = None,
    ) -> list[Record]:
        return self._pass("read", lambda: self.whole.read(kind, keys, prefix=prefix, limit=limit, after=after))

    def write(self, writes: Sequence[Write], *, tx: Any = None) -> list[int | None]:
        return self._pass("write", lambda: self.whole.write(writes, tx=tx))

    def wake(self, topics: Sequence[str]) -> None:
        self._pass("wake", lambda: self.whole.wake(topics))

    def listen(self, topics: Sequence[str]) -> Listener:
        return self._pass("listen", lambda: self.whole.listen(topics))

    def transaction(self) -> AbstractContextManager[Any]:
        return self._pass("transaction", self.whole.transaction)

    def examined(self) -> int | None:
        return self.whole.examined()
