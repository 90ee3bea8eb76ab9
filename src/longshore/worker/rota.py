"""The application's own chores: begun when they are due, each in a thread of its own (docs/design/limits.md)."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable
from typing import Final

from longshore.chores import Chore
from longshore.contract import SECOND, Write
from longshore.durations import microseconds
from longshore.errors import StoreError
from longshore.guard import Guard
from longshore.worker.bell import Bell
from longshore.worker.settings import WorkerSettings

_log = logging.getLogger("longshore.worker")
KIND: Final = "application chore"
_RENEWALS: Final = 4
"""How often a record is renewed in its time, while its chore is on."""
_SOON: Final = 0.05
_AGAIN: Final = 1.0


class Duty:
    """One chore, as this worker sees it: who has its record does it. Times are by the process's own clock."""

    def __init__(
        self,
        chore: Chore,
        worker: str,
        lease: float,
        done: Callable[[], None],
        *,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.next_at = float("-inf")
        self._chore = chore
        self._worker = worker.encode()
        self._lease = lease
        self._done = done
        self._monotonic = monotonic
        self._version: int | None = None
        self._began = 0.0
        self._thread: threading.Thread | None = None

    @property
    def is_on(self) -> bool:
        """Whether it is done here now, or its record is not yet put right."""
        return self._thread is not None

    def look(self, store: Guard, now: float, *, may_begin: bool) -> None:
        """Begins, renews or ends it.

        Raises:
            StoreError: the store did not answer.
        """
        if self._thread is None:
            if may_begin:
                self._try_to_begin(store, now)
        elif not self._thread.is_alive():
            self._end(store, now)
        elif now >= self.next_at:
            self._renew(store, now)

    def _try_to_begin(self, store: Guard, now: float) -> None:
        self._version = self._write(store, 0, max(self._chore.every, self._lease))
        if self._version is None:
            found = store.read(KIND, [self._chore.name])
            expires = found[0].expires if found else None
            wait = (expires - store.now()) / SECOND if expires is not None else 0.0
            self.next_at = now + max(_SOON, wait)
            return
        self._began = self._monotonic()
        self.next_at = now + self._lease / _RENEWALS
        self._thread = threading.Thread(target=self._run, name=f"longshore-chore-{self._chore.name}", daemon=True)
        self._thread.start()

    def _renew(self, store: Guard, now: float) -> None:
        self.next_at = now + self._lease / _RENEWALS
        if self._version is not None:
            self._version = self._write(store, self._version, max(self._rest(now), self._lease))
            if self._version is None:
                _log.warning("chore %s goes on here though its time was over: another may do it too", self._chore.name)

    def _end(self, store: Guard, now: float) -> None:
        rest = self._rest(self._monotonic())
        if self._version is not None:
            # Without a rest it is erased, and may begin again at once.
            self._write(store, self._version, rest if rest > 0 else None)
        self._thread = self._version = None
        self.next_at = now + max(0.0, rest)

    def _rest(self, now: float) -> float:
        return self._chore.every - (now - self._began)

    def _write(self, store: Guard, version: int, seconds: float | None) -> int | None:
        if seconds is None:
            return store.write([Write(KIND, self._chore.name, None, version)])[0]
        return store.write([Write(KIND, self._chore.name, self._worker, version, microseconds(seconds))])[0]

    def _run(self) -> None:
        try:
            if self._chore.is_async:
                import asyncio

                asyncio.run(self._chore.function())
            else:
                self._chore.function()
        except BaseException:  # noqa: BLE001 - an application's function may raise anything, and the worker goes on
            _log.exception("chore %s failed; it runs again the next time", self._chore.name)
        finally:
            self._done()


class Rota(threading.Thread):
    """The chores of an application, in one worker.

    Args:
        worker: its name, which the records show.
    """

    def __init__(
        self,
        store: Guard,
        chores: Iterable[Chore],
        worker: str,
        settings: WorkerSettings,
        *,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(name="longshore-rota", daemon=True)
        self._store = store
        self._settings = settings
        self._monotonic = monotonic
        self._bell = Bell()
        self._duties = [Duty(chore, worker, settings.lease, self._bell.ring, monotonic=monotonic) for chore in chores]
        self._stop_at = float("inf")

    def run(self) -> None:
        """Does what is due until it is stopped, then waits for what is on, for as long as runs are waited for."""
        while True:
            self._bell.silence()
            pause = self._turn()
            # After the bell was silenced: who stops it from now on rings again.
            if self._is_over():
                return
            self._bell.wait(pause)

    def stop(self) -> None:
        """Begins no more."""
        self._stop_at = self._monotonic() + self._settings.drain
        self._bell.ring()

    def _is_over(self) -> bool:
        is_stopped = self._stop_at < float("inf")
        return is_stopped and (self._monotonic() >= self._stop_at or not any(duty.is_on for duty in self._duties))

    def _turn(self) -> float:
        """Looks at each; gives the seconds until the next look."""
        now = self._monotonic()
        try:
            for duty in self._duties:
                if duty.is_on or duty.next_at <= now:
                    duty.look(self._store, now, may_begin=self._stop_at == float("inf"))
        except StoreError as error:
            _log.warning("no chores for now: %s", error)
            return _AGAIN
        ends = [duty.next_at for duty in self._duties if duty.is_on or self._stop_at == float("inf")]
        return max(0.0, min([*ends, self._stop_at]) - self._monotonic())
