"""Storing new jobs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from msgspec.structs import replace
from pymongo.client_session import ClientSession

from longshore.contract import Inserted, Insertion, Instant, NewJob, State, StoredJob
from longshore.errors import Unavailable
from longshore.reference import born
from longshore_mongo.documents import Document, Edit, births, document_of, documents_of, lapsed, token
from longshore_mongo.rounds import Rounds, Seen
from longshore_mongo.statements import Pipeline

TRIES: Final = 50
"""How often jobs are decided anew whose slots were taken meanwhile."""

_PENDING: Final = int(State.PENDING)
_INSERTED: Final = {int(state): Inserted(Insertion.INSERTED, state) for state in State}


class Inserting:
    """The jobs of one call."""

    def __init__(
        self, rounds: Rounds, given: Sequence[NewJob | StoredJob], session: ClientSession | None, *, heralds: bool
    ) -> None:
        self._rounds = rounds
        self._session = session
        self._given = given
        self._heralds = heralds
        self._answers: dict[int, Inserted] = {}
        self._now: Instant | None = None
        self._filed: set[str] = set()
        self._told: set[str] = set()

    @property
    def untold(self) -> set[str]:
        """Queues that were given a pending job, and whose listeners the insert did not tell by itself."""
        return self._filed - self._told

    def insert(self) -> list[Inserted]:
        """Stores each, and answers each."""
        left: Sequence[int] = range(len(self._given))
        if self._session is None and self._are_independent():
            now = self._now = self._rounds.glance()
            left = self._store(dict(enumerate(documents_of(self._given, now))))
        for _ in range(TRIES):
            if not left:
                return [self._answers[position] for position in range(len(self._given))]
            left = self._decide(left)
        raise Unavailable(f"others took the same slots in each of {TRIES} tries; insert the jobs again")

    def _are_independent(self) -> bool:
        """Whether what becomes of one says nothing about another: then it is enough to look at what clashes."""
        ids = {job.id for job in self._given}
        return len(ids) == len(self._given) and all(job.key is None for job in self._given)

    def _look(self, asks: dict[str, Pipeline]) -> Seen:
        seen = self._rounds.look(asks, self._session)
        self._now = seen.now if self._now is None else self._now
        return seen._replace(now=self._now)  # One call has one time.

    def _new(self, position: int, now: Instant) -> StoredJob:
        given = self._given[position]
        return given if isinstance(given, StoredJob) else born(given, now, position)

    def _decide(self, positions: Sequence[int]) -> list[int]:
        """Stores those that can be, as things stand, and answers the others."""
        jobs = {position: self._new(position, self._now or 0) for position in positions}
        standing = Standing()
        seen = self._look(standing.asks(jobs.values()))
        jobs = {position: self._new(position, seen.now) for position in positions}
        standing.sees(seen)
        for position, job in jobs.items():
            answer = standing.decide(position, job, is_new=isinstance(self._given[position], NewJob))
            if answer is not None:
                self._answers[position] = answer
        self._rounds.write(standing.freed, self._session)
        return self._store({position: document_of(job, seen.now) for position, job in standing.decided.items()})

    def _store(self, documents: Mapping[int, Document]) -> list[int]:
        """Stores jobs; answers the positions of those that clashed."""
        if not documents:
            return []
        pending = [at for at, document in documents.items() if document["state"] == _PENDING]
        heralds = {documents[at]["queue"]: at for at in reversed(pending)} if self._heralds else {}
        for position in heralds.values():  # The first pending job of each queue.
            documents[position]["heralds"] = True
        for document, birth in zip(documents.values(), births(len(documents)), strict=True):
            document["birth"], document["revision"] = birth, 0
        positions = [*documents]
        clashed = {positions[at] for at in self._rounds.insert([*documents.values()], self._session)}
        stored = documents.keys() - clashed if clashed else positions
        self._answers.update((position, _INSERTED[documents[position]["state"]]) for position in stored)
        self._filed |= {documents[position]["queue"] for position in pending if position not in clashed}
        self._told |= {queue for queue, position in heralds.items() if position not in clashed}
        return sorted(clashed)


class Standing:
    """What is stored already of ids, unique slots and turns; as it will be, while jobs are decided one by one."""

    def __init__(self) -> None:
        self.decided: dict[int, StoredJob] = {}
        self.freed: list[Edit] = []
        self._token = token()
        self._now: Instant = 0
        self._ids: dict[str, Inserted] = {}
        self._slots: dict[str, Document] = {}
        self._turns: set[tuple[str, int]] = set()
        self._queued: set[str] = set()
        self._positions: dict[str, int] = {}

    def asks(self, jobs: Iterable[StoredJob]) -> dict[str, Pipeline]:
        """What must be looked at."""
        ids, slots, keys = set(), set(), set()
        for job in jobs:
            ids.add(job.id)
            slots.add(job.unique_key)
            keys.add(job.key)
        by_key = {"key": {"$in": sorted(filter(None, keys))}}
        found: dict[str, Pipeline] = {
            "ids": [{"$match": {"_id": {"$in": sorted(ids)}}}, _only("state", "task", "digest")],
            "slots": [
                {"$match": {"unique_slot": {"$in": sorted(filter(None, slots))}}},
                _only("unique_slot", "unique_until", "birth", "revision"),
            ],
            "turns": [{"$match": {**by_key, "turn": {"$exists": True}}}, _only("key", "turn")],
            "queued": [{"$match": {**by_key, "state": int(State.WAITING)}}, {"$group": {"_id": "$key"}}],
        }
        wanted = {"ids", *(["slots"] if slots - {None} else []), *(["turns", "queued"] if keys - {None} else [])}
        return {part: pipeline for part, pipeline in found.items() if part in wanted}

    def sees(self, seen: Seen) -> None:
        """What was found."""
        self._now = seen.now
        for document in seen.of("ids"):
            state, task, digest = State(document["state"]), document["task"], document["digest"]
            self._ids[document["_id"]] = Inserted(Insertion.REPEATED, state, task=task, digest=digest)
        self._slots = {document["unique_slot"]: document for document in seen.of("slots")}
        self._turns = {(document["key"], document["turn"]) for document in seen.of("turns")}
        self._queued = {document["_id"] for document in seen.of("queued")}

    def decide(self, position: int, job: StoredJob, *, is_new: bool) -> Inserted | None:
        """The answer to a job that cannot be stored; the others are put among those that are decided."""
        if (stored := self._ids.get(job.id)) is not None:
            return stored
        slot = job.unique_key if job.unique_held else None
        if slot is not None and not self._frees(slot):
            return Inserted(Insertion.HELD, held_by=self._slots[slot]["_id"])
        if job.key is not None and job.turn is not None and (job.key, job.turn) in self._turns:
            return Inserted(Insertion.HELD)
        if is_new and job.key is not None and job.state is State.PENDING:
            job = self._in_turn(job, job.key)
        self._put(position, job, slot)
        return None

    def _frees(self, slot: str) -> bool:
        """Whether the slot is free, or was held for a period that has passed."""
        holder = self._slots.get(slot)
        if holder is None:
            return True
        if holder.get("unique_until", self._now + 1) > self._now:
            return False
        if (position := self._positions.get(holder["_id"])) is not None:
            self.decided[position] = replace(self.decided[position], unique_held=False)
        else:
            self.freed.append(lapsed(holder, self._token))
        return True

    def _in_turn(self, job: StoredJob, key: str) -> StoredJob:
        free = (turn for turn in range(job.turns) if (key, turn) not in self._turns)
        turn = None if key in self._queued else next(free, None)
        return replace(job, state=State.WAITING) if turn is None else replace(job, turn=turn)

    def _put(self, position: int, job: StoredJob, slot: str | None) -> None:
        self.decided[position] = job
        self._positions[job.id] = position
        self._ids[job.id] = Inserted(Insertion.REPEATED, job.state, task=job.task, digest=job.digest)
        if slot is not None:
            until = {} if job.unique_until is None else {"unique_until": job.unique_until}
            self._slots[slot] = {"_id": job.id, **until}
        if job.key is not None and job.turn is not None:
            self._turns.add((job.key, job.turn))
        if job.key is not None and job.state is State.WAITING:
            self._queued.add(job.key)


def _only(*names: str) -> Document:
    return {"$project": dict.fromkeys(names, 1)}
