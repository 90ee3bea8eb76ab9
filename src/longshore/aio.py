"""The asynchronous side: calls that are gathered into one, and one thread that tells all who wait for jobs to end.

Drivers are synchronous, so their calls run in a thread. What is asked while a call is under way goes out together with
the next one: nothing waits for a timer, and a hundred callers cost a few calls.
"""

from __future__ import annotations

import asyncio
import copy
import threading
from collections.abc import Callable, Sequence
from typing import Any, Final, Generic, TypeVar
from weakref import WeakKeyDictionary

from longshore.contract import ENDED, UNENDED, Change, Instant, Listener, StoredJob, Where
from longshore.guard import Guard
from longshore.info import ended_topic

A = TypeVar("A")
B = TypeVar("B")
LARGEST_BULK: Final = 500
RECHECK_SECONDS: Final = 1.0
"""How often the jobs that are waited for are looked at without a wake-up, which may be lost."""

Ask = Callable[[Sequence[A]], "list[B | Exception]"]


class Gatherer(Generic[A, B]):
    """Gathers what is asked at the same time into one call, on each event loop for itself.

    Args:
        ask: answers any number of questions at once, in order, each with its answer or with why there is none; runs in
            a thread, one call at a time for each loop.
    """

    def __init__(self, ask: Ask[A, B]) -> None:
        self._ask = ask
        self._lock = threading.Lock()
        self._lines: WeakKeyDictionary[asyncio.AbstractEventLoop, _Line[A, B]] = WeakKeyDictionary()

    async def __call__(self, question: A) -> B:
        """The answer. Who is cancelled before the call goes out is left out of it; nobody else notices."""
        loop = asyncio.get_running_loop()
        with self._lock:
            line = self._lines.setdefault(loop, _Line(self._ask))
        return await line.ask(loop, question)


class _Line(Generic[A, B]):
    """What was asked on one event loop; everything here runs in its thread."""

    def __init__(self, ask: Ask[A, B]) -> None:
        self._ask = ask
        self._waiting: list[tuple[A, asyncio.Future[B]]] = []
        self._is_away = False

    def ask(self, loop: asyncio.AbstractEventLoop, question: A) -> asyncio.Future[B]:
        future: asyncio.Future[B] = loop.create_future()
        self._waiting.append((question, future))
        if not self._is_away:
            self._is_away = True
            # After all that is ready to run: who asks in the same turn of the loop comes along.
            loop.call_soon(self._send, loop)
        return future

    def _send(self, loop: asyncio.AbstractEventLoop) -> None:
        asking = [each for each in self._waiting if not each[1].done()]
        self._waiting = asking[LARGEST_BULK:]
        bulk = asking[:LARGEST_BULK]
        self._is_away = bool(bulk)
        if bulk:
            futures = [future for _, future in bulk]
            call = loop.run_in_executor(None, self._ask, [question for question, _ in bulk])
            call.add_done_callback(lambda done: self._deliver(loop, futures, done))

    def _deliver(
        self,
        loop: asyncio.AbstractEventLoop,
        futures: list[asyncio.Future[B]],
        done: asyncio.Future[list[B | Exception]],
    ) -> None:
        error = done.exception()
        answers: Sequence[Any] = done.result() if error is None else [_own(error) for _ in futures]
        for future, answer in zip(futures, answers, strict=True):
            _give(future, answer)
        self._send(loop)


def _give(future: asyncio.Future[Any], answer: Any) -> None:
    if future.done():
        return  # Whoever asked was cancelled.
    if isinstance(answer, BaseException):
        future.set_exception(answer)
    else:
        future.set_result(answer)


def _own(error: BaseException) -> BaseException:
    """The same error for one of many: each raises its own, with its own traceback."""
    try:
        return copy.copy(error)
    except TypeError:
        return error


class Ends:
    """Tells any number of waiters that their jobs have ended, by one thread that is there while anybody waits.

    Args:
        store: the application's store.
    """

    def __init__(self, store: Callable[[], Guard]) -> None:
        self._store = store
        self._lock = threading.Lock()
        self._waiters: dict[str, list[_Waiter]] = {}
        self._fresh: set[str] = set()
        self._listener: Listener | None = None
        self._thread: threading.Thread | None = None

    async def of(self, identity: str) -> StoredJob | None:
        """The job once it has ended; None once it is gone."""
        waiter = _Waiter(asyncio.get_running_loop())
        self._add(identity, waiter)
        try:
            return await waiter.future
        finally:
            self._remove(identity, waiter)

    def _add(self, identity: str, waiter: _Waiter) -> None:
        with self._lock:
            self._waiters.setdefault(identity, []).append(waiter)
            self._fresh.add(identity)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="longshore-ends", daemon=True)
                self._thread.start()
            elif self._listener is not None:
                self._listener.interrupt()

    def _remove(self, identity: str, waiter: _Waiter) -> None:
        with self._lock:
            waiters = self._waiters.get(identity, [])
            if waiter in waiters:
                waiters.remove(waiter)
            if not waiters:
                self._waiters.pop(identity, None)
                if not self._waiters and self._listener is not None:
                    self._listener.interrupt()

    # The thread.

    def _run(self) -> None:
        try:
            while identities := self._awaited():
                self._look(identities)
        except Exception as error:  # noqa: BLE001 - whoever waits must be told, whatever it was
            self._fail(error)

    def _awaited(self) -> list[str]:
        """Whose ends are waited for; when there are none the thread ends."""
        with self._lock:
            identities = list(self._waiters)
            listener = None if identities else self._leave()
        if listener is not None:
            listener.close()
        return identities

    def _leave(self) -> Listener | None:
        """From now on another thread may begin, with a listener of its own."""
        listener, self._listener, self._thread = self._listener, None, None
        return listener

    def _look(self, identities: list[str]) -> None:
        store = self._store()
        with self._lock:
            fresh, self._fresh = self._fresh & self._waiters.keys(), set()
        if fresh:
            # Listening begins before it is looked whether the job has ended: no end falls between the two.
            self._listen(store.listen([ended_topic(identity) for identity in identities]))
            store.update([Change(identity, None, {"awaited": True}, UNENDED) for identity in sorted(fresh)])
        self._tell(store, identities)
        with self._lock:
            more = bool(self._fresh) or not self._waiters
        if not more and self._listener is not None:
            self._listener.wait(RECHECK_SECONDS)

    def _listen(self, listener: Listener) -> None:
        with self._lock:
            before, self._listener = self._listener, listener
        if before is not None:
            before.close()

    def _tell(self, store: Guard, identities: list[str]) -> None:
        found = {job.id: job for job in read_jobs(store, identities, body=False) if job is not None}
        ended = [identity for identity in identities if identity not in found or found[identity].state in ENDED]
        for identity, job in zip(ended, read_jobs(store, ended), strict=True):
            with self._lock:
                waiters = self._waiters.pop(identity, [])
            for waiter in waiters:
                waiter.tell(job)

    def _fail(self, error: Exception) -> None:
        with self._lock:
            waiters = [waiter for waiters in self._waiters.values() for waiter in waiters]
            self._waiters.clear()
            listener = self._leave()
        for waiter in waiters:
            waiter.tell(_own(error))
        if listener is not None:
            listener.close()


class _Waiter:
    """Somebody on an event loop who waits for an end."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self.future: asyncio.Future[StoredJob | None] = loop.create_future()

    def tell(self, answer: StoredJob | BaseException | None) -> None:
        """From any thread."""
        try:
            self._loop.call_soon_threadsafe(_give, self.future, answer)
        except RuntimeError:
            return  # The loop is closed: nobody waits there any more.


class Awaiting:
    """What handles of one application and process are awaited with.

    Attributes:
        enqueue: stores a job for a call, and gives its id.
        read: the job of an id or None, and the moment at which it stood so by the store's clock.
        ends: waits for jobs to end.
    """

    def __init__(self, store: Callable[[], Guard], enqueue: Ask[Any, str]) -> None:
        self._store = store
        self.enqueue: Gatherer[Any, str] = Gatherer(enqueue)
        self.read: Gatherer[str, tuple[StoredJob | None, Instant]] = Gatherer(self._read)
        self.ends = Ends(store)

    def _read(self, identities: Sequence[str]) -> list[tuple[StoredJob | None, Instant] | Exception]:
        store = self._store()
        now = store.now()
        return [(job, now) for job in read_jobs(store, identities)]


def read_jobs(store: Guard, identities: Sequence[str], *, body: bool = True) -> list[StoredJob | None]:
    """The jobs of these ids, in their order; None for those that are gone."""
    found: dict[str, StoredJob] = {}
    for start in range(0, len(identities), LARGEST_BULK):
        some = tuple(dict.fromkeys(identities[start : start + LARGEST_BULK]))
        found |= {job.id: job for job in store.select(Where(ids=some), limit=len(some), body=body).jobs}
    return [found.get(identity) for identity in identities]
