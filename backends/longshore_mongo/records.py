"""Records: small versioned documents."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any, Final

from pymongo import UpdateOne
from pymongo.client_session import ClientSession
from pymongo.errors import BulkWriteError

from longshore.contract import Record, Write
from longshore_mongo.documents import Document, token
from longshore_mongo.failures import is_clash
from longshore_mongo.rounds import Rounds
from longshore_mongo.statements import Pipeline

_KEPT: Final = 3_600_000
"""Milliseconds for which what is erased or has expired stays, so that its key goes on to rise in version."""
_FOR_EVER: Final = 2**63 - 1
_TRIES: Final = 5
_TRACE: Final = 32
"""How many of the last writes a record knows by their calls."""


class Records:
    """Reads and writes the records of a namespace."""

    def __init__(self, rounds: Rounds) -> None:
        self._rounds = rounds

    def read(self, kind: str, keys: Sequence[str] | None, prefix: str, limit: int, after: str | None) -> list[Record]:
        """Live records, by key."""
        conditions: Pipeline = [{"_id": {"$gte": f"{kind}\0{prefix}", "$lt": following(f"{kind}\0{prefix}")}}]
        if keys is not None:
            conditions = [{"_id": {"$in": [f"{kind}\0{key}" for key in sorted(set(keys))]}}]
        if after is not None:
            conditions.append({"_id": {"$gt": f"{kind}\0{after}"}})
        conditions += [{"value": {"$exists": True}}, {"$expr": self._is_in_time()}]
        stages: Pipeline = [{"$match": {"$and": conditions}}, {"$sort": {"_id": 1}}, {"$limit": limit}]
        found = self._rounds.look({"found": stages}, among="records").of("found")
        return [_record(kind, document) for document in found]

    def write(self, writes: Sequence[Write], session: ClientSession | None) -> list[int | None]:
        """Each on its own; decided by the server, where the record is."""
        self._rounds.look({}, session)
        mine = token()
        requests = [self._request(write, mine) for write in writes]
        records = self._rounds.within(session).records
        ids = [_id(write) for write in writes]
        with self._rounds.errors(session):
            for _ in range(_TRIES):
                try:
                    records.bulk_write(requests, ordered=False, session=session)
                    break
                except BulkWriteError as error:
                    if not is_clash(error):  # Two may create a record at once: then one finds the other's.
                        raise
                    requests = [requests[problem["index"]] for problem in error.details["writeErrors"]]
            found = records.find({"_id": {"$in": ids}, "trace.token": mine}, {"trace.$": 1}, session=session)
            versions = {document["_id"]: int(document["trace"][0]["version"]) for document in found}
        return [versions.get(identity) for identity in ids]

    def _request(self, write: Write, mine: bytes) -> UpdateOne:
        now = self._rounds.now_expression
        is_live = {"$and": [{"$gt": ["$value", None]}, self._is_in_time()]}
        stands = {"$cond": [is_live, "$version", 0]}
        lands: Any = True if write.version is None else {"$eq": [stands, write.version]}
        rises = {"$max": [{"$add": [{"$ifNull": ["$version", 0]}, 1]}, now]}
        expires: Any = "$$REMOVE" if write.lifetime is None else {"$add": [now, write.lifetime]}
        written: Document = {
            "version": rises,
            "value": "$$REMOVE" if write.value is None else {"$literal": write.value},
            "expires": "$$REMOVE" if write.value is None else expires,
            "swept": self._swept(write),
        }
        chosen = {name: {"$cond": ["$lands", value, f"${name}"]} for name, value in written.items()}
        trace = {"$concatArrays": [{"$ifNull": ["$trace", []]}, [{"version": "$version", "token": mine}]]}
        traced = {"trace": {"$cond": ["$lands", {"$slice": [trace, -_TRACE]}, "$trace"]}}
        steps: Pipeline = [{"$set": {"lands": lands}}, {"$set": chosen}, {"$set": traced}, {"$unset": ["lands"]}]
        return UpdateOne({"_id": _id(write)}, steps, upsert=not write.version)

    def _swept(self, write: Write) -> Any:
        """When the server's broom may take it; never where the time is a test's."""
        if self._rounds.has_clock or (write.value is not None and write.lifetime is None):
            return "$$REMOVE"
        lifetime = 0 if write.value is None else (write.lifetime or 0) // 1_000
        return {"$add": ["$$NOW", _KEPT + lifetime]}

    def _is_in_time(self) -> Document:
        return {"$gt": [{"$ifNull": ["$expires", _FOR_EVER]}, self._rounds.now_expression]}


def _id(write: Write) -> str:
    return f"{write.kind}\0{write.key}"


def _record(kind: str, document: Document) -> Record:
    key = document["_id"].partition("\0")[2]
    expires = document.get("expires")
    return Record(kind, key, document["value"], int(document["version"]), None if expires is None else int(expires))


def following(prefix: str) -> str:
    """The first text behind all those that begin with the prefix, in the order of their bytes."""
    head = prefix.rstrip(chr(sys.maxunicode))
    last = ord(head[-1]) + 1
    return head[:-1] + chr(0xE000 if last == 0xD800 else last)
