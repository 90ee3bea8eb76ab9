"""What one fetch holds: its jobs, and the lease by which they stay its own."""

from __future__ import annotations

import atexit
import logging
import os
import threading
import time
from collections.abc import Callable, Sequence
from enum import Enum, auto
from functools import partial
from queue import Empty, SimpleQueue
from typing import Final

from longshore.application import Application
from longshore.contract import ENDED, HELD, Answer, Change, Claim, Claimed, Outcome, State, StoredJob, Where
from longshore.errors import LeaseLost, StoreError, Unavailable
from longshore.following import Follower, ended, follow
from longshore.guard import Guard
from longshore.holders import Lease
from longshore.info import ended_topic
from longshore.states import RELEASE, STOP, UNRESERVE, move, stopped

_log = logging.getLogger("longshore.fetch")
_AGAIN: Final = 1.0


class _Ending(Enum):
    STOP = auto()  # The rest is handed back by whoever says so.
    LEAVE = auto()  # Nobody is there any more: hand back the rest.


class Hold:
    """The jobs of one fetch; a thread keeps its lease while there are any.

    The thread knows jobs, not their handles, so that a handle which nobody has any more can be noticed.
    """

    def __init__(
        self,
        app: Application,
        *,
        queues: tuple[str, ...],
        lease: float,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.app = app
        self.store = app.store
        self._monotonic = monotonic
        self._heartbeat = lease / 4
        self._lease = Lease(lease, queues=queues, tasks=lambda: app.tasks, monotonic=monotonic)
        self._claiming = threading.Lock()
        self._lock = threading.Lock()
        self._held: dict[str, StoredJob] = {}
        # Its `put` may be interrupted by itself, as handles may be dropped anywhere, also by the garbage collector.
        self._line: SimpleQueue[tuple[str, int] | _Ending] = SimpleQueue()
        self._keeper: threading.Thread | None = None
        self._is_unsure = False

    def claim(self, claims: Sequence[Claim], limit: int) -> Claimed:
        """Reserves jobs.

        Raises:
            Unavailable: the store did not answer; what it reserved all the same is handed back later.
        """
        with self._claiming:
            self._ensure_lease()
            try:
                claimed = self.store.claim(claims, holder=self._lease.holder, limit=limit)
            except Unavailable:
                self._is_unsure = True
                self._keep()
                raise
            with self._lock:
                self._held |= {job.id: job for job in claimed.jobs}
            self._follow_expired(claimed.expired)
        if claimed.jobs:
            self._keep()
        return claimed

    def apply(self, change: Change) -> Answer:
        """Applies a change of a job that is held.

        Raises:
            LeaseLost: it is not held any more.
        """
        # The store would answer a second settlement of one run as a repeat of the first.
        self._check_held(change.id, change.generation)
        answer = self.store.update([change])[0]
        if answer.outcome is Outcome.REFUSED and change.cancel_asked is False and _still_holds(change, answer):
            # Somebody asked to cancel: it cannot go on later.
            change = stopped(change)
            answer = self.store.update([change])[0]
        if answer.outcome is Outcome.REFUSED:
            self._forget(change.id, change.generation)
            raise _not_held(change.id)
        if change.to not in HELD:
            job = self._forget(change.id, change.generation)
            self._tell(change, answer, job)
            self._follow(job, answer)
        return answer

    def look(self, job: StoredJob) -> StoredJob:
        """Renews the lease now, and gives the job as it stands.

        Raises:
            LeaseLost: it is not held any more.
        """
        self._check_held(job.id, job.generation)
        self._lease.renew(self.store)
        found = self.store.select(Where(ids=(job.id,)), limit=1, body=False).jobs
        if not found or (found[0].generation, found[0].holder) != (job.generation, job.holder):
            self._forget(job.id, job.generation)
            raise _not_held(job.id)
        return found[0]

    def drop(self, identity: str, generation: int) -> None:
        """Nobody has the handle any more: the job is to be handed back. Never waits, never raises."""
        self._line.put((identity, generation))

    def abandon(self) -> None:
        """Nobody has the fetch any more. Never waits, never raises."""
        self._line.put(_Ending.LEAVE)

    def close(self) -> None:
        """Hands back what is still held, and ends the lease."""
        self._line.put(_Ending.STOP)
        keeper = self._keeper
        if keeper is not None and keeper is not threading.current_thread():
            keeper.join()
        self._let_go(self.store)

    def _ensure_lease(self) -> None:
        if not self._lease.is_lost():
            if self._lease.is_valid():
                return
            try:
                self._lease.renew(self.store)
                return
            except LeaseLost as error:
                self._lose(error)
        self._lease.begin(self.store)

    def _lose(self, error: LeaseLost) -> None:
        _log.warning("%s", error)
        with self._lock:
            self._held.clear()

    def _check_held(self, identity: str, generation: int | None) -> None:
        with self._lock:
            job = self._held.get(identity)
        if job is None or job.generation != generation:
            raise _not_held(identity)

    def _forget(self, identity: str, generation: int | None) -> StoredJob | None:
        with self._lock:
            job = self._held.get(identity)
            return self._held.pop(identity) if job and job.generation == generation else None

    def _tell(self, change: Change, answer: Answer, job: StoredJob | None) -> None:
        topics = [ended_topic(change.id)] if answer.awaited and answer.state in ENDED else []
        if change.to is State.PENDING and job is not None:
            topics = [f"queue:{job.queue}"]
        if topics:
            try:
                self.store.wake(topics)
            except StoreError as error:
                _log.warning("nobody was woken: %s", error)

    def _follow(self, job: StoredJob | None, answer: Answer) -> None:
        if job is not None and (end := ended(job, answer)) is not None:
            try:
                follow(self.store, [end])
            except StoreError as error:
                _log.warning("what follows from the end of %s is done by upkeep: %s", job.id, error)

    def _follow_expired(self, identities: Sequence[str]) -> None:
        follower = Follower(self.store)
        follower.meet(identities)
        try:
            follower.finish()
        except StoreError as error:
            _log.warning("what follows from %d jobs that expired is done by upkeep: %s", len(identities), error)

    # The thread that keeps the lease while anything is held.

    def _keep(self) -> None:
        with self._lock:
            if self._keeper is None:
                self._line = SimpleQueue()
                farewell = partial(self._leave, os.getpid())
                atexit.register(farewell)
                self._keeper = threading.Thread(target=self._run, args=(farewell,), name="longshore-fetch", daemon=True)
                self._keeper.start()

    def _leave(self, process: int) -> None:
        """At the end of the process; one that it has forked holds nothing, and leaves by itself."""
        if process == os.getpid():
            self.close()

    def _run(self, farewell: Callable[[], None]) -> None:
        store: Guard | None = None
        beat = self._monotonic() + self._heartbeat
        try:
            while self._goes_on():
                word = self._next_word(beat)
                if word is _Ending.STOP:
                    return
                store = store or self.app.another_store()
                if word is _Ending.LEAVE:
                    self._let_go(store)
                    return
                if isinstance(word, tuple):
                    self._hand_back(store, *word)
                else:
                    beat = self._monotonic() + self._beat(store)
        except Exception:  # noqa: BLE001 - there is nobody to raise it to
            _log.exception("the lease of %s is not kept any more", self._lease.holder)
        finally:
            atexit.unregister(farewell)
            with self._lock:
                if self._keeper is threading.current_thread():
                    self._keeper = None
            if store is not None:
                store.close()

    def _goes_on(self) -> bool:
        with self._lock:
            if self._held or self._is_unsure:
                return True
            self._keeper = None  # In the same step: who holds something from now on begins another thread.
            return False

    def _next_word(self, beat: float) -> tuple[str, int] | _Ending | None:
        try:
            return self._line.get(timeout=max(0.0, beat - self._monotonic()))
        except Empty:
            return None

    def _beat(self, store: Guard) -> float:
        """Renews the lease; gives the seconds until the next time."""
        try:
            self._lease.renew(store)
            if self._is_unsure:
                self._compare(store)
        except LeaseLost as error:
            self._lose(error)
        except StoreError as error:
            _log.warning("no heartbeat: %s", error)
            return min(_AGAIN, self._heartbeat)
        return self._heartbeat

    def _compare(self, store: Guard) -> None:
        """Hands back what the store says is held and nobody here knows: a claim whose answer was lost took it."""
        with self._claiming:
            held = list(store.each(Where(holder=self._lease.holder, states=tuple(HELD)), body=False))
            with self._lock:
                known = {job.id: job.generation for job in self._held.values()}
            unknown = [job for job in held if known.get(job.id) != job.generation]
            follow(store, map(ended, unknown, store.update([_back(job) for job in unknown])))
            self._is_unsure = False

    def _hand_back(self, store: Guard, identity: str, generation: int) -> None:
        job = self._forget(identity, generation)
        if job is not None:
            try:
                self._give_back(store, [job])
            except StoreError as error:
                _log.warning("job %s is handed back later: %s", identity, error)
                self._is_unsure = True

    def _give_back(self, store: Guard, jobs: list[StoredJob]) -> None:
        """As it stands now: it may have been started, or asked to be cancelled, since it was fetched."""
        found = store.each(Where(ids=tuple(job.id for job in jobs)), body=False)
        runs = {(job.id, job.generation, job.holder) for job in jobs}
        ours = [job for job in found if (job.id, job.generation, job.holder) in runs]
        answers = store.update([_back(job) for job in ours])
        for job, answer in zip(ours, answers, strict=True):
            topic = ended_topic(job.id) if answer.state in ENDED else f"queue:{job.queue}"
            store.wake([topic])
        follow(store, map(ended, ours, answers))

    def _let_go(self, store: Guard) -> None:
        with self._lock:
            jobs, self._held = list(self._held.values()), {}
        try:
            if jobs:
                self._give_back(store, jobs)
            if self._is_unsure:
                self._compare(store)
            if not self._lease.is_lost():
                self._lease.end(store)
        except StoreError as error:
            _log.warning("%d jobs of %s wait for a rescue: %s", len(jobs), self._lease.holder, error)


def _not_held(identity: str) -> LeaseLost:
    return LeaseLost(f"job {identity} is not held here any more: it was handed back, rescued, retried or removed")


def _still_holds(change: Change, answer: Answer) -> bool:
    return answer.cancel_asked and answer.state in HELD and answer.generation == change.generation


def _back(job: StoredJob) -> Change:
    if job.cancel_asked:
        return move(STOP, job)
    return move(UNRESERVE if job.state is State.RESERVED else RELEASE, job)
