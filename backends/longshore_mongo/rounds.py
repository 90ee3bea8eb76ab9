"""Rounds: look at documents, decide, write those that are still as they were looked at; again what was not."""

from __future__ import annotations

import random
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, Final, NamedTuple, Protocol

from pymongo.client_session import ClientSession
from pymongo.collection import Collection

from longshore.contract import Clock, Instant
from longshore.errors import Unavailable
from longshore_mongo.documents import Document, Edit
from longshore_mongo.schema import SCHEMA, Collections, judge
from longshore_mongo.servers import Server
from longshore_mongo.statements import Pipeline
from longshore_mongo.times import Times
from longshore_mongo.writing import Marks, Writing

TRIES: Final = 200
_PATIENT: Final = 3
"""Rounds after which losers wait a little, so that somebody wins."""
_LOCKED: Final = 3.0
"""Seconds for which a call waits for an open transaction that has written what it is to write."""
_BATCH: Final = 10_000
_NOW: Final = {"$toLong": "$$NOW"}


class Seen(NamedTuple):
    """What a look answered: the time, and the documents of each part that was asked for."""

    now: Instant
    parts: Mapping[str, list[Document]]

    def of(self, part: str) -> list[Document]:
        """The documents of one part."""
        return self.parts.get(part, [])


class Work(Protocol):
    """Something that is done in rounds."""

    passes_over: bool
    """Whether it leaves alone what an open transaction has written; else it waits for it, a while."""

    @property
    def is_brief(self) -> bool:
        """Whether it looks at a few documents at most, and asks for no time but to judge these."""

    @property
    def is_done(self) -> bool:
        """Whether all is done."""

    def asks(self) -> dict[str, Pipeline]:
        """What it has to look at, by part: which documents of jobs."""

    def plans(self, seen: Seen) -> list[Edit]:
        """What is to be written, of each document once."""

    def hears(self, landed: set[str], locked: set[str]) -> None:
        """Which of the documents were written, and which an open transaction has written; the others were changed
        meanwhile, or were refused by an index."""


class Rounds:
    """The collections of a namespace, as one call uses them."""

    def __init__(self, server: Server, clock: Clock | None) -> None:
        self._server = server
        self._clock = clock
        self._writing = Writing(server)
        self._times = Times()
        self.insert = self._writing.insert
        self.write = self._writing.write
        self.confirm = self._writing.confirm

    @property
    def collections(self) -> Collections:
        """Those of this process."""
        return self._server.collections()

    def within(self, session: ClientSession | None) -> Collections:
        """Those of a transaction, which may be another client's than ours."""
        return self._server.collections(session)

    @property
    def has_clock(self) -> bool:
        """Whether the time is a test's."""
        return self._clock is not None

    @property
    def now_expression(self) -> Any:
        """The time, within what the server computes."""
        return {"$multiply": [{"$toLong": "$$NOW"}, 1_000]} if self._clock is None else {"$literal": self._clock()}

    def errors(self, session: ClientSession | None = None) -> AbstractContextManager[None]:
        """Around whatever asks the server: bounds its time, and translates its errors."""
        return self._server.errors(session)

    def glance(self) -> Instant:
        """The time, without a trip if there was a look within the last second."""
        now = self._times.now()
        if now is None:
            return self.look({}).now
        return now if self._clock is None else self._clock()

    def look(self, asks: Mapping[str, Pipeline], session: ClientSession | None = None, *, among: str = "jobs") -> Seen:
        """One trip: the time, the schema, and every part that is asked for. Within a transaction, one for each."""
        clock: Pipeline = [{"$match": {"_id": SCHEMA}}, {"$set": {"now": _NOW, "part": SCHEMA}}]
        collections = self.within(session)
        asked: Collection[Document] = getattr(collections, among)
        looks = [[*stages, {"$set": {"part": part}}] for part, stages in asks.items()]
        pipelines = [(collections.meta, clock)]
        if session is None:
            clock += _united(asked, looks)
        else:  # Which does not let collections be united.
            pipelines += [(asked, pipeline) for pipeline in looks]
        began = time.monotonic()
        with self.errors(session):
            found = [document for among, stages in pipelines for document in self._found(among, stages, session)]
        parts = _by_part(found)
        meta = parts.pop(SCHEMA, [None])[0]
        judge(meta)
        now = self._times.hear(int(meta["now"]), began) if meta else 0
        return Seen(now if self._clock is None else self._clock(), parts)

    def _glimpse(self, asks: Mapping[str, Pipeline]) -> Seen | None:
        """A look at a few documents, which tell the time themselves; the schema is that of the last second. None if it
        has not been looked at meanwhile."""
        told = self._times.now()
        if told is None or not asks:
            return None
        jobs = self.collections.jobs
        first, *others = [[*stages, {"$set": {"part": part, "now": _NOW}}] for part, stages in asks.items()]
        began = time.monotonic()
        with self.errors():
            found = self._found(jobs, [*first, *_united(jobs, others)], None)
        now = self._times.hear(int(found[0]["now"]), began, is_whole=False) if found else told
        return Seen(now if self._clock is None else self._clock(), _by_part(found))

    def _found(
        self, collection: Collection[Document], pipeline: Pipeline, session: ClientSession | None
    ) -> list[Document]:
        asked = {"aggregate": collection.name, "pipeline": pipeline, "cursor": {"batchSize": _BATCH}}
        cursor = self._server.ask(asked, session)["cursor"]
        if not cursor["id"]:
            return list(cursor["firstBatch"])
        # More than one message holds, which is rare: pymongo's cursor costs as much again as the command.
        self._server.ask({"killCursors": collection.name, "cursors": [cursor["id"]]}, session)
        return collection.aggregate(pipeline, session=session, batchSize=_BATCH).to_list()

    def carry_out(self, *works: Work, session: ClientSession | None = None) -> None:
        """Round by round, until all is done; each round is two trips, whatever the number of works."""
        ends = time.monotonic() + _LOCKED
        has_landed = False
        for tried in range(TRIES):
            active = [work for work in works if not work.is_done]
            if not active:
                return
            if tried > _PATIENT:
                time.sleep(random.uniform(0, 0.002 * tried))
            asks = {f"{at} {part}": stages for at, work in enumerate(active) for part, stages in work.asks().items()}
            is_brief = session is None and all(work.is_brief for work in active)
            seen = (self._glimpse(asks) if is_brief else None) or self.look(asks, session)
            plans = [work.plans(_seen_by(at, seen)) for at, work in enumerate(active)]
            written = self.write([edit for plan in plans for edit in plan], session)
            has_landed |= bool(written.landed)
            for work, plan in zip(active, plans, strict=True):
                locked = _ids_among(plan, written.locked)
                work.hears(_ids_among(plan, written.landed), locked)
                if locked and not work.passes_over and time.monotonic() > ends:
                    raise Unavailable(
                        f"an open transaction has changed {sorted(locked)}; send the call again", unknown=has_landed
                    )
        raise Unavailable(f"others changed the same jobs in each of {TRIES} tries; send the call again")


def _united(among: Collection[Document], looks: Sequence[Pipeline]) -> Pipeline:
    return [{"$unionWith": {"coll": among.name, "pipeline": pipeline}} for pipeline in looks]


def _by_part(found: Sequence[Document]) -> dict[str, list[Document]]:
    parts: defaultdict[str, list[Document]] = defaultdict(list)
    for document in found:
        parts[document["part"]].append(document)
    return parts


def _ids_among(plan: Sequence[Edit], marks: Marks) -> set[str]:
    return {edit.id for edit in plan if (edit.id, edit.token) in marks} if marks else set()


def _seen_by(at: int, seen: Seen) -> Seen:
    prefix = f"{at} "
    return Seen(seen.now, {part.removeprefix(prefix): of for part, of in seen.parts.items() if part.startswith(prefix)})
