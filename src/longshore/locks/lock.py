"""The lock that users hold."""

from __future__ import annotations

import os
import secrets
import socket
import threading
import time
from collections.abc import Callable
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, Final, Protocol, Self

from longshore.contract import SECOND, Duration, Listener
from longshore.current import CURRENT
from longshore.durations import Seconds, microseconds
from longshore.errors import InvalidValue, LockHeld, LockLost, StoreError
from longshore.guard import Guard, check_text
from longshore.locks.record import Hold, Run, Seen, Ticket, ends_of, entered, leave, lock_topic, look, put, waiting

if TYPE_CHECKING:
    import asyncio

MOST_HOLDERS: Final = 1_000
TICKET: Final = 10 * SECOND
"""How long the place of one who waits is kept without a sign of life."""
_RECHECK_SECONDS: Final = 1.0


class Harbour(Protocol):
    """What a lock needs of its application."""

    @property
    def store(self) -> Guard:
        """The store that the lock is in."""


class Lock:
    """A lock with a name: ``with app.lock("printer", lifetime=60) as lock: …``, or ``async with``.

    It is nobody's until it is acquired, and can be acquired again after it was released. One `Lock` is one hold: two
    threads each take their own.

    Attributes:
        name: under which all find it.
        token: larger with each later hold where there is one holder; None while nothing is held. A storage that
            remembers the largest it has seen can refuse a late holder.
    """

    def __init__(
        self,
        app: Harbour,
        name: str,
        *,
        holders: int = 1,
        lifetime: Seconds | None = 60.0,
        wait: Seconds | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        check_text(name, "a lock's name")
        if not 1 <= holders <= MOST_HOLDERS:
            raise InvalidValue(f"holders must be between 1 and {MOST_HOLDERS:,}; it is {holders!r}")
        self.name = name
        self.token: int | None = None
        self._app = app
        self._holders = holders
        self._lifetime = None if lifetime is None else _lifetime(lifetime)
        self._run = _run_in(app) if lifetime is None else None
        self._wait = None if wait is None else microseconds(wait, name="wait") / SECOND
        self._monotonic = monotonic
        self._store: Guard | None = None
        self._owner = ""
        self._ends = float("-inf")
        self._listener: Listener | None = None
        self._is_given_up = False

    def __repr__(self) -> str:
        return f"<Lock {self.name}>"

    def __enter__(self) -> Self:
        self.acquire()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        try:
            self.release()
        except (LockLost, StoreError):
            if error is None:
                raise

    async def __aenter__(self) -> Self:
        await self.aacquire()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        import asyncio

        await asyncio.to_thread(self.__exit__, kind, error, where)

    @property
    def owner(self) -> str:
        """Under which name operators see the hold; empty while nothing is held."""
        return self._owner if self.token is not None else ""

    def acquire(self) -> None:
        """Goes in, and waits for it as long as it was told to.

        Raises:
            LockHeld: others were inside all the time, or this very object is.
            Unavailable: the store did not answer. If it did let in, that ends with the lifetime.
        """
        self._is_given_up = False
        self._go_in()

    def release(self) -> None:
        """Goes out, and lets in who waits.

        Raises:
            LockLost: the hold had ended before, and others may have been inside.
        """
        if self.token is None:
            raise LockLost(f"expected {self!r} to be held; it is not, or not any more")
        self.token, owner = None, self._owner
        if not leave(self._app.store, self.name, owner):
            raise self._lost()

    def extend(self, lifetime: Seconds | None = None) -> None:
        """Makes the hold last so long from now, as long as at the beginning if nothing is said.

        Raises:
            LockLost: the hold has ended, and others may be inside.
        """
        length = self._lifetime if lifetime is None else _lifetime(lifetime)
        while True:
            begun = self._monotonic()
            seen = look(self._app.store, self.name)
            hold = seen.record.hold_of(self._owner)
            if self.token is None or hold is None:
                self._ends = float("-inf")
                raise self._lost()
            if hold.run is not None:
                return
            renewed = self._hold(seen, length)
            if put(self._app.store, self.name, seen, entered(seen.record, renewed)) is not None:
                self._made(renewed, seen, begun)
                return

    def is_held(self) -> bool:
        """Whether its lifetime is not over, by the process's own clock; asks nobody."""
        return self.token is not None and self._monotonic() < self._ends

    def check(self) -> None:
        """Looks whether its lifetime is not over, by the process's own clock; asks nobody.

        Raises:
            LockLost: it is, and others may be inside.
        """
        if not self.is_held():
            raise self._lost()

    def locked(self) -> bool:
        """Whether it could not be acquired now; takes nothing."""
        record = look(self._app.store, self.name).record
        return len(record.holds) + len(record.tickets) >= self._holders

    async def aacquire(self) -> None:
        """Goes in, as `acquire` does, on an event loop. Who is cancelled meanwhile is not inside.

        Raises:
            LockHeld, Unavailable: as by `acquire`.
        """
        import asyncio

        loop = asyncio.get_running_loop()
        done: asyncio.Future[None] = loop.create_future()
        self._is_given_up = False
        # A thread of its own: those that event loops share would all be taken by a few who wait.
        threading.Thread(target=self._acquire_for, args=(loop, done), name="longshore-lock", daemon=True).start()
        try:
            await done
        except asyncio.CancelledError:
            self._give_up()
            if done.done() and not done.cancelled() and done.exception() is None:
                self._leave_aside()
            raise

    async def arelease(self) -> None:
        """Goes out, as `release` does, on an event loop.

        Raises:
            LockLost: the hold had ended before, and others may have been inside.
        """
        import asyncio

        await asyncio.to_thread(self.release)

    async def aextend(self, lifetime: Seconds | None = None) -> None:
        """Makes the hold last so long from now, as `extend` does, on an event loop.

        Raises:
            LockLost: the hold has ended, and others may be inside.
        """
        import asyncio

        await asyncio.to_thread(self.extend, lifetime)

    # Going in.

    def _go_in(self) -> None:
        if self.token is not None:
            raise LockHeld(f"expected {self!r} to be free; this very object holds it: make one for each hold")
        # The store as it is now, to the end: who was cancelled may still be on the way when the application closes it,
        # and to ask for it then would open it again.
        self._store = store = self._app.store
        self._owner = f"{socket.gethostname()[:60]}.{os.getpid()}.{secrets.token_hex(5)}"
        try:
            if self._enter(store, queue=False) is None:
                return
            if self._wait != 0:
                self._wait_in_line(store)
                return
        except BaseException:
            self.token = None
            self._leave_quietly()
            raise
        raise self._held()

    def _wait_in_line(self, store: Guard) -> None:
        ends = float("inf") if self._wait is None else self._monotonic() + self._wait
        self._listener = listener = store.listen([lock_topic(self.name, self._owner)])
        try:
            while (seen := self._enter(store, queue=True)) is not None:
                left = ends - self._monotonic()
                if left <= 0 or self._is_given_up:
                    raise self._held()
                listener.wait(min(left, self._patience(seen)))
        finally:
            self._listener = None
            listener.close()

    def _enter(self, store: Guard, *, queue: bool) -> Seen | None:
        """Goes in if there is room: None; else takes a place in the line, if it is to, and gives what it saw."""
        while True:
            begun = self._monotonic()
            seen = look(store, self.name)
            if (hold := seen.record.hold_of(self._owner)) is not None:
                # Written before, and the answer was lost.
                self._made(hold, seen, begun)
                self.token = seen.version
                return None
            if len(seen.record.holds) + len(seen.record.before(self._owner)) < self._holders:
                hold = self._hold(seen, self._lifetime)
                self._made(hold, seen, begun)
                self.token = put(store, self.name, seen, entered(seen.record, hold))
                if self.token is not None:
                    return None
            elif not queue or self._has_place(seen):
                return seen
            else:
                ticket = Ticket(self._owner, seen.now + TICKET, self._holders)
                if put(store, self.name, seen, waiting(seen.record, ticket)) is not None:
                    return seen

    def _has_place(self, seen: Seen) -> bool:
        mine = (ticket for ticket in seen.record.tickets if ticket.owner == self._owner)
        return any(ticket.until - seen.now > TICKET // 2 for ticket in mine)

    def _hold(self, seen: Seen, length: Duration | None) -> Hold:
        known = seen.record.hold_of(self._owner)
        until = None if length is None else seen.now + length
        return Hold(self._owner, known.since if known else seen.now, until, self._run)

    def _made(self, hold: Hold, seen: Seen, begun: float) -> None:
        """The hold lasts, by the process's own clock, from before the store's was read."""
        self._ends = float("inf") if hold.until is None else begun + (hold.until - seen.now) / SECOND

    def _patience(self, seen: Seen) -> float:
        """Seconds until somebody who is inside or before may be gone without a word."""
        before = ends_of(seen.record.holds, seen.record.before(self._owner))
        return min([_RECHECK_SECONDS, *((end - seen.now) / SECOND for end in before if end is not None)])

    # Going out.

    def _leave_quietly(self) -> None:
        assert self._store is not None
        try:
            leave(self._store, self.name, self._owner)
        except StoreError:
            return  # The hold or the ticket ends by itself.

    def _leave_aside(self) -> None:
        self.token = None
        threading.Thread(target=self._leave_quietly, name="longshore-lock", daemon=True).start()

    def _give_up(self) -> None:
        self._is_given_up = True
        if (listener := self._listener) is not None:
            listener.interrupt()

    def _acquire_for(self, loop: asyncio.AbstractEventLoop, done: asyncio.Future[None]) -> None:
        error: BaseException | None = None
        try:
            if self._is_given_up:
                raise self._held()
            self._go_in()
        except BaseException as raised:  # noqa: BLE001 - who waits must be told, whatever it was
            error = raised
        try:
            loop.call_soon_threadsafe(partial(self._tell, done, error))
        except RuntimeError:
            # The loop is closed: nobody waits there any more.
            if error is None:
                self._leave_quietly()

    def _tell(self, done: asyncio.Future[None], error: BaseException | None) -> None:
        if done.cancelled():
            if error is None:
                self._leave_aside()
        elif error is not None:
            done.set_exception(error)
        else:
            done.set_result(None)

    # What is said.

    def _held(self) -> LockHeld:
        within = f" within {self._wait:g} s" if self._wait else ""
        return LockHeld(f"expected room for another in {self.name!r}{within}; {self._holders} or more hold or want it")

    def _lost(self) -> LockLost:
        return LockLost(
            f"the hold of {self.name!r} has ended: its lifetime was over, or somebody freed it; others may be inside. "
            "Give it a longer lifetime, or extend it while working"
        )


def _lifetime(given: Seconds) -> Duration:
    lifetime = microseconds(given, name="lifetime")
    if not lifetime:
        raise InvalidValue("lifetime must be longer than nothing")
    return lifetime


def _run_in(app: object) -> Run:
    running = CURRENT.get()
    if running is None or not running.is_of(app):
        raise InvalidValue("a lock without a lifetime ends with the run of a task: outside of one, give it a lifetime")
    return Run(*running.run)
