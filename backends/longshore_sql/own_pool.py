"""Connections of our own in a pool, of which the one that was used last is kept at hand."""

from __future__ import annotations

import os
import threading
import time
from abc import ABC, abstractmethod
from contextlib import suppress
from typing import Any, Generic, NamedTuple, Protocol, TypeVar

from sqlalchemy.pool import PoolProxiedConnection, QueuePool

from longshore.errors import Closed

C = TypeVar("C")


class Sizes(Protocol):
    """What the options say of a pool; times are in seconds."""

    @property
    def pool_size(self) -> int: ...

    @property
    def max_overflow(self) -> int: ...

    @property
    def pool_timeout(self) -> float: ...

    @property
    def pool_recycle(self) -> float: ...


class Line(NamedTuple, Generic[C]):
    """A connection that was taken from the pool."""

    pooled: PoolProxiedConnection
    cursor: C
    taken: float


class OwnPool(ABC, Generic[C]):
    """A child of fork opens new connections.

    The connection that was used last is kept at hand, as asking the pool for one takes as long as a short statement.

    Args:
        database: its name, for errors.
    """

    def __init__(self, database: str, sizes: Sizes) -> None:
        self._database = database
        self._sizes = sizes
        self._abandoned: list[Any] = []
        self._closed = False
        self._lock = threading.Lock()
        self._begin()

    @abstractmethod
    def opened(self) -> Any:
        """A further connection."""

    @abstractmethod
    def _ready(self, pooled: PoolProxiedConnection) -> C:
        """The cursor of a connection that comes from the pool."""

    def close(self) -> None:
        """Closes all, those that are in use when they are given back."""
        self._closed = True
        if self._process == os.getpid():
            self._emptied()

    def _own(self) -> QueuePool:
        if self._closed:
            raise Closed(f"the driver of this {self._database} was closed: connect again")
        if self._process != os.getpid():
            with self._lock:
                if self._process != os.getpid():
                    # The parent goes on with these: nothing may be sent on them, not even a farewell.
                    self._abandoned += [self._pool, self._at_hand]
                    self._begin()
        return self._pool

    def _taken(self) -> Line[C]:
        pool = self._own()
        while (line := self._from_hand()) is not None:
            if not self._sizes.pool_recycle or time.monotonic() - line.taken < self._sizes.pool_recycle:
                return line
            self._put_away(line)
        pooled = pool.connect()
        return Line(pooled, self._ready(pooled), time.monotonic())

    def _give_back(self, line: Line[C]) -> None:
        # Never one for which somebody may be waiting: who waits is told by the pool alone.
        if line.pooled.is_valid and not self._at_hand and self._pool.checkedout() < self._sizes.pool_size:
            self._at_hand.append(line)
        else:
            self._put_away(line)
        if self._closed:
            self._emptied()  # Perhaps it was, before.

    def _put_away(self, line: Line[C]) -> None:
        """Gives it to the pool, from which others take it as well."""
        line.pooled.close()

    def _emptied(self) -> None:
        while (line := self._from_hand()) is not None:
            line.pooled.close()
        self._pool.dispose()

    def _from_hand(self) -> Line[C] | None:
        with suppress(IndexError):  # Another thread may have been faster.
            return self._at_hand.pop()
        return None

    def _begin(self) -> None:
        sizes = self._sizes
        self._process = os.getpid()
        self._at_hand: list[Line[C]] = []
        create: Any = self.opened
        self._pool = QueuePool(
            create, pool_size=sizes.pool_size, max_overflow=sizes.max_overflow, timeout=sizes.pool_timeout,
            recycle=int(sizes.pool_recycle) or -1, use_lifo=True, reset_on_return=None,
        )  # fmt: skip
