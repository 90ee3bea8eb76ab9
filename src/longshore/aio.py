"""The asynchronous side: calls that are gathered into one, and one thread that tells all who wait for jobs.

Drivers are synchronous, so their calls run in a thread. What is asked while a call is under way goes out together with
the next one: nothing waits for a timer, and a hundred callers cost a few calls.
"""

from __future__ import annotations

import asyncio
import copy
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, Generic, TypeVar
from weakref import WeakKeyDictionary

from longshore.contract import ENDED, UNENDED, Change, Instant, Listener, StoredJob, Where
from longshore.guard import Guard
from longshore.info import ended_topic, told_topic
from longshore.telling import Reading, read_on

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


class Watched(ABC, Generic[A, B]):
    """What a `Watch` watches, and how: ``A`` is what somebody waits for, ``B`` what is answered."""

    @abstractmethod
    def job_of(self, key: A) -> str:
        """The id of the job that it is about."""

    @abstractmethod
    def topics(self, identity: str) -> Sequence[str]:
        """What is woken when it is worth to look."""

    @abstractmethod
    def look(self, store: Guard, keys: Sequence[A]) -> Mapping[A, B | Exception]:
        """Those that there is an answer to, each with its answer or with why there is none."""


class Watch(Generic[A, B]):
    """Tells any number of waiters what becomes of their jobs, by one thread that is there while anybody waits.

    Args:
        store: the application's store.
        watched: what is waited for.
    """

    def __init__(self, store: Callable[[], Guard], watched: Watched[A, B]) -> None:
        self._store = store
        self._watched = watched
        self._lock = threading.Lock()
        self._waiters: dict[A, list[_Waiter]] = {}
        self._fresh: set[A] = set()
        self._listener: Listener | None = None
        self._thread: threading.Thread | None = None

    async def of(self, key: A) -> B:
        """The answer, once there is one."""
        waiter = _Waiter(asyncio.get_running_loop())
        self._add(key, waiter)
        try:
            answer: B = await waiter.future
            return answer
        finally:
            self._remove(key, waiter)

    def _add(self, key: A, waiter: _Waiter) -> None:
        with self._lock:
            self._waiters.setdefault(key, []).append(waiter)
            self._fresh.add(key)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="longshore-watch", daemon=True)
                self._thread.start()
            elif self._listener is not None:
                self._listener.interrupt()

    def _remove(self, key: A, waiter: _Waiter) -> None:
        with self._lock:
            waiters = self._waiters.get(key, [])
            if waiter in waiters:
                waiters.remove(waiter)
            if not waiters:
                self._waiters.pop(key, None)
                if not self._waiters and self._listener is not None:
                    self._listener.interrupt()

    # The thread.

    def _run(self) -> None:
        try:
            while keys := self._awaited():
                self._look(keys)
        except Exception as error:  # noqa: BLE001 - whoever waits must be told, whatever it was
            self._fail(error)

    def _awaited(self) -> list[A]:
        """What is waited for; when it is nothing the thread ends."""
        with self._lock:
            keys = list(self._waiters)
            listener = None if keys else self._leave()
        if listener is not None:
            listener.close()
        return keys

    def _leave(self) -> Listener | None:
        """From now on another thread may begin, with a listener of its own."""
        listener, self._listener, self._thread = self._listener, None, None
        return listener

    def _look(self, keys: list[A]) -> None:
        store = self._store()
        with self._lock:
            fresh, self._fresh = self._fresh & self._waiters.keys(), set()
        if fresh:
            # Listening begins before it is looked: nothing falls between the two.
            jobs = dict.fromkeys(self._watched.job_of(key) for key in keys)
            self._listen(store.listen([topic for job in jobs for topic in self._watched.topics(job)]))
            named = sorted({self._watched.job_of(key) for key in fresh})
            store.update([Change(identity, None, {"awaited": True}, UNENDED) for identity in named])
        for key, answer in self._watched.look(store, keys).items():
            with self._lock:
                waiters = self._waiters.pop(key, [])
            for waiter in waiters:
                waiter.tell(answer)
        with self._lock:
            more = bool(self._fresh) or not self._waiters
        if not more and self._listener is not None:
            self._listener.wait(RECHECK_SECONDS)

    def _listen(self, listener: Listener) -> None:
        with self._lock:
            before, self._listener = self._listener, listener
        if before is not None:
            before.close()

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
    """Somebody on an event loop who waits."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self.future: asyncio.Future[Any] = loop.create_future()

    def tell(self, answer: Any) -> None:
        """From any thread."""
        try:
            self._loop.call_soon_threadsafe(_give, self.future, answer)
        except RuntimeError:
            return  # The loop is closed: nobody waits there any more.


class _Ends(Watched[str, StoredJob | None]):
    """Jobs, by id, that end: each as it stands then, or None once it is gone."""

    def job_of(self, key: str) -> str:
        return key

    def topics(self, identity: str) -> Sequence[str]:
        return [ended_topic(identity)]

    def look(self, store: Guard, keys: Sequence[str]) -> Mapping[str, StoredJob | None]:
        found = dict(zip(keys, read_jobs(store, keys, body=False), strict=True))
        ended = [key for key, job in found.items() if job is None or job.state in ENDED]
        return dict(zip(ended, read_jobs(store, ended), strict=True))


class _Replies(Watched[Reading[Any], None]):
    """Places in the replies of jobs that something follows; the readings have it then."""

    def job_of(self, key: Reading[Any]) -> str:
        return key.identity

    def topics(self, identity: str) -> Sequence[str]:
        return [told_topic(identity), ended_topic(identity)]

    def look(self, store: Guard, keys: Sequence[Reading[Any]]) -> Mapping[Reading[Any], Exception | None]:
        return read_on(store, keys, read_jobs(store, [key.identity for key in keys], body=False))


class Awaiting:
    """What handles of one application and process are awaited with.

    Attributes:
        enqueue: stores a job for a call, and gives its id.
        read: the job of an id or None, and the moment at which it stood so by the store's clock.
        ends: waits for jobs to end.
        replies: waits until something follows a place in a job's replies.
        look: reads what follows such a place, if anything does.
    """

    def __init__(self, store: Callable[[], Guard], enqueue: Ask[Any, str]) -> None:
        self._store = store
        self.enqueue: Gatherer[Any, str] = Gatherer(enqueue)
        self.read: Gatherer[str, tuple[StoredJob | None, Instant]] = Gatherer(self._read)
        self.ends: Watch[str, StoredJob | None] = Watch(store, _Ends())
        self.replies: Watch[Reading[Any], None] = Watch(store, _Replies())
        self.look: Gatherer[Reading[Any], None] = Gatherer(self._look)

    def _read(self, identities: Sequence[str]) -> list[tuple[StoredJob | None, Instant] | Exception]:
        store = self._store()
        now = store.now()
        return [(job, now) for job in read_jobs(store, identities)]

    def _look(self, readings: Sequence[Reading[Any]]) -> list[Exception | None]:
        found = _Replies().look(self._store(), readings)
        return [found.get(reading) for reading in readings]


def read_jobs(store: Guard, identities: Sequence[str], *, body: bool = True) -> list[StoredJob | None]:
    """The jobs of these ids, in their order; None for those that are gone."""
    found: dict[str, StoredJob] = {}
    for start in range(0, len(identities), LARGEST_BULK):
        some = tuple(dict.fromkeys(identities[start : start + LARGEST_BULK]))
        found |= {job.id: job for job in store.select(Where(ids=some), limit=len(some), body=body).jobs}
    return [found.get(identity) for identity in identities]
