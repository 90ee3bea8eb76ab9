"""An application of which a test sees what its runs tell on their way to the store."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any

from longshore import Longshore, Reply, Restarted
from longshore.contract import Answer, Change, Driver
from longshore.guard import Guard
from longshore.telling import Post
from longshore.testing.faults.cut import CutDriver
from worker.gate import PATIENCE


def values(messages: list[Reply[Any] | Restarted]) -> list[Any]:
    """What was said, and who said that the job has begun anew."""
    return [message.value if isinstance(message, Reply) else message for message in messages]


class WatchedDriver(CutDriver):
    """Notes each call, and which fields an update set; ``hold`` keeps up updates of fields until it is released."""

    def __init__(self, whole: Driver) -> None:
        super().__init__(whole)
        self.calls: list[str] = []
        self.updated: list[dict[str, Any]] = []
        self.reached, self.released = threading.Event(), threading.Event()
        self.released.set()
        self._trips = threading.Semaphore(0)

    def hold(self) -> None:
        """From now on updates wait until `released` is set."""
        self.released.clear()

    def await_update(self) -> None:
        """Waits for an update that nobody has waited for before."""
        assert self._trips.acquire(timeout=PATIENCE), "expected an update"

    def update(self, changes: Sequence[Change], *, tx: Any = None) -> list[Answer]:
        self.updated += [dict(change.fields) for change in changes]
        self.reached.set()
        assert self.released.wait(PATIENCE), "the test never released it"
        try:
            return super().update(changes, tx=tx)
        finally:
            self._trips.release()

    def _pass(self, method: str, call: Any) -> Any:
        self.calls.append(method)
        return super()._pass(method, call)


class PostalApp(Longshore):
    """What its runs tell goes over ``line``; all else goes straight to the store."""

    def __init__(self, target: Any, **options: Any) -> None:
        super().__init__(target, **options)
        self.line = WatchedDriver(self.store.driver)
        self._own_post = Post(lambda: Guard(self.line, patience=0))

    @property
    def post(self) -> Post:
        return self._own_post

    def close(self) -> None:
        self.line.released.set()
        self._own_post.close()
        super().close()
