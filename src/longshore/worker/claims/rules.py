"""What limits and pauses say at all stores of a worker (docs/design/several-stores.md).

Each of its couriers reads what stands in its own store, and all heed what any has read. So nobody waits for a store
that is away, and what it said last holds until it comes back.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Final

from msgspec import Struct

from longshore.guard import Guard
from longshore.limits.stored import ReadLimit, Rule, Subject

_REST: Final = 30.0


class Page(Struct, frozen=True):
    """What stands in one store."""

    store: Guard
    limits: Sequence[ReadLimit]
    paused: frozenset[str]

    @property
    def rules(self) -> tuple[dict[Subject, Rule], frozenset[str]]:
        """What must be heeded of it."""
        return {limit.subject: limit.stored.rule for limit in self.limits}, self.paused


_NOTHING: Final[tuple[dict[Subject, Rule], frozenset[str]]] = ({}, frozenset())


class RuleBook:
    """The rules of all stores, as each was read last; thread-safe.

    Args:
        changed: called when they are others than before.
    """

    def __init__(self, changed: Callable[[], None] = lambda: None) -> None:
        self._changed = changed
        self._lock = threading.Lock()
        self._pages: dict[str, Page] = {}
        self._silent: dict[str, float] = {}

    def write(self, mark: str, page: Page, now: float) -> None:
        """The store of this mark was read."""
        with self._lock:
            before, self._pages[mark] = self._pages.get(mark), page
            self._silent.pop(mark, None)
        if page.rules != (before.rules if before else _NOTHING):
            self._changed()

    def limits(self) -> dict[Subject, tuple[str, ReadLimit]]:
        """The limits, each with the mark of the store that it stands in."""
        with self._lock:
            return {limit.subject: (mark, limit) for mark, page in self._pages.items() for limit in page.limits}

    def paused(self) -> frozenset[str]:
        """The queues that are paused anywhere."""
        with self._lock:
            return frozenset().union(*(page.paused for page in self._pages.values()))

    def is_silent(self, mark: str, now: float) -> bool:
        """Whether the store has not answered lately, and is not to be waited for."""
        return self._silent.get(mark, now) > now

    def was_silent(self, mark: str, now: float) -> None:
        """It has not answered."""
        with self._lock:
            self._silent[mark] = now + _REST

    def store(self, mark: str) -> Guard | None:
        """The store of a mark, if it was ever read."""
        page = self._pages.get(mark)
        return None if page is None else page.store

    def answering(self, now: float) -> list[Guard]:
        """The stores that answer, as far as is known."""
        with self._lock:
            return [page.store for mark, page in self._pages.items() if not self.is_silent(mark, now)]
