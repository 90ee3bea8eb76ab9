"""What operators do to jobs: each answers, id by id, what became of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from enum import StrEnum
from hashlib import blake2b
from itertools import islice
from typing import Any, Final

import msgspec
from msgspec import UNSET, Struct, UnsetType

from longshore.admin.reading import ENQUEUED_AGAIN, Reading, Several, texts
from longshore.codecs import is_native
from longshore.contract import (
    ENDED,
    UNENDED,
    Answer,
    Change,
    Fields,
    Inserted,
    Insertion,
    Instant,
    NewJob,
    Outcome,
    State,
    StoredJob,
    UniqueScope,
    Where,
)
from longshore.durations import Seconds, microseconds
from longshore.errors import InvalidValue
from longshore.following import descendants, ended, follow, look, removed
from longshore.guard import MAX_TEXT_BYTES, check_text
from longshore.holders import worker_topic
from longshore.info import Attempt, ended_topic
from longshore.states import ASK_CANCEL, CANCEL, EDIT, FORCE_CANCEL, PURGE, RETRY, RETRY_IN_LINE, Event, move
from longshore.totals import count_removed

_BATCH: Final = 500
_ROUNDS: Final = 5
"""How often a job that was moved by others meanwhile is looked at again."""


class Verdict(StrEnum):
    """What became of what was asked for."""

    DONE = "done"
    ASKED = "asked"  # The run was asked to end; its end decides.
    ALREADY = "already"  # It was so before.
    REFUSED = "refused"  # The job's state does not allow it.
    HELD = "held"  # Another job holds its unique key.
    MISSING = "missing"  # There is no such job.


class Fate(Struct, frozen=True):
    """What became of one job: its state after it, and who holds its unique key if that was in the way."""

    id: str
    verdict: Verdict
    state: State | None = None
    held_by: str | None = None
    new_id: str | None = None
    """Of a failure that was enqueued again: the job that stands in its place."""


class _Step(Struct, frozen=True):
    change: Change
    queue: str
    holder: str | None = None
    unique_key: str | None = None
    verdict: Verdict = Verdict.DONE


_Decide = Callable[[StoredJob], _Step | Fate]


class Acting(Reading):
    """Changes jobs. What others do to a job at the same time is seen: nothing is overwritten unseen."""

    def retry(
        self,
        ids: Several,
        *,
        delay: Seconds = 0.0,
        priority: int | None = None,
        queue: str | None = None,
        max_attempts: int | UnsetType | None = UNSET,
    ) -> list[Fate]:
        """Makes jobs of any state pending again, with at least one attempt left.

        It uses up no attempt, forgives crashes, takes the job's unique key again (HELD if another has it), and makes a
        run that is still on void. A deadline that has passed is lifted. One with a key, of which all turns are taken,
        waits in its old place, before those that were enqueued after it.

        Args:
            ids: of one job or several.
            delay: not before so long from now.
            priority, queue, max_attempts: instead of the ones they have.
        """
        fields = _checked_fields(priority=priority, queue=queue)
        fields["delay"] = microseconds(delay, name="delay")
        now = self._store.now()
        return self._apply(ids, lambda job: _retry(job, fields, max_attempts, now))

    def cancel(self, ids: Several, *, force: bool = False, subtree: bool = False) -> list[Fate]:
        """Cancels jobs: at once if nobody runs them; a running one is ASKED to end.

        With ``force`` a running one is cancelled at once too: its run is void, whatever it still does. With ``subtree``
        all that wait for them, or were waiting, are cancelled too, children before their parents, and answered after
        those that were named; not the calls at their ends, which are made.
        """
        named = _unique(ids)
        unended = [] if not subtree else descendants(self._store, named)
        fates = {
            fate.id: fate for fate in self._apply([*reversed(unended), *named], lambda job: _cancel(job, force=force))
        }
        return [fates[identity] for identity in (*named, *unended)]

    def edit(
        self,
        ids: Several,
        *,
        queue: str | None = None,
        priority: int | None = None,
        delay: Seconds | None = None,
        expires: Seconds | UnsetType | None = UNSET,
    ) -> list[Fate]:
        """Changes jobs that wait to run; REFUSED once they run or have ended.

        Args:
            ids: of one job or several.
            queue, priority: instead of the ones they have.
            delay: not before so long from now.
            expires: not after so long from now; None for no deadline.
        """
        fields = _checked_fields(priority=priority, queue=queue)
        if delay is not None:
            fields["delay"] = microseconds(delay, name="delay")
        if expires is None:
            fields["expires"] = None
        elif expires is not UNSET:
            fields["expires"] = self._store.now() + microseconds(expires, name="expires")
        if not fields:
            raise InvalidValue("expected something to change: queue, priority, delay or expires")
        return self._apply(ids, lambda job: _edit(job, fields))

    def note(self, ids: Several, notes: Mapping[str, Any]) -> list[Fate]:
        """Merges notes into those of jobs of any state: each key replaces the one there was, None removes it."""
        if not is_native(dict(notes)):
            raise InvalidValue(f"notes must be a JSON object: texts as keys, JSON values; they are {notes!r}")
        return self._apply(ids, lambda job: _Step(Change(job.id, None, {"notes": notes}), job.queue))

    def remove(self, ids: Several) -> list[Fate]:
        """Removes jobs with all that is theirs; REFUSED for those that a worker has.

        REFUSED too for a job whose unique period still runs.
        """
        wanted = _unique(ids)
        fates: dict[str, Fate] = {}
        for batch in _batches(wanted):
            before = {job.id: job for job in self._store.each(Where(ids=batch), body=False)}
            gone = self._store.delete(Where(ids=batch), limit=len(batch))
            count_removed(self._store, len(gone))
            fates |= {identity: Fate(identity, Verdict.DONE) for identity in gone}
            follow(self._store, [removed(before[identity]) for identity in gone if identity in before])
            left = tuple(identity for identity in batch if identity not in fates)
            kept = self._store.each(Where(ids=left), body=False) if left else ()
            fates |= {job.id: Fate(job.id, Verdict.REFUSED, job.state) for job in kept}
        return [fates.get(identity, Fate(identity, Verdict.MISSING)) for identity in wanted]

    def purge(self, *, queues: Several | None = None, tasks: Several | None = None) -> int:
        """Gives up every job that has not ended, of these queues and tasks or of all; answers how many there were.

        They become ABANDONED and stay to be seen, with an attempt that says so. Runs that are still on are void.
        """
        where = Where(queues=texts(queues), tasks=texts(tasks), states=tuple(UNENDED))
        jobs = self._store.each(where, body=False)
        now = self._store.now()
        given_up = 0
        while batch := [job.id for job in islice(jobs, _BATCH)]:
            fates = self._apply(batch, lambda job: _purge(job, now))
            given_up += sum(fate.verdict is Verdict.DONE for fate in fates)
        return given_up

    def enqueue_failed(self, ids: Several) -> list[Fate]:
        """Stores a new job for each that failed or was abandoned, with its arguments, once: ALREADY after that.

        The failed job stays as it is, for whoever wants to know why; its note names the new one.
        """
        wanted = _unique(ids)
        fates: dict[str, Fate] = {}
        for batch in _batches(wanted):
            failed = {job.id: job for job in self._store.each(Where(ids=batch))}
            fates |= self._enqueue_failed([failed[identity] for identity in batch if identity in failed])
        return [fates.get(identity, Fate(identity, Verdict.MISSING)) for identity in wanted]

    def _enqueue_failed(self, jobs: list[StoredJob]) -> dict[str, Fate]:
        fates: dict[str, Fate] = {}
        fresh: list[NewJob] = []
        sources: list[StoredJob] = []
        for job in jobs:
            new_id = _id_in_place_of(job)
            if job.state not in (State.FAILED, State.ABANDONED):
                fates[job.id] = Fate(job.id, Verdict.REFUSED, job.state)
            elif job.notes.get(ENQUEUED_AGAIN) == new_id:
                fates[job.id] = Fate(job.id, Verdict.ALREADY, job.state, new_id=new_id)
            else:
                fresh.append(_in_place_of(job, new_id))
                sources.append(job)
        answers = self._store.insert(fresh) if fresh else []
        for job, new, answer in zip(sources, fresh, answers, strict=True):
            fates[job.id] = _fate_of_insert(job, new, answer)
        look(self._store, [new.id for new, answer in zip(fresh, answers, strict=True) if answer.state is State.WAITING])
        # After the insert: if this is lost, the id still keeps a second one out.
        named = [fates[job.id] for job in sources if fates[job.id].new_id is not None]
        notes = [Change(fate.id, None, {"notes": {ENQUEUED_AGAIN: fate.new_id}}) for fate in named]
        self._store.update(notes)
        return fates

    def _apply(self, ids: Several, decide: _Decide) -> list[Fate]:
        wanted = _unique(ids)
        fates: dict[str, Fate] = {}
        for batch in _batches(wanted):
            left: tuple[str, ...] = batch
            for _ in range(_ROUNDS):
                if not left:
                    break
                left = self._round(left, decide, fates)
        return [fates[identity] for identity in wanted]

    def _round(self, ids: tuple[str, ...], decide: _Decide, fates: dict[str, Fate]) -> tuple[str, ...]:
        """Reads, decides and changes once; gives the ids of those that were moved by others in between."""
        stored = {job.id: job for job in self._store.each(Where(ids=ids), body=False)}
        steps: list[_Step] = []
        for identity in ids:
            if identity not in stored:
                fates[identity] = Fate(identity, Verdict.MISSING)
                continue
            decided = decide(stored[identity])
            if isinstance(decided, Fate):
                fates[identity] = decided
            else:
                steps.append(decided)
        answers = self._store.update([step.change for step in steps]) if steps else []
        topics: dict[str, None] = {}
        for step, answer in zip(steps, answers, strict=True):
            fates[step.change.id] = self._fate(step, answer)
            topics |= dict.fromkeys(_topics(step, answer))
        if topics:
            self._store.wake(list(topics))
        follow(self._store, (ended(stored[step.change.id], its) for step, its in zip(steps, answers, strict=True)))
        look(
            self._store,
            [step.change.id for step, its in zip(steps, answers, strict=True) if _stands_in_line(step, its)],
        )
        return tuple(step.change.id for step, answer in zip(steps, answers, strict=True) if _was_moved(answer))

    def _fate(self, step: _Step, answer: Answer) -> Fate:
        identity = step.change.id
        if answer.state is None:
            return Fate(identity, Verdict.MISSING)
        if answer.outcome is Outcome.HELD:
            return Fate(identity, Verdict.HELD, answer.state, self._holder_of(step.unique_key))
        if answer.outcome is Outcome.REFUSED:
            return Fate(identity, Verdict.REFUSED, answer.state)
        return Fate(identity, step.verdict, answer.state)

    def _holder_of(self, unique_key: str | None) -> str | None:
        jobs = self._store.each(Where(unique_key=unique_key), body=False) if unique_key is not None else ()
        return next((job.id for job in jobs if job.unique_held), None)


def _retry(job: StoredJob, fields: Fields, max_attempts: int | UnsetType | None, now: Instant) -> _Step:
    given: Fields = {**fields}
    if max_attempts is None:
        given["max_attempts"] = None
    elif max_attempts is not UNSET:
        given["max_attempts"] = max(max_attempts, job.attempt + 1)
    if job.unique_key is not None and job.unique_scope is not UniqueScope.PERIOD:
        given["unique_held"] = True
    if job.expires is not None and job.expires <= now:
        given["expires"] = None
    event = RETRY
    if job.key is not None and job.turn is None:
        event = RETRY_IN_LINE
        given["lax"] = job.lax or bool(job.parents)  # A parent that failed has had its effect.
    return _Step(move(event, job, given), given.get("queue", job.queue), job.holder, job.unique_key)


def _cancel(job: StoredJob, *, force: bool) -> _Step | Fate:
    if job.state is State.CANCELLED:
        return Fate(job.id, Verdict.ALREADY, job.state)
    if force or job.state is not State.RUNNING:
        return _end(FORCE_CANCEL if force else CANCEL, job)
    return _Step(move(ASK_CANCEL, job, {"cancel_asked": True}), job.queue, job.holder, verdict=Verdict.ASKED)


def _end(event: Event, job: StoredJob, fields: Fields | None = None) -> _Step | Fate:
    if job.state in ENDED:
        return Fate(job.id, Verdict.REFUSED, job.state)
    return _Step(move(event, job, fields), job.queue, job.holder)


def _purge(job: StoredJob, now: Instant) -> _Step | Fate:
    began = job.started if job.state is State.RUNNING and job.started is not None else now
    record = Attempt("purged", job.attempt, job.generation, job.holder or "", began, now, "given up by a person")
    return _end(PURGE, job, {"attempt_record": msgspec.json.encode(record)})


def _edit(job: StoredJob, fields: Fields) -> _Step | Fate:
    if job.state not in EDIT.sources:
        return Fate(job.id, Verdict.REFUSED, job.state)
    return _Step(move(EDIT, job, fields), fields.get("queue", job.queue))


def _checked_fields(*, priority: int | None, queue: str | None) -> Fields:
    fields: Fields = {}
    if priority is not None:
        if not -32_768 <= priority <= 32_767:
            raise InvalidValue(f"priority must be between -32768 and 32767; it is {priority}")
        fields["priority"] = priority
    if queue is not None:
        check_text(queue, "a queue's name")
        fields["queue"] = queue
    return fields


def _topics(step: _Step, answer: Answer) -> Iterator[str]:
    if answer.outcome is not Outcome.MOVED:
        return
    if answer.state in ENDED and answer.awaited:
        yield ended_topic(step.change.id)
    if answer.state is State.PENDING:
        yield f"queue:{step.queue}"
    if step.holder is not None:
        yield worker_topic(step.holder)


def _stands_in_line(step: _Step, answer: Answer) -> bool:
    return step.change.to is State.WAITING and answer.outcome is Outcome.MOVED


def _was_moved(answer: Answer) -> bool:
    return answer.outcome is Outcome.REFUSED and answer.state is not None


def _fate_of_insert(job: StoredJob, new: NewJob, answer: Inserted) -> Fate:
    if answer.outcome is Insertion.HELD:
        return Fate(job.id, Verdict.HELD, job.state, answer.held_by)
    verdict = Verdict.DONE if answer.outcome is Insertion.INSERTED else Verdict.ALREADY
    return Fate(job.id, verdict, job.state, new_id=new.id)


def _id_in_place_of(job: StoredJob) -> str:
    """The same for everybody who asks, until the failed job itself has run again."""
    name = f"{job.id}.again.{job.generation}"
    if len(name.encode()) <= MAX_TEXT_BYTES:
        return name
    return f"again.{blake2b(name.encode(), digest_size=20).hexdigest()}"


def _in_place_of(job: StoredJob, identity: str) -> NewJob:
    lasting = job.unique_key is not None and job.unique_scope is not UniqueScope.PERIOD
    return NewJob(
        identity,
        job.queue,
        job.task,
        job.payload,
        job.codec,
        job.digest,
        job.priority,
        max_attempts=job.max_attempts,
        max_crashes=job.max_crashes,
        unique_key=job.unique_key if lasting else None,
        unique_scope=job.unique_scope if lasting else UniqueScope.END,
        group=job.group,
        key=job.key,
        turns=job.turns,
        parents=job.parents,
        lax=bool(job.parents),
        notes={key: value for key, value in job.notes.items() if key != ENQUEUED_AGAIN},
    )


def _unique(ids: Several) -> list[str]:
    return list(dict.fromkeys(texts(ids) or ()))


def _batches(ids: Iterable[str]) -> Iterator[tuple[str, ...]]:
    rest = iter(ids)
    while batch := tuple(islice(rest, _BATCH)):
        yield batch
