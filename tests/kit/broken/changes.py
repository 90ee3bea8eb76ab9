"""What can be wrong with changes, fences, slots and turns."""

from __future__ import annotations

from msgspec.structs import replace

from longshore import reference
from longshore.contract import ENDED, Answer, Inserted, Insertion, NewJob, Outcome, State
from longshore.memory import MemoryDriver


class ForgetsTheFence(MemoryDriver):
    """Applies a change whatever its generation."""

    def _update(self, change, now):
        return super()._update(change if change.settles else replace(change, generation=None), now)


class ForgetsTheHolder(MemoryDriver):
    """Applies a change of the right generation, whoever sends it."""

    def _update(self, change, now):
        return super()._update(change if change.settles else replace(change, holder=None), now)


class ForgetsWhatSettled(MemoryDriver):
    """Refuses a run that says again what it said."""

    def _update(self, change, now):
        answer = super()._update(change, now)
        return replace(answer, outcome=Outcome.REFUSED) if answer.outcome is Outcome.REPEATED else answer


class KeepsTheHolder(MemoryDriver):
    """A job that is pending again still belongs to who had it."""

    def _put(self, before, after, now):
        return super()._put(before, replace(after, holder=before.holder), now)


class LeaksAUniqueSlot(MemoryDriver):
    """An end does not free the unique slot."""

    def _put(self, before, after, now):
        return super()._put(before, replace(after, unique_held=before.unique_held), now)


class CutsAPeriodShort(MemoryDriver):
    """An end frees the slot of a unique period that is still running."""

    def _put(self, before, after, now):
        return super()._put(before, replace(after, unique_held=after.unique_held and after.state not in ENDED), now)


class RecursesInNotes(MemoryDriver):
    """Merges what is within notes."""

    def _update(self, change, now):
        job = self._room.jobs.get(change.id)
        if job and "notes" in change.fields:
            notes = {
                key: reference.merged(job.notes[key], value)
                if isinstance(value, dict) and isinstance(job.notes.get(key), dict)
                else value
                for key, value in change.fields["notes"].items()
            }
            change = replace(change, fields={**change.fields, "notes": notes})
        return super()._update(change, now)


class SpoilsABatch(MemoryDriver):
    """One refused change undoes the others of its call."""

    def update(self, changes, *, tx=None):
        with self._lock:
            before = dict(self._room.jobs)
            answers = super().update(changes, tx=tx)
            if any(answer.outcome is Outcome.REFUSED for answer in answers):
                for job in before.values():
                    self._room.put(job, self.now())
                answers = [Answer(Outcome.REFUSED)] * len(changes)
        return answers


class SpoilsAnInsert(MemoryDriver):
    """One job that is held keeps the others of its call out."""

    def insert(self, jobs, *, tx=None):
        answers = super().insert(jobs, tx=tx)
        if any(answer.outcome is Insertion.HELD for answer in answers):
            for job, answer in zip(jobs, answers, strict=True):
                if answer.outcome is Insertion.INSERTED:
                    self._room.drop(self._room.jobs[job.id])
            return [Inserted(Insertion.HELD)] * len(jobs)
        return answers


class RaisesTheGeneration(MemoryDriver):
    """Every move back to pending raises the generation."""

    def _put(self, before, after, now):
        more = before.state is not State.PENDING and after.state is State.PENDING
        return super()._put(before, replace(after, generation=before.generation + more), now)


class KeepsTheResult(MemoryDriver):
    """A retry shows the result of the run before."""

    def _put(self, before, after, now):
        if before.result is not None:
            after = replace(after, result=before.result, result_codec=before.result_codec)
        return super()._put(before, after, now)


class KeepsEveryAttempt(MemoryDriver):
    """The attempts grow without end."""

    def _put(self, before, after, now):
        if after.tries > before.tries:
            after = replace(after, attempts=(*before.attempts, after.attempts[-1]))
        return super()._put(before, after, now)


class ForgetsTheChildren(MemoryDriver):
    """An end does not say that jobs wait for it."""

    def _put(self, before, after, now):
        self._room.put(after, now)
        return after


class ChangesWhatItHolds(MemoryDriver):
    """Answers that a slot is another's, and changes the job all the same."""

    def _update(self, change, now):
        answer = super()._update(change, now)
        if answer.outcome is Outcome.HELD and "priority" in change.fields:
            job = self._room.jobs[change.id]
            self._room.put(replace(job, priority=change.fields["priority"]), now)
        return answer


class ChecksTheKeyFirst(MemoryDriver):
    """A repeated insert is held by itself."""

    def _insert(self, given, now, *more):
        holder = self._room.unique.get(given.unique_key)
        return Inserted(Insertion.HELD, held_by=holder) if holder else super()._insert(given, now, *more)


class LetsTheKeyIn(MemoryDriver):
    """Does not look whether a unique key is held."""

    def _insert(self, given, now, *more):
        self._room.unique.clear()
        return super()._insert(given, now, *more)


class GivesTheTurnTwice(MemoryDriver):
    """Every job of a key has the first turn."""

    def _insert(self, given, now, *more):
        self._room._turns.clear()
        self._room._queued.clear()
        return super()._insert(given, now, *more)


class LetsOthersOvertake(MemoryDriver):
    """A new job takes a free turn though others wait for it."""

    def _insert(self, given, now, *more):
        self._room._queued.clear()
        return super()._insert(given, now, *more)


class ReplacesTheStored(MemoryDriver):
    """An insert of an id that is stored replaces the job."""

    def _insert(self, given, now, *more):
        answer = super()._insert(given, now, *more)
        if answer.outcome is Insertion.REPEATED and isinstance(given, NewJob):
            job = self._room.jobs[given.id]
            self._room.put(replace(job, payload=given.payload, digest=given.digest), now)
        return answer
