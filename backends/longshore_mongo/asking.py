"""Questions about jobs."""

from __future__ import annotations

import time
from typing import Any, Final

from longshore.contract import HELD, By, Duration, Order, Page, State, Where
from longshore_mongo.documents import WITHOUT_BODY, Document, edited, job_of, member_of, token
from longshore_mongo.rounds import Rounds
from longshore_mongo.statements import Pipeline

_LISTS: Final = {
    "ids": "_id", "queues": "queue", "tasks": "task", "states": "state",
    "groups": "group", "parents": "parents", "keys": "key",
}  # fmt: skip
_AGES: Final = {"due": "due", "expired": "expires", "ended": "ended"}
_PATIENCE: Final = 1.0
"""Seconds for which jobs are left to who has begun to remove them."""
_PAUSE: Final = 0.01
_HELD: Final = [int(state) for state in HELD]


class Asking:
    """Finds, counts and removes jobs."""

    def __init__(self, rounds: Rounds) -> None:
        self._rounds = rounds

    def page(self, where: Where, order: Order, limit: int, after: str | None, each: int | None, *, body: bool) -> Page:
        """One page."""
        match = self.match(where)
        if each is not None:
            return self._first_of_each(match, where, order, each, body=body)
        way = -1 if order is Order.NEWEST else 1
        if after is not None:
            created, _, identity = after.partition(":")
            match.append(_behind(int(created), identity, way))
        stages: Pipeline = [{"$match": {"$and": match}}, {"$sort": {"created": way, "_id": way}}, {"$limit": limit + 1}]
        found = self._run(stages, body=body)
        jobs = [job_of(document) for document in found[:limit]]
        return Page(jobs, f"{jobs[-1].created}:{jobs[-1].id}" if len(found) > limit and jobs else None)

    def _first_of_each(self, match: Pipeline, where: Where, order: Order, each: int, *, body: bool) -> Page:
        way = -1 if order is Order.NEWEST else 1
        name, asked = ("key", where.keys) if where.keys is not None else ("group", where.groups)
        sort: Document = {"$sort": {"created": way, "_id": way}}
        parts: dict[str, Pipeline] = {
            f"{number}": [{"$match": {"$and": [*match, {name: value}]}}, sort, {"$limit": each}]
            for number, value in enumerate(sorted(set(asked or ())))
        }
        seen = self._rounds.look({part: [*stages, *_bare(body=body)] for part, stages in parts.items()})
        jobs = [job_of(document) for documents in seen.parts.values() for document in documents]
        jobs.sort(key=lambda job: (job.created, job.id.encode()), reverse=order is Order.NEWEST)
        return Page(jobs)

    def _run(self, stages: Pipeline, *, body: bool) -> list[Document]:
        return self._rounds.look({"found": [*stages, *_bare(body=body)]}).of("found")

    def count(self, by: By, where: Where) -> dict[tuple[Any, ...], int]:
        """How many there are of each combination."""
        match = self.match(where)
        if by is By.HOLDER:
            match += [{"holder": {"$exists": True}}, {"state": {"$in": _HELD}}]
        if by is By.GROUP_STATE:
            match.append({"group": {"$exists": True}})
        key = {name: f"${name}" for name in by.value}
        counted: Pipeline = [{"$match": {"$and": match}}, {"$group": {"_id": key, "count": {"$sum": 1}}}]
        found = self._rounds.look({"counted": counted}).of("counted")
        return {tuple(_part(name, each["_id"][name]) for name in by.value): each["count"] for each in found}

    def delete(self, where: Where, limit: int) -> list[str]:
        """Removes the oldest that may go; answers their ids."""
        match = [*self.match(where), *self._deletable()]
        # What is condemned is its condemner's to remove, so that each removal is answered to one caller.
        condemned = {"condemned": token()}
        mine = condemned["condemned"]
        written = self._rounds.write([edited(each, mine, condemned) for each in self._to_remove(match, limit)])
        ids = [identity for identity, _ in written.landed]
        if not ids:
            return []
        jobs = self._rounds.collections.jobs
        with self._rounds.errors():
            # What has moved meanwhile stays.
            removed = jobs.delete_many({"$and": [{"_id": {"$in": ids}}, condemned, *match]}).deleted_count
            if removed == len(ids):
                return ids
            kept = {document["_id"] for document in jobs.find({"_id": {"$in": ids}}, {"_id": 1})}
        return [identity for identity in ids if identity not in kept]

    def _to_remove(self, match: Pipeline, limit: int) -> Pipeline:
        """The oldest that nobody else is removing; where all are being removed, and stay, that one has gone away."""
        stages: Pipeline = [
            {"$match": {"$and": match}},
            {"$sort": {"created": 1, "_id": 1}},
            {"$limit": limit},
            {"$project": {"birth": 1, "revision": 1, "condemned": 1}},
        ]
        ends = time.monotonic() + _PATIENCE
        while True:
            found = self._rounds.look({"found": stages}).of("found")
            free = [document for document in found if "condemned" not in document]
            if free or not found or time.monotonic() > ends:
                return free or found
            time.sleep(_PAUSE)

    def _deletable(self) -> Pipeline:
        period_runs = {"unique_slot": {"$exists": True}, **self._later_than_now("unique_until")}
        return [{"state": {"$nin": _HELD}}, {"$nor": [period_runs]}]

    def _later_than_now(self, name: str) -> Document:
        return {name: {"$exists": True}, "$expr": {"$gt": [f"${name}", self._rounds.now_expression]}}

    def match(self, where: Where) -> Pipeline:
        """The conditions, each of which must hold; the server knows the time."""
        match: Pipeline = [{}]
        for name, field in _LISTS.items():
            if (asked := getattr(where, name)) is not None:
                values = sorted({int(value) if isinstance(value, State) else value for value in asked})
                match.append({field: {"$in": values}})
        for name, field in _AGES.items():
            if (ago := getattr(where, name)) is not None:
                match += self._so_long_ago(field, ago)
        single = (("holder", where.holder), ("unique_key", where.unique_key))
        match += [{name: asked} for name, asked in single if asked is not None]
        if where.notes:
            match.append({"notes": {"$all": [member_of(name, value) for name, value in where.notes.items()]}})
        if where.releases is not None:
            match.append({"releases": True} if where.releases else {"releases": {"$ne": True}})
        return match if where.changed is None else [*match, self._changed(where.changed)]

    def _so_long_ago(self, field: str, ago: Duration) -> Pipeline:
        then = {"$subtract": [self._rounds.now_expression, ago]}
        index = [{"state": {"$in": [int(state) for state in State]}}] if field == "ended" else []
        return [*index, {field: {"$exists": True}}, {"$expr": {"$lte": [f"${field}", then]}}]

    def _changed(self, ago: Duration) -> Document:
        then = {"$subtract": [self._rounds.now_expression, ago]}
        since: Pipeline = [
            {name: {"$exists": True}, "$expr": {"$gte": [f"${name}", then]}} for name in ("created", "ended")
        ]
        return {"$or": [{"state": {"$in": _HELD}}, *since]}


def _behind(created: int, identity: str, way: int) -> Document:
    further = "$gt" if way > 0 else "$lt"
    return {
        "created": {f"{further}e": created},
        "$or": [{"created": {further: created}}, {"_id": {further: identity}}],
    }


def _bare(*, body: bool) -> Pipeline:
    return [] if body else [{"$project": WITHOUT_BODY}]


def _part(name: str, value: Any) -> Any:
    return State(value) if name == "state" else value
