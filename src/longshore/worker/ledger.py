"""The jobs that are here, and the changes that settle them, until the store has answered."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Container, Iterator
from typing import Final

from longshore.completing.finishing import as_settled
from longshore.contract import ENDED, HELD, Answer, Change, Outcome, State, StoredJob, Where
from longshore.errors import LongshoreError, StoreError
from longshore.following import Follower, ended
from longshore.guard import Guard
from longshore.info import ended_topic
from longshore.states import RELEASE, STOP, move, stopped
from longshore.worker.performing import Cancelled, Interrupted, not_storable
from longshore.worker.runs import Run
from longshore.worker.tally import Tally

_log = logging.getLogger("longshore.worker")
UNFIT: Final = (LongshoreError, ValueError, TypeError, OverflowError)
"""What a change raises that no store could ever take."""


class Ledger:
    """What a worker holds; used by its courier's thread alone."""

    def __init__(self, store: Guard, queue_topics: list[str], settled: Callable[[StoredJob, Change], None]) -> None:
        self.tally = Tally()
        self.known: dict[str, Run] = {}
        self.undelivered: dict[str, Change] = {}
        self.follower = Follower(store)
        self._strangers: dict[str, StoredJob] = {}
        self._members: Counter[str] = Counter()  # Of each group, as many as are known here.
        self._store = store
        self._queue_topics = queue_topics
        self._settled = settled

    def is_settled(self) -> bool:
        """Whether nothing is here, and all has followed from what was."""
        return not (self.known or self.undelivered) and self.follower.is_done()

    def holds(self, run: Run) -> bool:
        """Whether it is this run that is known of its job."""
        return self.known.get(run.job.id) is run

    def take(self, run: Run) -> None:
        """A run is here."""
        earlier, self.known[run.job.id] = self.known.get(run.job.id), run
        if earlier is None and run.job.group is not None:
            self._members[run.job.group] += 1

    def on(self) -> Iterator[Run]:
        """The runs that are here and have not ended, in the order in which they came."""
        return (run for identity, run in self.known.items() if identity not in self.undelivered)

    def hand_back(self, job: StoredJob) -> None:
        """A job is held that does not run here; perhaps it is on its way back already."""
        on_its_way = self.undelivered.get(job.id)
        if on_its_way is None or on_its_way.generation != job.generation:
            self.undelivered[job.id] = move(STOP if job.cancel_asked else RELEASE, job)
            self._strangers[job.id] = job

    def hand_back_all(self, holder: str) -> None:
        """What was claimed after it was rescued, and before it learnt that, nobody else would miss for a lease.

        Raises:
            StoreError: the store did not answer.
        """
        held = list(self._store.each(Where(holder=holder), body=False))
        changes = [move(STOP if job.cancel_asked else RELEASE, job) for job in held]
        if changes:
            self.follower.add(filter(None, map(ended, held, self._store.update(changes))))
            self._announce(self._queue_topics)

    def compare(self, holder: str) -> None:
        """Compares what the store says is held with what is known here: hands back or interrupts what is not in both.

        Raises:
            StoreError: the store did not answer.
        """
        held = {job.id: job for job in self._store.each(Where(holder=holder), body=False)}
        for identity, job in held.items():
            run = self.known.get(identity)
            if run is None or run.job.generation != job.generation:
                if run is not None:
                    run.interrupt(Interrupted)
                self.hand_back(job)
            elif job.cancel_asked:
                run.interrupt(Cancelled)
        for run in self._void(held):
            run.interrupt(Interrupted)
            self.forget(run.job.id)
            self.tally.void += 1

    def _void(self, held: Container[str]) -> list[Run]:
        """The runs of jobs that are not held here any more, but for those that have settled themselves while they are
        on, in the application's transaction: their outcome is still to come."""
        gone = {name: run for name, run in self.known.items() if name not in held and name not in self.undelivered}
        found = self._store.each(Where(ids=tuple(gone)), body=False) if gone else ()
        own = {(job.id, job.settled, job.settled_by) for job in found}
        return [run for name, run in gone.items() if (name, run.job.generation, run.job.holder) not in own]

    def forget(self, identity: str) -> None:
        """The job is not here any more."""
        self.undelivered.pop(identity, None)
        self._strangers.pop(identity, None)
        run = self.known.pop(identity, None)
        if run is not None and run.job.group is not None:
            self._members[run.job.group] -= 1

    def forget_all(self) -> None:
        """Nothing is here any more, and what it did does not count."""
        self.tally.void += len(self.known)
        self.known.clear()
        self.undelivered.clear()
        self._strangers.clear()
        self._members.clear()

    def _follow(self, identity: str, answer: Answer) -> None:
        run = self.known.get(identity)
        before = run.job if run else self._strangers.get(identity)
        end = ended(before, answer) if before else None
        # While other members of the group are here, this was not the last.
        if end is not None and (end.releases or self._members[end.group or ""] <= 1):
            self.follower.add([end])

    def deliver_again(self) -> None:
        """Sends what was sent before without an answer.

        Raises:
            StoreError: the store did not answer.
        """
        try:
            self.settle(self._store.update(list(self.undelivered.values())) if self.undelivered else [])
        except StoreError:
            raise
        except UNFIT:
            self.deliver_singly()

    def deliver_singly(self) -> None:
        """One change that the store cannot take must not hold up the others: its run fails instead."""
        for identity, change in list(self.undelivered.items()):
            try:
                self._settle_one(change, self._store.update([change])[0])
            except StoreError:
                return
            except UNFIT as error:
                _log.exception("the store cannot take the outcome of job %s", identity)
                run = self.known.get(identity)
                if run is None or change.to is State.FAILED:
                    self.forget(identity)
                else:
                    self.undelivered[identity] = not_storable(run.job, error)

    def settle(self, answers: list[Answer]) -> None:
        """The store has answered what is not delivered, in this order."""
        topics: list[str] = []
        for change, answer in zip(list(self.undelivered.values()), answers, strict=True):
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
            self.undelivered[change.id] = stopped(change)
            return
        real = as_settled(self._store, change, answer)
        self.tally.settled(real, answer)
        run = self.known.get(change.id)
        if run is not None and run.job.generation == change.generation and answer.outcome is not Outcome.REFUSED:
            self._settled(run.job, real)
        self._follow(change.id, answer)
        self.forget(change.id)

    def _still_holds(self, change: Change, answer: Answer) -> bool:
        return answer.state in HELD and answer.generation == change.generation and change.to is not State.CANCELLED
