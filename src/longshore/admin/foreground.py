"""One run of one job in the thread of whoever asks for it."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from longshore.application import Application
from longshore.completing.finishing import as_settled
from longshore.contract import ENDED, Answer, Change, Outcome, State, StoredJob
from longshore.errors import LeaseLost, StoreError
from longshore.following import ended, follow
from longshore.guard import Guard
from longshore.holders import Lease
from longshore.info import ended_topic
from longshore.states import stopped
from longshore.worker.performing import perform
from longshore.worker.reactions import react

_log = logging.getLogger("longshore.admin")
_LEASE: Final = 60.0
_HEARTBEAT: Final = 15.0


@contextmanager
def kept_lease(app: Application) -> Iterator[Lease]:
    """A lease of this thread's own, renewed by another until the block ends."""
    lease = Lease(_LEASE, tasks=lambda: app.tasks)
    lease.begin(app.store)
    ended = threading.Event()
    heartbeat = threading.Thread(
        target=_renew, args=(app.another_store(), lease, ended), name="longshore-foreground", daemon=True
    )
    heartbeat.start()
    try:
        yield lease
    finally:
        ended.set()
        heartbeat.join()
        if not lease.is_lost():
            lease.end(app.store)


def run_and_settle(app: Application, job: StoredJob) -> list[BaseException]:
    """Runs a job that was claimed, settles it, and gives what was raised inside it.

    Raises:
        LeaseLost: the run was void when it ended.
    """
    errors: list[BaseException] = []
    change = perform(app, job, caught=errors.append)
    answer = app.store.update([change])[0]
    if answer.outcome is Outcome.REFUSED and answer.cancel_asked and answer.generation == job.generation:
        change = stopped(change)
        answer = app.store.update([change])[0]
    if answer.outcome is Outcome.REFUSED:
        raise LeaseLost(f"job {job.id} was retried, rescued or removed while it ran here: this run is void") from (
            errors[-1] if errors else None
        )
    change = as_settled(app.store, change, answer)
    if change.to is State.SUCCEEDED:
        errors.clear()  # It was completed in a transaction before it raised.
    _tell(app.store, job, change, answer)
    follow(app.store, [ended(job, answer)])
    react(app, job, change)
    return errors


def _tell(store: Guard, job: StoredJob, change: Change, answer: Answer) -> None:
    if answer.state in ENDED and answer.awaited:
        store.wake([ended_topic(job.id)])
    elif change.to is State.PENDING:
        store.wake([f"queue:{job.queue}"])


def _renew(store: Guard, lease: Lease, ended: threading.Event) -> None:
    try:
        while not ended.wait(_HEARTBEAT):
            try:
                lease.renew(store)
            except LeaseLost as error:
                _log.warning("%s", error)
                return
            except StoreError as error:
                _log.warning("no heartbeat: %s", error)
    finally:
        store.close()
