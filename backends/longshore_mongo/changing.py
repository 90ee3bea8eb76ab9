"""Changing jobs."""

from __future__ import annotations

from collections.abc import Iterable, MutableMapping, Sequence
from typing import Final

from msgspec.structs import replace
from pymongo.client_session import ClientSession

from longshore import reference
from longshore.contract import ENDED, Answer, Change, Instant, Outcome, State, StoredJob
from longshore_mongo.documents import WITHOUT_BODY, Document, Edit, Known, edit_of, job_of, lapsed, token, unread
from longshore_mongo.rounds import Rounds, Seen
from longshore_mongo.statements import Pipeline, traced

_PAGE: Final = 1_000
_SLOTS: Final = {"unique_held", "unique_key"}


class Changing:
    """The changes of one call: first those that take no slot, then the others."""

    passes_over = False
    is_brief = False

    def __init__(
        self,
        rounds: Rounds,
        changes: Sequence[Change],
        known: MutableMapping[str, Known],
        session: ClientSession | None = None,
    ) -> None:
        self.answers: dict[str, Answer] = {}
        self.filed = False
        """Whether a job was put among those that can be claimed, now or later."""
        self._rounds = rounds
        self._session = session
        self._token = token()
        self._stages: list[dict[str, Change]] = [{}, {}]
        self._known: dict[str, Known] = {}  # What need not be looked at: if it has changed since, no edit lands.
        for change in changes:
            self._stages[reference.takes_slot(change)][change.id] = change
            as_claimed = known.pop(change.id, None)
            if as_claimed is not None and session is None and reference.guards_hold(as_claimed.job, change):
                self._known[change.id] = as_claimed
        self._left = self._next_stage()
        self._planned: dict[str, StoredJob] = {}
        self._ended: dict[str, StoredJob] = {}  # As they stood before.
        self._rests_on_a_look = False

    def _next_stage(self) -> dict[str, Change]:
        while self._stages:
            if stage := self._stages.pop(0):
                return stage
        return {}

    @property
    def is_done(self) -> bool:
        """Whether all are answered."""
        return not self._left

    def asks(self) -> dict[str, Pipeline]:
        ends = [change.id for change in self._left.values() if change.to in ENDED]
        unknown = [identity for identity in self._left if identity not in self._known]
        these: Pipeline = [{"$match": {"_id": {"$in": unknown}}}, {"$project": WITHOUT_BODY}]
        asked = {"jobs": these} if unknown else {}
        return asked | ({"children": children_of(ends)} if ends else {})

    def plans(self, seen: Seen) -> list[Edit]:
        stand = {document["_id"]: Known(document, job_of(unread(document))) for document in seen.of("jobs")}
        stand |= {identity: known for identity, known in self._known.items() if identity in self._left}
        self._known = {identity: known for identity, known in self._known.items() if identity not in self._left}
        jobs = {identity: known.job for identity, known in stand.items()}
        parents = {parent for child in seen.of("children") for parent in child["parents"]}
        parents |= self._followed(jobs.values())
        slots = _Slots(self._rounds, self._session, self._token, seen.now)
        takes_slot = reference.takes_slot(next(iter(self._left.values())))  # All of them, or none.
        if takes_slot:
            slots.look(self._left.values(), jobs)
        edits: dict[str, Edit] = {}
        self._planned = {}
        for change in list(self._left.values()):
            job = jobs.get(change.id)
            if job is None or not reference.guards_hold(job, change):
                self._refuse(change, job)
                continue
            effects = reference.effects(job, change, seen.now)
            after = replace(job, **effects)
            is_free = slots.give(edits, job, after, change)
            if is_free is None or change.id in edits:
                break  # It rests on what is written now: it and the rest are decided when that stands.
            if not is_free:
                self._answer(change.id, Outcome.HELD, job)
                continue
            if after.state in ENDED and job.state not in ENDED:
                self._ended[job.id] = job
                if job.id in parents:
                    effects["releases"] = True
                    after = replace(after, releases=True)
            document = stand[job.id].document
            self._plan(edits, edit_of(document, job, after, effects, seen.now, self._token, alone=takes_slot), after)
        return list(edits.values())

    def _plan(self, edits: dict[str, Edit], edit: Edit, after: StoredJob) -> None:
        # Within a transaction guards that hold go on to hold until it ends: the document is written in any case.
        if edit.values or edit.removed or edit.attempt is not None or self._session is not None:
            edits[edit.id] = edit
            self._planned[edit.id] = after
        else:
            self._answer(edit.id, Outcome.MOVED, after)

    def _refuse(self, change: Change, job: StoredJob | None) -> None:
        if job is None:
            self._left.pop(change.id)
            self.answers[change.id] = Answer(Outcome.REFUSED)
            return
        was_made = reference.was_made(job, change)
        self._rests_on_a_look |= was_made
        if was_made and job.state in ENDED:  # Whoever made this end may not have looked who waits.
            self._ended.setdefault(job.id, job if job.key is None else replace(job, turn=0))
        self._answer(job.id, Outcome.REPEATED if was_made else Outcome.REFUSED, job)

    def _answer(self, identity: str, outcome: Outcome, job: StoredJob) -> None:
        releases = job.releases and job.state in ENDED
        self.answers[identity] = Answer(outcome, job.state, job.generation, job.cancel_asked, job.awaited, releases)
        self._left.pop(identity, None)

    def hears(self, landed: set[str], locked: set[str]) -> None:
        """What did not land, for whatever reason, is left, and decided again."""
        for identity in landed & self._planned.keys():
            self.filed |= self._planned[identity].state is State.PENDING
            self._answer(identity, Outcome.MOVED, self._planned[identity])
        if not self._left:
            self._left = self._next_stage()

    def finish(self) -> None:
        """Looks once more who waits for what has ended: a child may have come meanwhile."""
        if self._session is not None:
            return
        if self._rests_on_a_look:
            self._rounds.confirm()
        ended = [job for job in self._ended.values() if _is_silent(self.answers[job.id])]
        for identity in mark_releases(self._rounds, ended):
            self.answers[identity] = replace(self.answers[identity], releases=True)

    def _followed(self, jobs: Iterable[StoredJob]) -> set[str]:
        ends = [job for job in jobs if job.key is not None and self._left[job.id].to in ENDED]
        return followed(self._rounds, ends, self._session)


def _is_silent(answer: Answer) -> bool:
    has_ended = answer.outcome is Outcome.MOVED or answer.outcome is Outcome.REPEATED
    return has_ended and answer.state in ENDED and not answer.releases


def children_of(ids: Sequence[str]) -> Pipeline:
    """Those who wait for any of these parents."""
    waiting = {"parents": {"$in": list(ids)}, "state": int(State.WAITING)}
    return [{"$match": waiting}, {"$limit": _PAGE}, {"$project": {"parents": 1}}]


def followed(rounds: Rounds, jobs: Sequence[StoredJob], session: ClientSession | None = None) -> set[str]:
    """Which of the jobs have a turn that others wait for."""
    keys = {job.key for job in jobs if job.key is not None and job.turn is not None}
    if not keys:
        return set()
    waiting = {"key": {"$in": sorted(keys)}, "state": int(State.WAITING)}
    with rounds.errors(session):
        found = set(rounds.within(session).jobs.distinct("key", waiting, session=session))
    return {job.id for job in jobs if job.turn is not None and job.key in found}


def mark_releases(rounds: Rounds, ended: Sequence[StoredJob]) -> set[str]:
    """Marks those of the jobs, given as they stood before they ended, that somebody waits for; answers their ids."""
    if not ended:
        return set()
    found = followed(rounds, ended)
    left = {job.id for job in ended} - found
    jobs = rounds.collections.jobs
    with rounds.errors():
        while left:
            children = list(jobs.aggregate(children_of(sorted(left))))
            parents = left & {parent for child in children for parent in child["parents"]}
            found |= parents
            left -= parents
            if len(children) < _PAGE:
                break
        if found:
            these = {"_id": {"$in": sorted(found)}, "state": {"$in": [int(state) for state in ENDED]}}
            jobs.update_many(these, {"$set": {"releases": True}, **traced(token())})
    return found


class _Slots:
    """Who holds the slots that some changes take, as they go on."""

    def __init__(self, rounds: Rounds, session: ClientSession | None, token: bytes, now: Instant) -> None:
        self._rounds = rounds
        self._session = session
        self._token = token
        self._now = now
        self._unique: dict[str, Document] = {}
        self._turns: dict[tuple[str, int], str] = {}

    def look(self, changes: Iterable[Change], jobs: dict[str, StoredJob]) -> None:
        """One trip: the holders of all slots that the changes may take."""
        wanted, keys = set(), set()
        for change in changes:
            if (job := jobs.get(change.id)) is not None and reference.takes_slot(change):
                wanted.add(change.fields.get("unique_key", job.unique_key))
                keys.add(job.key)
        slots = {"unique_slot": {"$in": sorted(filter(None, wanted))}}
        turns = {"key": {"$in": sorted(filter(None, keys))}, "turn": {"$exists": True}}
        with self._rounds.errors(self._session):
            found = list(
                self._rounds.within(self._session).jobs.find(
                    {"$or": [slots, turns]}, WITHOUT_BODY, session=self._session
                )
            )
        self._unique = {document["unique_slot"]: document for document in found if "unique_slot" in document}
        self._turns = {(document["key"], document["turn"]): document["_id"] for document in found if "turn" in document}

    def give(self, edits: dict[str, Edit], before: StoredJob, job: StoredJob, change: Change) -> bool | None:
        """Whether the slots that the change takes are free, and this job's from now on; None: not known yet."""
        takes_slot = job.unique_held and not change.fields.keys().isdisjoint(_SLOTS)
        if takes_slot and job.unique_key is not None:
            holder = self._unique.get(job.unique_key)
            if holder is not None and holder["_id"] != job.id:
                if holder.get("unique_until", self._now + 1) > self._now:
                    return False
                if holder["_id"] in edits or "revision" not in holder:
                    return None
                del self._unique[job.unique_key]
                edits[holder["_id"]] = lapsed(holder, self._token)
        turn = (job.key or "", job.turn if job.turn is not None else -1)
        if "turn" in change.fields and self._turns.get(turn, job.id) != job.id:
            return False
        self._take(before, job)
        return True

    def _take(self, before: StoredJob, after: StoredJob) -> None:
        if before.unique_held and before.unique_key is not None:
            self._unique.pop(before.unique_key, None)
        if before.key is not None and before.turn is not None:
            self._turns.pop((before.key, before.turn), None)
        if after.unique_held and after.unique_key is not None:
            until = {} if after.unique_until is None else {"unique_until": after.unique_until}
            self._unique[after.unique_key] = {"_id": after.id, **until}
        if after.key is not None and after.turn is not None:
            self._turns[after.key, after.turn] = after.id
