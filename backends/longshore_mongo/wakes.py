"""Wake-ups: one thread of each process hears all that its listeners listen to."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from pymongo.errors import PyMongoError

from longshore.contract import Sleeper
from longshore.errors import Unavailable
from longshore_mongo.documents import Document
from longshore_mongo.schema import Collections

_PAUSE: Final = 0.2
"""Seconds between attempts to reach a server that has gone."""
_PATIENCE: Final = 10.0
"""Seconds within which a server begins to pass on what happens."""
_AWAIT: Final = 1_000
"""Milliseconds for which the server keeps a question open; so soon the thread of who was closed ends."""
_BUSY: Final = 0.01
_IDLE: Final = 1.0
"""Seconds between two looks of those who poll: while something happens, and when nothing has happened for long."""

_LATE: Final = timedelta(seconds=1)
"""By how much a hint may be seen after one that was written later."""

_BEGINNING: Final = datetime(1970, 1, 1, 1)  # noqa: DTZ001  # as pymongo answers times

Happenings = Iterator[Sequence[str] | None]
"""Topics, as they come; None where nothing came for a while."""


class Ear(Sleeper):
    """A listener to some topics."""

    def __init__(self, ears: Ears, topics: frozenset[str]) -> None:
        super().__init__()
        self.topics = topics
        self._ears = ears

    def close(self) -> None:
        """Stops listening; whoever waits returns."""
        self._ears.leave(self)
        super().close()


class Ears:
    """All listeners of one connection to a store, and the thread that hears for them."""

    def __init__(self, collections: Callable[[], Collections], *, polls: bool) -> None:
        self._collections = collections
        self._polls = polls
        self._process = os.getpid()
        self._lock = threading.Lock()
        self._ears: set[Ear] = set()
        self._hears = threading.Event()
        self._closed = threading.Event()
        self._was_cut = False
        self._thread: threading.Thread | None = None

    def is_of_this_process(self) -> bool:
        """False in a child, which has the memory but not the thread."""
        return self._process == os.getpid()

    def listen(self, topics: Sequence[str]) -> Ear:
        """Listens from now on: the server passes on what happens."""
        ear = Ear(self, frozenset(topics))
        with self._lock:
            self._ears.add(ear)
            if self._thread is None:
                self._thread = threading.Thread(target=self._hear, name="longshore-mongo-ears", daemon=True)
                self._thread.start()
        if not self._hears.wait(_PATIENCE):
            self.leave(ear)
            raise Unavailable("the server does not pass on what happens to who listens", unknown=False)
        return ear

    def leave(self, ear: Ear) -> None:
        """Hears no more for a listener."""
        with self._lock:
            self._ears.discard(ear)

    def close(self) -> None:
        """Listeners hear nothing any more; the thread ends when the server has answered what it was asked last."""
        self._closed.set()

    def _hear(self) -> None:
        while not self._closed.is_set():
            try:
                happenings = self._polled() if self._polls else self._streamed()
                for topics in happenings:
                    if self._closed.is_set():
                        return
                    if topics:
                        self._ring(topics)
            except PyMongoError:
                self._hears.clear()
                self._was_cut = True
                self._closed.wait(_PAUSE)

    def _ring(self, topics: Iterable[str] | None) -> None:
        """Rings who listens to one of the topics; None rings all."""
        with self._lock:
            rung = [ear for ear in self._ears if topics is None or not ear.topics.isdisjoint(topics)]
        for ear in rung:
            ear.ring()

    def _begins(self) -> None:
        """From now on everything is heard; who listened before a break may have missed something, and is woken once."""
        self._hears.set()
        if self._was_cut:
            self._ring(None)

    def _streamed(self) -> Happenings:
        """What a change stream tells: inserts of jobs that herald their queue, and hints."""
        collections = self._collections()
        heralds: Document = {"ns.coll": collections.jobs.name, "fullDocument.heralds": True}
        told = {"operationType": "insert", "$or": [heralds, {"ns.coll": collections.wakes.name}]}
        shown = {"$project": {"fullDocument.queue": 1, "fullDocument.topics": 1}}
        database = collections.jobs.database
        with database.watch([{"$match": told}, shown], max_await_time_ms=_AWAIT) as stream:
            self._begins()
            while True:
                change: Any = stream.try_next()
                yield None if change is None else _topics_of(change["fullDocument"])

    def _polled(self) -> Happenings:
        """What a look tells from time to time, the more often the more happens."""
        wakes = self._collections().wakes
        newest = wakes.find_one({}, sort=[("at", -1)])
        latest = newest["at"] if newest is not None else _BEGINNING
        known = {hint["_id"] for hint in wakes.find({"at": {"$gt": latest - _LATE}})}
        self._begins()
        pause = _BUSY
        while True:
            recent = list(wakes.find({"at": {"$gt": latest - _LATE}}))
            new = [hint for hint in recent if hint["_id"] not in known]
            known = {hint["_id"] for hint in recent}
            latest = max((hint["at"] for hint in recent), default=latest)
            pause = _BUSY if new else min(2 * pause, _IDLE)
            yield [topic for hint in new for topic in hint["topics"]]
            self._closed.wait(pause)


def _topics_of(document: Document) -> Sequence[str]:
    if "topics" in document:
        return list(document["topics"])
    return [f"queue:{document['queue']}"]
