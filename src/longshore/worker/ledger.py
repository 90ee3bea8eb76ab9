"""The jobs that are here, and the changes that settle them, until the store has answered."""

from __future__ import annotations

import logging
from typing import Final

from longshore.contract import ENDED, HELD, Answer, Change, Fields, Outcome, State, StoredJob
from longshore.errors import LongshoreError, StoreError
from longshore.guard import Guard
from longshore.info import ended_topic
from longshore.states import RELEASE, STOP, move
from longshore.worker.performing import not_storable
from longshore.worker.runs import Run
from longshore.worker.tally import Tally

_log = logging.getLogger("longshore.worker")
UNFIT: Final = (LongshoreError, ValueError, TypeError, OverflowError)
"""What a change raises that no store could ever take."""


class Ledger:
    """What a worker holds; used by its courier's thread alone."""

    def __init__(self, store: Guard, queue_topics: list[str]) -> None:
        self.tally = Tally()
        self.known: dict[str, Run] = {}
        self.undelivered: dict[str, Change] = {}
        self._store = store
        self._queue_topics = queue_topics

    def is_settled(self) -> bool:
        """Whether nothing is here."""
        return not (self.known or self.undelivered)

    def holds(self, run: Run) -> bool:
        """Whether it is this run that is known of its job."""
        return self.known.get(run.job.id) is run

    def wake_queues(self) -> None:
        """Jobs were handed back: others may have time for them."""
        self._announce(self._queue_topics)

    def hand_back(self, job: StoredJob) -> None:
        """A job is held that does not run here; perhaps it is on its way back already."""
        on_its_way = self.undelivered.get(job.id)
        if on_its_way is None or on_its_way.generation != job.generation:
            self.undelivered[job.id] = move(STOP if job.cancel_asked else RELEASE, job)

    def forget(self, identity: str) -> None:
        """The job is not here any more."""
        self.undelivered.pop(identity, None)
        self.known.pop(identity, None)

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
            record: Fields = {}
            if "attempt_record" in change.fields:
                record["attempt_record"] = change.fields["attempt_record"]
            self.undelivered[change.id] = Change(
                change.id, STOP.to, record, STOP.sources, change.generation, change.holder, None, True
            )
            return
        self.tally.settled(change, answer)
        self.forget(change.id)

    def _still_holds(self, change: Change, answer: Answer) -> bool:
        return answer.state in HELD and answer.generation == change.generation and change.to is not State.CANCELLED
