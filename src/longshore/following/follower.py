"""The walk from ends to all that follows from them, in bounded steps."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from itertools import islice
from typing import Final

from longshore.contract import (
    ENDED,
    SECOND,
    Answer,
    Change,
    Fields,
    Instant,
    Order,
    Outcome,
    Page,
    State,
    StoredJob,
    Where,
)
from longshore.following import groups, turns
from longshore.following.ends import Ended, ended, found_ended, removed
from longshore.following.parents import PARENT_FAILED, Fate, failed_parent, fate_of, is_callback
from longshore.guard import Guard
from longshore.info import ended_topic
from longshore.motion import in_motion
from longshore.states import UNBLOCK, move

_BATCH: Final = 500
_IN_FLIGHT: Final = SECOND
"""An end is left to the one who made it for so long."""
_ORPHANED: Final = 60 * SECOND
"""A callback is stored before its parent: one that is younger may be about to get it."""
STEPS: Final = 4
"""So many steps at a time are taken by a thread that has a lease to renew; the rest is found by its flags."""
_ROUNDS: Final = 1_000
_WAITING: Final = frozenset({State.WAITING})


class Follower:
    """Does what follows from ends, step by step, for as long as something is left.

    Attributes:
        queues: which queues were given jobs; whoever uses them empties it.
    """

    def __init__(self, store: Guard) -> None:
        self.queues: set[str] = set()
        self._store = store
        self._ended: deque[Ended] = deque()
        self._met: list[str] = []
        self._keys: dict[str, int | None] = {}
        self._after: str | None = None

    def add(self, ends: Iterable[Ended]) -> None:
        """There are more ends to follow."""
        self._ended.extend(ends)

    def meet(self, identities: Iterable[str]) -> None:
        """Jobs have ended of which no more is known than their ids: a claim met them past their deadline."""
        self._met.extend(identities)

    def is_done(self) -> bool:
        """Whether nothing is left to do."""
        return not (self._ended or self._keys or self._met)

    def step(self) -> None:
        """Follows up to 500 ends to up to 500 of their children.

        Raises:
            StoreError: the store did not answer. The next step does the same again.
        """
        self._read_met()
        batch = list(islice(self._ended, _BATCH))
        page = self._children(batch)
        is_last = page.after is None
        for end in batch if is_last else ():
            self._left(end)
        self._move(page.jobs, batch, is_last=is_last)
        self._after = page.after
        for _ in batch if is_last else ():
            self._ended.popleft()

    def finish(self, most: int = _ROUNDS) -> set[str]:
        """Takes at most so many steps, and gives the queues that were given jobs.

        Raises:
            StoreError: the store did not answer; upkeep does what is left.
        """
        for _ in range(most):
            if self.is_done():
                break
            self.step()
        return self.queues

    def look(self, waiting: Sequence[StoredJob], *, now: Instant | None = None) -> None:
        """Decides anew for waiting jobs; with the store's time orphans are removed too.

        Raises:
            StoreError: the store did not answer.
        """
        self._move(waiting, [], is_last=True, now=now)

    def _read_met(self) -> None:
        if met := tuple(self._met[:_BATCH]):
            jobs = self._store.select(Where(ids=met, states=tuple(ENDED)), limit=len(met), body=False).jobs
            self.add(found_ended(job) for job in jobs if job.releases or job.group is not None)
            del self._met[: len(met)]

    def _children(self, batch: Sequence[Ended]) -> Page:
        parents = tuple(end.id for end in batch if end.may_have_children)
        if not parents:
            return Page([])
        where = Where(parents=parents, states=tuple(_WAITING))
        return self._store.select(where, order=Order.OLDEST, limit=_BATCH, after=self._after, body=False)

    def _left(self, end: Ended) -> None:
        if end.key is not None:
            # Where several turns of a key are left at once, it is looked which they are.
            self._keys[end.key] = None if end.key in self._keys else end.turn

    def _move(
        self, waiting: Sequence[StoredJob], batch: Sequence[Ended], *, is_last: bool, now: Instant | None = None
    ) -> None:
        states: dict[str, State | None] = {end.id: end.state for end in batch}
        self._ask(waiting, states)
        steps = _Steps(states, {end.id for end in batch}, now)
        for job in waiting:
            if job.key is None or steps.fate(job) is not Fate.RUN:
                steps.decide(job)
            else:
                self._keys.setdefault(job.key, None)
        keys = dict(islice(self._keys.items(), _BATCH)) if is_last else {}
        first = turns.heads(self._store, tuple(keys))
        self._ask(first, states)
        free = turns.free_turns(self._store, [job for job in first if steps.fate(job) is Fate.RUN], keys)
        for job in first:
            steps.decide(job, free.get(job.key or ""))
        if is_last:
            steps.clear(batch)
        self._apply(steps, keys)
        if is_last:
            self._complete(batch)

    def _ask(self, waiting: Iterable[StoredJob], states: dict[str, State | None]) -> None:
        unknown = [parent for job in waiting for parent in job.parents if parent not in states]
        unknown = list(dict.fromkeys(unknown))
        for start in range(0, len(unknown), _BATCH):
            some = tuple(unknown[start : start + _BATCH])
            found = self._store.select(Where(ids=some), limit=len(some), body=False).jobs
            states |= dict.fromkeys(some) | {job.id: job.state for job in found}
        missing = [parent for parent in unknown if states[parent] is None]
        if missing and in_motion(self._store):
            # It may be in another store, or on its way: nobody knows that it has ended.
            states |= dict.fromkeys(missing, State.WAITING)

    def _apply(self, steps: _Steps, keys: dict[str, int | None]) -> None:
        answers = self._store.update([change for change, _ in steps.changes]) if steps.changes else []
        gone = self._remove(steps.removals)
        topics: list[str] = []
        for key in keys:
            del self._keys[key]
        for (change, job), answer in zip(steps.changes, answers, strict=True):
            if job is not None:
                topics += self._answered(change, job, answer)
        self.add(removed(job) for job in gone)
        if topics:
            self._store.wake(list(dict.fromkeys(topics)))

    def _answered(self, change: Change, job: StoredJob, answer: Answer) -> list[str]:
        took_turn = "turn" in change.fields
        if job.key is not None and took_turn and (answer.outcome is not Outcome.MOVED or job.turns > 1):
            self._keys.setdefault(job.key, None)  # Others were faster, or there may be another turn for the next.
        if answer.state is State.PENDING:
            # Whether this made it so, or an earlier try whose answer was lost, or somebody else.
            self.queues.add(job.queue)
            return [f"queue:{job.queue}"]
        if answer.outcome is not Outcome.MOVED:
            return []
        if (end := ended(job, answer)) is not None:
            self.add([end])
        return [ended_topic(job.id)] if answer.awaited else []

    def _remove(self, jobs: Sequence[StoredJob]) -> list[StoredJob]:
        if not jobs:
            return []
        gone = set(self._store.delete(Where(ids=[job.id for job in jobs], states=tuple(_WAITING)), limit=len(jobs)))
        return [job for job in jobs if job.id in gone]

    def _complete(self, batch: Iterable[Ended]) -> None:
        names = list(dict.fromkeys(end.group for end in batch if end.group is not None))
        if names:
            self.queues.update(callback.queue for callback in groups.complete(self._store, names))


class _Steps:
    """What is decided of the jobs that one step looks at."""

    def __init__(self, states: dict[str, State | None], batch: set[str], now: Instant | None) -> None:
        self.changes: list[tuple[Change, StoredJob | None]] = []
        self.removals: list[StoredJob] = []
        self._states = states
        self._batch = batch
        self._now = now
        self._decided: set[str] = set()

    def fate(self, job: StoredJob) -> Fate:
        fate = fate_of(job, self._states)
        return Fate.STAY if fate is Fate.REMOVE and self._may_get_its_parent(job) else fate

    def decide(self, job: StoredJob, turn: int | None = None) -> None:
        fate = self.fate(job)
        if job.id in self._decided or fate is Fate.STAY:
            return
        self._decided.add(job.id)
        if fate is Fate.REMOVE:
            self.removals.append(job)
        elif fate is Fate.CANCEL:
            note = {PARENT_FAILED: failed_parent(job, self._states)}
            change = Change(job.id, State.CANCELLED, {"notes": note}, _WAITING, job.generation)
            self.changes.append((change, job))
        elif job.key is None or turn is not None:
            fields: Fields = {} if turn is None else {"turn": turn}
            self.changes.append((move(UNBLOCK, job, fields), job))

    def clear(self, batch: Iterable[Ended]) -> None:
        """Last of all: what was not done before is found by the flag."""
        for end in batch:
            if end.releases:
                self.changes.append((Change(end.id, None, {"releases": False}, ENDED), None))

    def _may_get_its_parent(self, job: StoredJob) -> bool:
        if not is_callback(job) or any(self._states.get(parent) is not None for parent in job.parents):
            return False
        if not self._batch.isdisjoint(job.parents):
            return False
        return self._now is None or job.created > self._now - _ORPHANED


def follow(store: Guard, ends: Iterable[Ended | None], *, most: int = _ROUNDS) -> set[str]:
    """Does what follows from these ends in at most so many steps, and gives the queues that were given jobs.

    Raises:
        StoreError: the store did not answer; upkeep does what is left.
    """
    follower = Follower(store)
    follower.add(end for end in ends if end is not None)
    return follower.finish(most)


def look(store: Guard, identities: Sequence[str]) -> set[str]:
    """Looks once more at jobs that were inserted WAITING, after the insert was committed; gives the same.

    Raises:
        StoreError: the store did not answer; upkeep does what is left.
    """
    follower = Follower(store)
    for start in range(0, len(identities), _BATCH):
        some = identities[start : start + _BATCH]
        follower.look(store.select(Where(ids=some, states=tuple(_WAITING)), limit=len(some), body=False).jobs)
    return follower.finish()


def mend(store: Guard) -> set[str]:
    """Follows up to 500 ends whose makers died before they did, in a few steps; the rest is done by the next call."""
    found = store.select(Where(releases=True), order=Order.OLDEST, limit=_BATCH, body=False).jobs
    if not found:
        return set()
    before = store.now() - _IN_FLIGHT
    return follow(
        store, [found_ended(job) for job in found if job.ended is not None and job.ended <= before], most=STEPS
    )
