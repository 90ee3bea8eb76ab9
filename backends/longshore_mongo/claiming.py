"""Taking due jobs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from msgspec.structs import replace

from longshore import reference
from longshore.contract import Change, Claim, Claimed, Duration, Instant, State, StoredJob
from longshore_mongo.changing import mark_releases
from longshore_mongo.documents import UNREAD, Document, Edit, Known, edit_of, edited, job_of, token
from longshore_mongo.rounds import Rounds, Seen
from longshore_mongo.statements import Pipeline

_BUDGET: Final = 1_000
"""How many jobs a call makes findable, puts aside or expires before it stops."""
_AT_ONCE: Final = 10
"""Of so many that are due next a look brings those whose time has come; if that is all of them, the earliest are made
findable first."""
_LANES: Final = 100
"""Lanes of one question: of many more MongoDB would not merge the heads, but sort all."""
_SMALL: Final = 1_024
"""Bytes up to which a payload is kept with what is known of a claimed job."""
_LARGE: Final = 64 * 1024
"""Bytes of a document from which on its payload is read only when the job is taken."""
_IS_LARGE: Final = {"$gt": [{"$bsonSize": "$$ROOT"}, _LARGE]}
_SHOWN: Final = {
    "$set": {
        "size": {"$cond": [_IS_LARGE, {"$bsonSize": "$$ROOT"}, "$$REMOVE"]},
        "payload": {"$cond": [_IS_LARGE, "$$REMOVE", "$payload"]},
        "attempts": "$$REMOVE",
    }
}
"""In one stage, as each costs."""
_ORDER: Final = {"priority": -1, "due": 1, "_id": 1}


class _Taken(NamedTuple):
    """What is about to be taken, by which claim."""

    number: int
    document: Document  # As it was looked at.
    job: StoredJob
    size: int


class Claiming:
    """The claims of one call, served in sequence."""

    passes_over = True

    def __init__(
        self, rounds: Rounds, claims: Sequence[Claim], *, holder: str, limit: int, max_bytes: int | None
    ) -> None:
        self.is_done = not claims
        self._rounds = rounds
        self._claims = claims
        self._holder = holder
        self._limit = limit
        self._max_bytes = max_bytes
        self._token = token()
        self._queues = sorted({queue for claim in claims for queue in claim.queues})
        self._wanted = [min(limit, limit if claim.limit is None else claim.limit) for claim in claims]
        self._at = 0  # The claim that is being served.
        self._page = min(limit, sum(self._wanted))
        self._lanes: list[str] | None = None if any(self._is_of_any(claim) for claim in claims) else []
        self._promoted = 0
        self._due: list[Document] = []  # Not findable yet, and met with the heads of the lanes as if they were.
        self._promoting: set[str] = set()
        self._passed = 0
        self._stopped = False
        self._next_due: Duration | None = None
        self._jobs: dict[str, StoredJob] = {}  # Taken, in order.
        self._expired: dict[str, StoredJob] = {}
        self._planned: dict[str, _Taken] = {}
        self.known: dict[str, Known] = {}
        """What was taken, as it is stored."""
        self._large: set[str] = set()
        self._ending: dict[str, StoredJob] = {}
        self._put_aside: set[str] = set()
        self._locked: set[str] = set()  # By open transactions.
        self._passed_over = False
        self._bytes = 0
        self._written: dict[tuple[int, ...], tuple[Document, tuple[str, ...]]] = {}

    @property
    def is_brief(self) -> bool:
        """Whether it would take a few jobs: of many it would cost more if each told the time."""
        return self._page <= _AT_ONCE

    @staticmethod
    def _is_of_any(claim: Claim) -> bool:
        return claim.id is None and claim.tasks is None

    @property
    def claimed(self) -> Claimed:
        """The answer, when all is done."""
        if self._jobs:
            return Claimed(list(self._jobs.values()), list(self._expired))
        if self._passed_over and not self._stopped:
            return Claimed([], list(self._expired), None, passed_over=True)
        return Claimed([], list(self._expired), 0 if self._stopped else self._next_due)

    def begin_again(self) -> None:
        """Looks once more, if there was nothing to take."""
        self._at, self.is_done = 0, bool(self._jobs) or not self._claims

    def asks(self) -> dict[str, Pipeline]:
        asked: dict[str, Pipeline] = {}
        if self._queues:
            later = {"$match": {"later": {"$in": self._queues}}}
            is_due = {"$lte": ["$due", self._rounds.now_expression]}
            told = {"$replaceWith": {"$cond": [is_due, "$$ROOT", {"_id": "$_id", "due": "$due"}]}}
            asked["next"] = [later, {"$sort": {"due": 1}}, {"$limit": _AT_ONCE}, told, _SHOWN]
        if self._lanes is None:
            return asked | {f"lanes {queue}": _lanes_aside(queue) for queue in self._queues}
        for number in range(self._at, len(self._claims)):
            if self._wanted[number] > 0:
                heads = self._heads(self._claims[number])
                asked |= {f"heads {number} {part}": pipeline for part, pipeline in enumerate(heads)}
        return asked

    def _heads(self, claim: Claim) -> Iterator[Pipeline]:
        if claim.id is not None:
            yield [{"$match": {"_id": claim.id, "state": int(State.PENDING)}}, _SHOWN]
            return
        least = {} if claim.min_priority is None else {"priority": {"$gte": claim.min_priority}}
        lanes = self._lanes_of(claim)
        for start in range(0, len(lanes), _LANES):
            match = {"$match": {"lane": {"$in": lanes[start : start + _LANES]}, **least}}
            yield [match, {"$sort": _ORDER}, {"$limit": self._page}, _SHOWN]

    def _lanes_of(self, claim: Claim) -> list[str]:
        queues = dict.fromkeys(claim.queues)
        if claim.tasks is not None:
            aside = [f"{queue}\0{task}" for queue in queues for task in sorted(claim.tasks)]
        else:
            aside = [lane for lane in self._lanes or () if lane.partition("\0")[0] in queues]
        return [*queues, *aside]

    def plans(self, seen: Seen) -> list[Edit]:
        self._planned, self._ending, self._put_aside = {}, {}, set()
        self._next_due = min((document["due"] - seen.now for document in seen.of("next")), default=None)
        self._due = [] if self._promoted else [document for document in seen.of("next") if self._is_due(document, seen)]
        self._promoting = {document["_id"] for document in self._due}
        if self._next_due is not None and self._next_due <= 0:
            self._next_due = 0
            if not self._promoted and len(self._due) in {0, _AT_ONCE}:
                return self._promote(seen.now)
        if self._lanes is None:
            asides = (seen.of(f"lanes {queue}") for queue in self._queues)
            self._lanes = [document["_id"] for documents in asides for document in documents]
            return []
        edits: list[Edit] = []
        while self._at < len(self._claims) and self._serve(self._at, seen, edits):
            self._at += 1
        written = {edit.id for edit in edits}
        return edits + [self._found(document) for document in self._due if document["_id"] not in written]

    def _is_due(self, document: Document, seen: Seen) -> bool:
        is_whole = "later" in document  # The server has found it due.
        return is_whole and document["due"] <= seen.now and document["_id"] not in self._locked

    def _found(self, document: Document) -> Edit:
        return edited(document, self._token, {"lane": document["later"]}, ["later"])

    def _promote(self, now: Instant) -> list[Edit]:
        """Makes due jobs findable, earliest first."""
        jobs = self._rounds.collections.jobs
        due = {"later": {"$in": self._queues}, "due": {"$lte": now}}
        with self._rounds.errors():
            found = list(jobs.find(due, {"later": 1, "birth": 1, "revision": 1}, sort=[("due", 1)], limit=_BUDGET))
        self._promoted = len(found)
        self._promoting, self._due = {document["_id"] for document in found}, []
        return [self._found(document) for document in found]

    def _serve(self, number: int, seen: Seen, edits: list[Edit]) -> bool:
        """Serves one claim from the heads of its lanes; whether it has got all that it can."""
        heads, is_all = self._merged(number, seen)
        for document in heads:
            if self._has_enough(number):
                return True
            if document["_id"] in self._put_aside:
                return False  # By a claim before this one: it is looked at again where it stands then.
            identity = document["_id"]
            is_met = identity in self._planned or identity in self._ending or identity in self._locked
            if not is_met and not self._meets(number, document, seen.now, edits):
                return True
        if is_all or self._has_enough(number):
            return True
        if self._passed + len(self._locked) >= _BUDGET or len(self._expired) + len(self._ending) >= _BUDGET:
            self._stopped = self.is_done = True
        self._page = _BUDGET
        return False

    def _has_enough(self, number: int) -> bool:
        return self._wanted[number] <= 0 or len(self._jobs) + len(self._planned) >= self._limit

    def _meets(self, number: int, document: Document, now: Instant, edits: list[Edit]) -> bool:
        """Takes a job, expires it or puts it aside; False where the claim ends with it."""
        claim, job = self._claims[number], job_of(document)
        is_wanted = claim.tasks is None or job.task in claim.tasks
        if claim.id is not None and (job.due > now or not is_wanted):
            return False
        if not is_wanted:
            edits.append(self._aside(document, f"{job.queue}\0{job.task}"))
        elif job.expires is not None and job.expires <= now:
            self._ending[job.id] = job
            effects = reference.effects(job, Change(job.id, State.EXPIRED), now)
            edits.append(edit_of(document, job, replace(job, **effects), effects, now, self._token))
        elif self._has_room_for(document, job):
            self._take(number, document, job, now, edits)
        else:
            return False
        return True

    def _merged(self, number: int, seen: Seen) -> tuple[list[Document], bool]:
        """The heads of all lanes of a claim in order, as far as each is known; and whether that is all there is."""
        parts = [of for part, of in seen.parts.items() if part.startswith(f"heads {number} ")]
        due = [document for document in self._due if self._may_be_of(self._claims[number], document)]
        heads = [document for part in (*parts, due) for document in part]
        if len(parts) > 1 or due:
            heads.sort(key=lambda document: (-document["priority"], document["due"], document["_id"].encode()))
        is_all = all(len(part) < self._page for part in parts) or self._claims[number].id is not None
        return heads if is_all else heads[: self._page], is_all

    def _aside(self, document: Document, lane: str) -> Edit:
        self._passed += 1
        self._put_aside.add(document["_id"])
        if self._lanes is not None and lane not in self._lanes:
            self._lanes.append(lane)
        return edited(document, self._token, {"lane": lane}, ["later"] if "later" in document else [])

    @staticmethod
    def _may_be_of(claim: Claim, document: Document) -> bool:
        is_high_enough = claim.min_priority is None or document["priority"] >= claim.min_priority
        return claim.id is None and document["later"] in claim.queues and is_high_enough

    def _has_room_for(self, document: Document, job: StoredJob) -> bool:
        is_first = not self._jobs and not self._planned
        return is_first or self._max_bytes is None or self._bytes + _size(document, job) <= self._max_bytes

    def _take(self, number: int, document: Document, job: StoredJob, now: Instant, edits: list[Edit]) -> None:
        taken = reference.taken(job, self._holder, now, reserve=self._claims[number].reserve)
        is_later, is_freed = "later" in document, taken.unique_held != job.unique_held
        shape = (taken.state, now, taken.generation, taken.attempt, is_later, is_freed)
        if (written := self._written.get(shape)) is None:  # Most are alike: what is written is put together once.
            written = self._written[shape] = _written(job, taken, is_later=is_later, is_freed=is_freed)
        edits.append(Edit(document["_id"], document["birth"], document["revision"], self._token, *written))
        size = _size(document, job)
        self._planned[job.id] = _Taken(number, document, taken, size)
        self._wanted[number] -= 1
        self._bytes += size

    def hears(self, landed: set[str], locked: set[str]) -> None:
        self._locked |= locked
        self._passed_over |= not locked.isdisjoint((*self._planned, *self._ending, *self._promoting))
        for identity, (number, document, job, size) in self._planned.items():
            if identity in landed:
                self._jobs[identity] = job
                stands = {"_id": identity, "birth": document["birth"], "revision": document["revision"] + 1}
                if job.unique_held:
                    stands["unique_slot"] = document["unique_slot"]
                self.known[identity] = Known(stands, job if size <= _SMALL else replace(job, payload=UNREAD))
                if size >= _LARGE:
                    self._large.add(identity)
            else:  # Another took it, or is at it: the claim goes on with the next.
                self._wanted[number] += 1
                self._bytes -= size
                self._at = min(self._at, number)
        self._expired |= {identity: job for identity, job in self._ending.items() if identity in landed}
        # Where nothing was taken, the answer is when the next is due: then what is due now must be out of the way.
        is_clear = bool(self._jobs) or not self._due
        self.is_done |= self._at == len(self._claims) and self._lanes is not None and is_clear

    def finish(self) -> None:
        """Brings large payloads, and marks those of the expired jobs that others wait for."""
        mark_releases(self._rounds, list(self._expired.values()))
        if self._large:
            these = {"_id": {"$in": sorted(self._large)}}
            with self._rounds.errors():
                for document in self._rounds.collections.jobs.find(these, {"payload": 1}):
                    identity = document["_id"]
                    self._jobs[identity] = replace(self._jobs[identity], payload=document["payload"])


def _written(job: StoredJob, taken: StoredJob, *, is_later: bool, is_freed: bool) -> tuple[Document, tuple[str, ...]]:
    """What a claim sets, and what it removes."""
    values = {"state": int(taken.state), "holder": taken.holder, "started": taken.started}
    values |= {"generation": taken.generation} | ({"attempt": taken.attempt} if taken.attempt != job.attempt else {})
    removed = ("lane", *(["later"] if is_later else []), *(["unique_held", "unique_slot"] if is_freed else []))
    return values, removed


def _size(document: Document, job: StoredJob) -> int:
    """How many bytes the payload has; if it is large, about so many."""
    return len(job.payload) if "payload" in document else int(document["size"])


def _lanes_aside(queue: str) -> Pipeline:
    return [{"$match": {"lane": {"$gt": f"{queue}\0", "$lt": f"{queue}\1"}}}, {"$group": {"_id": "$lane"}}]
