"""The one thread of a worker that talks to the store about jobs: it settles and claims (docs/design/courier.md)."""

from __future__ import annotations

import logging
import random
import time
from collections import deque
from collections.abc import Callable
from typing import Final

from longshore.contract import (
    ENDED,
    HELD,
    SECOND,
    Answer,
    Change,
    Claim,
    Claimed,
    Fields,
    Outcome,
    State,
    StoredJob,
    Where,
)
from longshore.errors import LongshoreError, StoreError
from longshore.guard import Guard
from longshore.holders import Lease
from longshore.info import ended_topic
from longshore.states import RELEASE, STOP, move
from longshore.worker.bell import Bell
from longshore.worker.performing import Cancelled, Interrupted, not_storable
from longshore.worker.runs import Run
from longshore.worker.settings import WorkerSettings
from longshore.worker.slots import Slots
from longshore.worker.tally import Pace, Tally

_log = logging.getLogger("longshore.worker")
_UNFIT: Final = (LongshoreError, ValueError, TypeError, OverflowError)
"""What a change raises that no store could ever take."""
_NOTHING: Final = Claimed([])
_FIRST_PAUSE: Final = 0.05
_LONGEST_PAUSE: Final = 5.0


class Courier:
    """Settles what ran and claims what is to run, both in one round trip, at once when nothing is under way.

    Everything here but `hint`, `report`, `drain` and `look_at_held` runs in the courier's own thread.
    """

    def __init__(
        self,
        store: Guard,
        lease: Lease,
        settings: WorkerSettings,
        tasks: Callable[[], frozenset[str]],
        *,
        is_async: Callable[[StoredJob], bool] = lambda job: False,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.tally = Tally()
        self.slots: Slots
        self._store = store
        self._lease = lease
        self._settings = settings
        self._tasks = tasks
        self._is_async = is_async
        self._monotonic = monotonic
        self._bell = Bell()
        self._queue_topics = [f"queue:{queue}" for queue in settings.queues]
        self._outcomes: deque[tuple[Run, Change | None, float]] = deque()
        self._known: dict[str, Run] = {}
        self._undelivered: dict[str, Change] = {}
        self._pace = Pace()
        self._next_claim = 0.0
        self._hinted = False
        self._unsure = False
        self._look_at_held = False
        self._pause = 0.0
        self._drain_until: float | None = None
        self._until_empty = False
        self._empty = False
        self._busy = 0

    # What other threads say.

    def hint(self) -> None:
        """There may be something to claim."""
        self._hinted = True
        self._bell.ring()

    def report(self, run: Run, change: Change | None, seconds: float) -> None:
        """A run has ended, with the change that settles it, or was interrupted without one."""
        self._outcomes.append((run, change, seconds))
        self._bell.ring()

    def look_at_held(self) -> None:
        """Compare what the store says is held with what runs here."""
        self._look_at_held = True
        self._bell.ring()

    def drain(self, seconds: float) -> None:
        """Claim nothing more, hand back what has not begun, and let the rest run for so long."""
        until = self._monotonic() + seconds
        self._drain_until = until if self._drain_until is None else min(until, self._drain_until)
        self._bell.ring()

    def stop_when_empty(self) -> None:
        """End when no job is due and none runs here."""
        self._until_empty = True

    # The courier's own thread.

    def run(self) -> None:
        """Works until it is drained, or empty if it was told so."""
        while not self._is_done():
            self._bell.silence()
            if self._ensure_lease() and self._ensure_certainty():
                self._turn()
        self._hand_back_the_rest()

    def _is_done(self) -> bool:
        if self._drain_until is not None:
            late = self._monotonic() >= self._drain_until + self._settings.grace
            return late or not (self._known or self._undelivered or self._outcomes)
        return self._until_empty and self._empty and not (self._known or self._undelivered or self._outcomes)

    def _turn(self) -> None:
        self._collect()
        self._hand_back()
        wanted = self._wanted()
        due = self._hinted or self._monotonic() >= self._next_claim
        claims_now = wanted > 0 and (due or bool(self._undelivered))
        if claims_now or self._undelivered:
            self._trip(wanted if claims_now else 0)
        elif not self._outcomes:
            self._bell.wait(self._time_to_sleep(wanted))

    def _ensure_lease(self) -> bool:
        if self._lease.is_valid():
            return True
        self._cut_off()
        try:
            if self._lease.is_lost() and self._drain_until is None:
                self._lease.begin(self._store)
                return True
        except StoreError as error:
            self._store_is_away(error)
        self._bell.wait(self._pause or _FIRST_PAUSE)
        return False

    def _cut_off(self) -> None:
        """Others may run these jobs now: interrupt them here, and settle nothing."""
        if self._known:
            _log.warning("the lease of %s is over: %d runs are void", self._lease.holder, len(self._known))
        self._busy -= len(self.slots.take_back())
        for run in self._known.values():
            run.interrupt(Interrupted)
        self.tally.void += len(self._known)
        self._known.clear()
        self._undelivered.clear()
        self._unsure = True

    def _ensure_certainty(self) -> bool:
        """Compares what is held with what runs here: after a call with unknown outcome, and at each heartbeat."""
        if not (self._unsure or self._look_at_held):
            return True
        self._look_at_held = False
        try:
            if self._unsure:
                self._collect()
                self._deliver_again()
            self._compare({job.id: job for job in self._store.each(Where(holder=self._lease.holder), body=False)})
        except StoreError as error:
            self._store_is_away(error)
            self._bell.wait(self._pause)
            return False
        self._unsure = False
        self._pause = 0.0
        return True

    def _deliver_again(self) -> None:
        try:
            self._settle(self._store.update(list(self._undelivered.values())) if self._undelivered else [])
        except StoreError:
            raise
        except _UNFIT:
            self._deliver_singly()

    def _compare(self, held: dict[str, StoredJob]) -> None:
        for identity, job in held.items():
            run = self._known.get(identity)
            if run is None or run.job.generation != job.generation:
                if run is not None:
                    run.interrupt(Interrupted)
                self._undelivered[identity] = move(STOP if job.cancel_asked else RELEASE, job)
            elif job.cancel_asked:
                run.interrupt(Cancelled)
        for identity, run in list(self._known.items()):
            if identity not in held and identity not in self._undelivered:
                run.interrupt(Interrupted)
                self._forget(identity)
                self.tally.void += 1

    def _collect(self) -> None:
        while self._outcomes:
            run, change, seconds = self._outcomes.popleft()
            self._busy -= 1
            self._pace.took(seconds)
            if self._known.get(run.job.id) is run:
                self._undelivered[run.job.id] = change or move(RELEASE, run.job)

    def _hand_back(self) -> None:
        if self._drain_until is not None:
            back = self.slots.take_back()
            if self._monotonic() >= self._drain_until:
                self._interrupt_all()
        elif self.slots.waiting():
            since = self._monotonic() - self._settings.hold
            back = self.slots.take_back(lambda run: run.taken < since)
            if back:
                self._pace.stalled()
        else:
            return
        for run in back:
            self._busy -= 1
            if self._known.get(run.job.id) is run:
                self._undelivered[run.job.id] = move(RELEASE, run.job)

    def _hand_back_the_rest(self) -> None:
        """What runs on after the grace time, or was not delivered in it, once more; else it waits for a rescue."""
        self._collect()
        for run in self._known.values():
            run.interrupt(Interrupted)
            self._undelivered.setdefault(run.job.id, move(RELEASE, run.job))
        if self._undelivered and self._lease.is_valid():
            try:
                self._deliver_again()
            except StoreError as error:
                _log.warning("%d jobs of %s wait for a rescue: %s", len(self._known), self._lease.holder, error)

    def _interrupt_all(self) -> None:
        late = self._drain_until is not None and self._monotonic() >= self._drain_until + self._settings.grace / 2
        for identity, run in self._known.items():
            run.interrupt(Interrupted)
            if late and identity not in self._undelivered:
                self._undelivered[identity] = move(RELEASE, run.job)

    def _wanted(self) -> int:
        if self._drain_until is not None:
            return 0
        ahead = self._pace.expected(self._settings.prefetch, self._settings.slots)
        return max(0, min(self._settings.slots + ahead - self._busy, self._settings.batch))

    def _time_to_sleep(self, wanted: int) -> float:
        now = self._monotonic()
        ends = [now + self._settings.heartbeat]
        if self._drain_until is not None:
            ends.append(self._drain_until if now < self._drain_until else now + self._settings.grace / 4)
        elif wanted > 0:
            ends.append(self._next_claim)
        if self.slots.waiting():
            ends.append(now + self._settings.hold / 2)
        return max(0.0, min(ends) - now)

    def _trip(self, wanted: int) -> None:
        changes = list(self._undelivered.values())
        try:
            answers, claimed = self._exchange(changes, wanted)
        except StoreError as error:
            self._store_is_away(error)
            self._unsure = True
            self._hinted = self._hinted or wanted > 0  # The hint that asked for this claim is not yet answered.
            self._bell.wait(self._pause)
            return
        except _UNFIT:
            _log.exception("the store refused %d changes: delivering them one by one", len(changes))
            self._unsure = self._hinted = True
            self._deliver_singly()
            return
        self._pause = 0.0
        self._settle(answers)
        if wanted:
            self._take(claimed)

    def _exchange(self, changes: list[Change], wanted: int) -> tuple[list[Answer], Claimed]:
        if not wanted:
            return self._store.update(changes), _NOTHING
        claims = [Claim(self._settings.queues, self._tasks())]
        self._hinted = False  # Before the claim: a hint that comes while it is under way asks for another.
        holder, most = self._lease.holder, self._settings.batch_bytes
        if changes:
            return self._store.exchange(changes, claims, holder=holder, limit=wanted, max_bytes=most)
        return [], self._store.claim(claims, holder=holder, limit=wanted, max_bytes=most)

    def _deliver_singly(self) -> None:
        """One change that the store cannot take must not hold up the others: its run fails instead."""
        for identity, change in list(self._undelivered.items()):
            try:
                self._settle_one(change, self._store.update([change])[0])
            except StoreError:
                self._unsure = True
                return
            except _UNFIT as error:
                _log.exception("the store cannot take the outcome of job %s", identity)
                run = self._known.get(identity)
                if run is None or change.to is State.FAILED:
                    self._forget(identity)
                else:
                    self._undelivered[identity] = not_storable(run.job, error)

    def _settle(self, answers: list[Answer]) -> None:
        topics: list[str] = []
        for change, answer in zip(list(self._undelivered.values()), answers, strict=True):
            self._settle_one(change, answer)
            if answer.awaited and answer.state in ENDED:
                topics.append(ended_topic(change.id))
            elif change.to is State.PENDING and "delay" not in change.fields:
                topics += self._queue_topics  # Handed back: others may have time for it.
        if topics:
            self._announce(topics)

    def _announce(self, topics: list[str]) -> None:
        try:
            self._store.wake(list(dict.fromkeys(topics)))
        except StoreError as error:
            _log.warning("nobody was woken: %s", error)

    def _settle_one(self, change: Change, answer: Answer) -> None:
        if answer.outcome is Outcome.REFUSED and answer.cancel_asked and self._still_holds(change, answer):
            # Somebody asked to cancel after the run had decided to go on later.
            record: Fields = {}
            if "attempt_record" in change.fields:
                record["attempt_record"] = change.fields["attempt_record"]
            self._undelivered[change.id] = Change(
                change.id, STOP.to, record, STOP.sources, change.generation, change.holder, None, True
            )
            return
        self.tally.settled(change, answer)
        self._forget(change.id)

    def _still_holds(self, change: Change, answer: Answer) -> bool:
        return answer.state in HELD and answer.generation == change.generation and change.to is not State.CANCELLED

    def _forget(self, identity: str) -> None:
        self._undelivered.pop(identity, None)
        self._known.pop(identity, None)

    def _take(self, claimed: Claimed) -> None:
        now = self._monotonic()
        # An answer of 0 asks for another claim: the store had not looked at everything.
        self._empty = not claimed.jobs and not claimed.expired and claimed.next_due != 0
        for job in claimed.jobs:
            run = Run(job, now, on_loop=self._is_async(job))
            if earlier := self._known.get(job.id):
                earlier.interrupt(Interrupted)  # Somebody retried the job while it ran here.
            self._known[job.id] = run
            self._busy += 1
            self.slots.put(run)
        if self._empty:
            pause = self._settings.poll * random.uniform(0.5, 1.5)
            if claimed.next_due is not None:
                pause = min(pause, claimed.next_due / SECOND)
            self._next_claim = now + pause
        else:
            self._next_claim = 0.0

    def _store_is_away(self, error: StoreError) -> None:
        _log.warning("the store is away: %s", error)
        self._pause = min(max(_FIRST_PAUSE, self._pause * 2), _LONGEST_PAUSE) * random.uniform(0.75, 1.25)
