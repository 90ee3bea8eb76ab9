"""Rounds: look at documents, decide, write those that are still as they were looked at; again what was not."""

from __future__ import annotations

import random
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from itertools import islice
from typing import Any, Final, NamedTuple, Protocol

from pymongo import UpdateMany, UpdateOne
from pymongo.client_session import ClientSession
from pymongo.collection import Collection
from pymongo.errors import BulkWriteError

from longshore.contract import ATTEMPTS_KEPT, Clock, Instant
from longshore.errors import Unavailable
from longshore_mongo.documents import Document, Edit
from longshore_mongo.failures import is_clash, translated
from longshore_mongo.schema import SCHEMA, Collections, judge

Pipeline = list[Document]
Request = UpdateOne | UpdateMany

TRIES: Final = 200
_PATIENT: Final = 3
"""Rounds after which losers wait a little, so that somebody wins."""
_TOGETHER: Final = 200
"""Documents of one statement: finding each one's values in it costs by the square."""
_BYTES_TOGETHER: Final = 4 * 1024 * 1024
_BATCH: Final = 10_000
TRACE: Final = 16
"""How many of the last writes a document knows by their calls."""


class Seen(NamedTuple):
    """What a look answered: the time, and the documents of each part that was asked for."""

    now: Instant
    parts: Mapping[str, list[Document]]

    def of(self, part: str) -> list[Document]:
        """The documents of one part."""
        return self.parts.get(part, [])


class Work(Protocol):
    """Something that is done in rounds."""

    @property
    def is_done(self) -> bool:
        """Whether all is done."""

    def asks(self) -> dict[str, Pipeline]:
        """What it has to look at, by part: which documents of jobs."""

    def plans(self, seen: Seen) -> list[Edit]:
        """What is to be written, of each document once."""

    def hears(self, landed: set[str]) -> None:
        """Which of the documents were written; the others were changed meanwhile, or were refused by an index."""


class Rounds:
    """The collections of a namespace, as one call uses them."""

    def __init__(
        self, collections: Callable[..., Collections], clock: Clock | None, place: str, timeout: float
    ) -> None:
        self._collections = collections
        self._clock = clock
        self._place = place
        self._timeout = timeout

    @property
    def collections(self) -> Collections:
        """Those of this process."""
        return self.within(None)

    def within(self, session: ClientSession | None) -> Collections:
        """Those of a transaction, which may be another client's than ours."""
        return self._collections(session)

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
        return translated(self._place, None if session is not None and session.in_transaction else self._timeout)

    def look(self, asks: Mapping[str, Pipeline], session: ClientSession | None = None, *, among: str = "jobs") -> Seen:
        """One trip: the time, the schema, and every part that is asked for. Within a transaction, one for each."""
        clock: Pipeline = [{"$match": {"_id": SCHEMA}}, {"$set": {"now": {"$toLong": "$$NOW"}, "part": SCHEMA}}]
        collections = self.within(session)
        asked: Collection[Document] = getattr(collections, among)
        looks = [[*stages, {"$set": {"part": part}}] for part, stages in asks.items()]
        pipelines = [(collections.meta, clock)]
        if session is None:
            clock += [{"$unionWith": {"coll": asked.name, "pipeline": pipeline}} for pipeline in looks]
        else:  # Which does not let collections be united.
            pipelines += [(asked, pipeline) for pipeline in looks]
        parts: defaultdict[str, list[Document]] = defaultdict(list)
        with self.errors(session):
            for collection, pipeline in pipelines:
                for document in collection.aggregate(pipeline, session=session, batchSize=_BATCH):
                    parts[document["part"]].append(document)
        meta = parts.pop(SCHEMA, [None])[0]
        judge(meta)
        return Seen(self._clock() if self._clock is not None else meta["now"] * 1_000 if meta else 0, parts)

    def carry_out(self, *works: Work, session: ClientSession | None = None) -> None:
        """Round by round, until all is done; each round is two trips, whatever the number of works."""
        for tried in range(TRIES):
            active = [work for work in works if not work.is_done]
            if not active:
                return
            if tried > _PATIENT:
                time.sleep(random.uniform(0, 0.002 * tried))
            asks = {f"{at} {part}": stages for at, work in enumerate(active) for part, stages in work.asks().items()}
            seen = self.look(asks, session)
            plans = [work.plans(_seen_by(at, seen)) for at, work in enumerate(active)]
            landed = self.write([edit for plan in plans for edit in plan], session)
            for work, plan in zip(active, plans, strict=True):
                work.hears({edit.id for edit in plan if (edit.id, edit.token) in landed})
        raise Unavailable(f"others changed the same jobs in each of {TRIES} tries; send the call again")

    def write(self, edits: Sequence[Edit], session: ClientSession | None = None) -> set[tuple[str, bytes]]:
        """One command; answers which edits landed, by id and token."""
        if not edits:
            return set()
        with self.errors(session):
            try:
                written = self.within(session).jobs.bulk_write(requests_of(edits), ordered=False, session=session)
                matched = written.matched_count
            except BulkWriteError as error:
                if not is_clash(error):
                    raise
                matched = error.details["nMatched"]
            if matched == len(edits):
                return {(edit.id, edit.token) for edit in edits}
            return self._landed(edits, session)

    def _landed(self, edits: Sequence[Edit], session: ClientSession | None) -> set[tuple[str, bytes]]:
        """Which edits landed, by the trace that each leaves in its document."""
        ids = {"_id": {"$in": [edit.id for edit in edits]}}
        found = self.within(session).jobs.find(ids, {"revision": 1, "birth": 1, "trace": 1}, session=session)
        documents = {document["_id"]: document for document in found}
        landed = set()
        for edit in edits:
            document = documents.get(edit.id)
            if document is None or document["birth"] != edit.birth:
                continue
            since = document["revision"] - edit.revision - 1
            trace = document.get("trace", [])
            if since >= len(trace) > 0:
                raise Unavailable(f"job {edit.id!r} was changed {since} times meanwhile; send the call again")
            if since >= 0 and trace[-1 - since] == edit.token:
                landed.add((edit.id, edit.token))
        return landed

    def confirm(self) -> None:
        """Waits until the majority has what was looked at; a write that finds nothing waits for all before it."""
        with self.errors():
            self.collections.meta.update_one({"_id": "nothing"}, {"$set": {"nothing": 0}})


def _seen_by(at: int, seen: Seen) -> Seen:
    prefix = f"{at} "
    return Seen(seen.now, {part.removeprefix(prefix): of for part, of in seen.parts.items() if part.startswith(prefix)})


def requests_of(edits: Sequence[Edit]) -> list[Request]:
    """The statements, as few as there can be: edits of one shape and revision are one."""
    shapes: dict[Any, list[Edit]] = {}
    for edit in edits:
        own = edit.id if edit.alone else None
        shape = (edit.revision, edit.token, tuple(sorted(edit.values)), edit.removed, edit.attempt is not None, own)
        shapes.setdefault(shape, []).append(edit)
    return [_request(some) for alike in shapes.values() for some in _cut(alike)]


def _cut(edits: list[Edit]) -> Iterator[list[Edit]]:
    rest = iter(edits)
    while some := list(islice(rest, _TOGETHER)):
        is_large = sum(map(_size, some)) > _BYTES_TOGETHER
        yield from ([edit] for edit in some) if is_large else [some]


def _size(edit: Edit) -> int:
    return sum(len(value) for value in edit.values.values() if isinstance(value, bytes)) + len(edit.attempt or b"")


def _request(edits: list[Edit]) -> Request:
    first = edits[0]
    where = {
        "_id": {"$in": [edit.id for edit in edits]},
        "revision": first.revision,
        "birth": {"$in": [edit.birth for edit in edits]},
    }
    if len(edits) == 1:
        return UpdateOne({"_id": first.id, "revision": first.revision, "birth": first.birth}, _plain_update(first))
    if first.attempt is None and all(edit.values == first.values for edit in edits):
        return UpdateMany(where, _plain_update(first))
    return UpdateMany(where, _pipeline(edits))


def traced(token: bytes) -> Document:
    """What every write does besides, so that it is known afterwards which landed."""
    return {"$inc": {"revision": 1}, "$push": {"trace": {"$each": [token], "$slice": -TRACE}}}


def _plain_update(edit: Edit) -> Document:
    update = traced(edit.token)
    if edit.values:
        update["$set"] = edit.values
    if edit.removed:
        update["$unset"] = dict.fromkeys(edit.removed, "")
    if edit.attempt is not None:
        update["$push"]["attempts"] = {"$each": [edit.attempt], "$slice": -ATTEMPTS_KEPT}
    return update


def _pipeline(edits: list[Edit]) -> Pipeline:
    """An update that gives each document its own values, found by the place of its id."""
    first = edits[0]
    values: Document = {"revision": first.revision + 1, "trace": _appended("trace", [first.token], TRACE)}
    for name, value in first.values.items():
        every = [edit.values[name] for edit in edits]
        is_alike = all(one == value for one in every)
        values[name] = {"$literal": value} if is_alike else {"$arrayElemAt": [{"$literal": every}, "$at"]}
    if first.attempt is not None:
        own = {"$arrayElemAt": [{"$literal": [edit.attempt for edit in edits]}, "$at"]}
        values["attempts"] = _appended("attempts", [own], ATTEMPTS_KEPT)
    at = {"$indexOfArray": [{"$literal": [edit.id for edit in edits]}, "$_id"]}
    return [{"$set": {"at": at}}, {"$set": values}, {"$unset": ["at", *first.removed]}]


def _appended(name: str, more: list[Any], kept: int) -> Document:
    return {"$slice": [{"$concatArrays": [{"$ifNull": [f"${name}", []]}, more]}, -kept]}
