"""How calls become stored jobs: each answered on its own, those whose key is held by the rule of their slot."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Any, Final

from longshore.calls.call import Call, digest_of, new_job
from longshore.calls.unique import Rule
from longshore.contract import Change, Fields, Inserted, Insertion, NewJob, Outcome, State, StoredJob, Where
from longshore.enqueuing.bonding import BoundBulk, Enqueued, check_bonds
from longshore.enqueuing.naming import Naming
from longshore.errors import (
    IdConflict,
    InvalidValue,
    PartialInsert,
    StoreError,
    Unavailable,
    UniqueConflict,
)
from longshore.guard import Guard
from longshore.states import EDIT
from longshore.tasks import check_call

_log = logging.getLogger("longshore")
_TIMES: Final = 100
"""How often a key may change hands, or its holder its state, while one call looks at it."""


def enqueue_calls(
    store: Guard,
    calls: Sequence[Call[Any]],
    make_id: Callable[[], str],
    *,
    tx: Any = None,
    given: Sequence[Call[Any]] | None = None,
) -> list[Enqueued]:
    """Stores a job for each call, and answers each; one that is refused never spoils its neighbours.

    Args:
        given: the calls as others name them as their parents, in the same order, if they are not these.

    Raises:
        InvalidValue: a call is not of the form that is needed; nothing was stored.
        PartialInsert: the store failed after some of them were stored.
    """
    for call in calls:
        check_call(call)
    return _enqueue(store, Naming(store, calls, make_id, given or calls), tx)


def _enqueue(store: Guard, naming: Naming, tx: Any = None) -> list[Enqueued]:
    while True:
        try:
            return _stored(store, naming, tx)
        except (Unavailable, PartialInsert) as error:
            if not naming.moves(error):
                raise


def _stored(store: Guard, naming: Naming, tx: Any) -> list[Enqueued]:
    calls = naming.calls
    jobs = [new_job(call, name, digest_of(call)) for call, name in zip(calls, naming.ids, strict=True)]
    held = _Held(store, tx)
    if naming.is_bound:
        return BoundBulk(store, calls, jobs, held.settle, tx, naming.given).store_all()
    return [
        job.id if answer.outcome is Insertion.INSERTED else held.settle(call, job, answer)
        for call, job, answer in zip(calls, jobs, store.insert(jobs, tx=tx, may_move=tx is None), strict=True)
    ]


def check_calls(store: Guard, calls: Sequence[Call[Any]]) -> None:
    """Refuses calls, each with its id, that could not be stored; see `enqueue_calls`.

    Raises:
        InvalidValue, TooLarge: one could not be.
    """
    jobs = [new_job(call, str(call.options.id), digest_of(call)) for call in calls]
    store.check(jobs)
    if any(call.options.bonds for call in calls):
        check_bonds(calls, jobs)


def enqueue_each(store: Guard, calls: Sequence[Call[Any]], make_id: Callable[[], str]) -> list[str | Exception]:
    """The same for calls that do not know of each other: what is wrong with one is its answer alone."""
    return _each(store, Naming(store, calls, make_id, calls))


def _each(store: Guard, naming: Naming) -> list[str | Exception]:
    try:
        return list(_enqueue(store, naming))
    except InvalidValue as error:
        many = len(naming.calls)
        if many == 1:
            return [error]
        # Nothing was stored. Halving finds the one that is wrong in few calls.
        return _each(store, naming.part(0, many // 2)) + _each(store, naming.part(many // 2, many))
    except PartialInsert as error:
        lost = {job.id: error.__cause__ or error for job in error.remaining}
    # With the ids they had: what is stored already is not stored again.
    return [
        _lost(lost[name]) if name in lost else _each(store, naming.part(place, place + 1))[0]
        for place, name in enumerate(naming.ids)
    ]


def _lost(error: BaseException) -> Unavailable:
    return Unavailable(f"the store failed; the job may be stored or not: {error}")


class _Held:
    """What becomes of calls whose id or key is taken."""

    def __init__(self, store: Guard, tx: Any) -> None:
        self._store = store
        self._tx = tx

    def settle(self, call: Call[Any], job: NewJob, answer: Inserted) -> Enqueued:
        for _ in range(_TIMES):
            if answer.outcome is Insertion.INSERTED:
                return job.id
            if answer.outcome is Insertion.REPEATED:
                return _same(call, job, answer)
            settled = self._at_holder(call, job, answer.held_by)
            if settled is not None:
                return settled
            answer = self._store.insert([job], tx=self._tx)[0]
        return UniqueConflict(f"the unique key of {job.task} changed hands {_TIMES} times", held_by=answer.held_by)

    def _at_holder(self, call: Call[Any], job: NewJob, holder: str | None) -> Enqueued | None:
        """What is answered because of the holder; None when it has left the key, and the job may be stored."""
        if holder is None:
            return None
        rule = call.slot.rule if call.slot else Rule.RAISE
        if rule is Rule.SKIP:
            return holder
        if rule is Rule.RAISE:
            return UniqueConflict(f"expected no other {job.task} to hold the unique key; {holder} does", held_by=holder)
        return self._replace(call, job, holder)

    def _replace(self, call: Call[Any], job: NewJob, holder: str) -> Enqueued | None:
        found = self._store.select(Where(ids=(holder,)), limit=1, body=False).jobs
        # Within a transaction the holder may be one that only this transaction sees.
        stored = found[0] if found else None
        if stored is None and self._tx is None:
            return None
        if stored is not None and stored.state not in EDIT.sources:
            if not stored.unique_held:
                return None
            return UniqueConflict(
                f"expected {holder} to wait, so that it can be replaced; it is {stored.state.name.lower()}",
                held_by=holder,
            )
        if stored is not None and (stored.unique_key, stored.unique_held) != (job.unique_key, True):
            return None
        fields = self._fields(call, job, stored)
        generation = stored.generation if stored else 0
        (answer,) = self._store.update([Change(holder, None, fields, EDIT.sources, generation)], tx=self._tx)
        if answer.outcome is not Outcome.MOVED:
            return None
        if answer.state is State.PENDING:
            self._wake(job.queue)
        return holder

    def _fields(self, call: Call[Any], job: NewJob, stored: StoredJob | None) -> Fields:
        """All that the new call says; the digest stays: it tells repeats of the call that the id was given to."""
        gone = dict.fromkeys(stored.notes) if stored else {}
        expires = job.expires
        if job.expires_in is not None:
            expires = self._store.now() + job.expires_in
        fields: Fields = {
            "payload": job.payload,
            "codec": job.codec,
            "queue": job.queue,
            "priority": job.priority,
            "expires": expires,
            "max_attempts": job.max_attempts,
            "notes": {**gone, **job.notes},
        }
        slot = call.slot
        if job.due is not None:
            fields["due"] = job.due
        elif slot and slot.at_most is not None and stored:
            fields["due"] = min(self._store.now() + slot.wait, stored.created + slot.at_most)
        else:
            fields["delay"] = job.delay
        return fields

    def _wake(self, queue: str) -> None:
        if self._tx is not None:
            return  # Nobody sees the change before it is committed.
        try:
            self._store.wake([f"queue:{queue}"])
        except StoreError as error:
            _log.warning("nobody was woken: %s", error)


def _same(call: Call[Any], job: NewJob, answer: Inserted) -> Enqueued:
    # An id that was made here can only be of an earlier try of the very same insert.
    if call.options.id is None or (answer.task, answer.digest) == (job.task, job.digest):
        return job.id
    return IdConflict(f"expected id {job.id} to be free or this very call; it is a call of {answer.task}")
