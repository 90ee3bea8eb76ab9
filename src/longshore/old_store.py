"""An application that opens two stores: the one that it moves to, and, until all has arrived, the one it moves from."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

from longshore.application import Application
from longshore.connection import Connection
from longshore.contract import EVERY, Answer, Change, Clock, Driver, Order, Page, StoredJob, Where
from longshore.errors import StoreError
from longshore.guard import Guard
from longshore.motion import away_of, expect, name_of
from longshore.sides import PartSide, Side
from longshore.siding import MOVING
from longshore.telling import Post

_log = logging.getLogger("longshore")


class OldStore:
    """The store that an application moves from.

    Args:
        connection: opens it.
    """

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self._is_empty = False

    @property
    def is_empty(self) -> bool:
        """Whether all has arrived at the other store; asked of the store until it says so.

        Raises:
            StoreError: it does not answer.
        """
        if not self._is_empty:
            away = away_of(self.connection.store)
            self._is_empty = away is not None and away.done
        return self._is_empty

    @property
    def is_over(self) -> bool:
        """Whether it has said so; one that does not answer has not."""
        try:
            return self.is_empty
        except StoreError:
            return False


class BesideGuard(Guard):
    """The store that an application moves to; a job that is not there yet is looked for in the old one."""

    def __init__(self, driver: Driver, *, old: OldStore, **options: Any) -> None:
        super().__init__(driver, **options)
        self._old = old

    def migrate(self) -> None:
        """Creates the schema or brings it up to date, and notes that jobs are still to come."""
        super().migrate()
        try:
            if not self._old.is_empty:
                expect(self, name_of(self._old.connection.store))
        except StoreError as error:
            # Who only enqueues must not depend on two stores.
            _log.warning("whether jobs are still to come from the old store is not known: %s", error)

    def select(
        self,
        where: Where = EVERY,
        *,
        order: Order = Order.NEWEST,
        limit: int = 100,
        after: str | None = None,
        each: int | None = None,
        body: bool = True,
    ) -> Page:
        """One page of jobs; those that are asked for by their ids alone, wherever they are."""
        page = super().select(where, order=order, limit=limit, after=after, each=each, body=body)
        if where.ids is None or where != Where(ids=where.ids) or after is not None or page.after is not None:
            return page
        missing = self._missing(where.ids, page.jobs)
        if not missing or self._old.is_empty:
            return page
        older = self._old.connection.store.select(Where(ids=missing), limit=limit, body=body).jobs
        jobs = [*page.jobs, *(MOVING.restored(job) if MOVING.holds(job) else job for job in older)]
        # What has left the old one between the two looks has arrived before.
        if missing := self._missing(missing, older):
            jobs += super().select(Where(ids=missing), limit=limit, body=body).jobs
        jobs.sort(key=lambda job: (job.created, job.id.encode()), reverse=order is Order.NEWEST)
        return Page(jobs[:limit])

    def update(self, changes: Sequence[Change], *, tx: Any = None) -> list[Answer]:
        """Applies any number of changes, where the jobs are."""
        answers = super().update(changes, tx=tx)
        missing = [place for place, answer in enumerate(answers) if answer.state is None]
        if missing and tx is None and not self._old.is_empty:
            older = self._old.connection.store.update([changes[place] for place in missing])
            for place, answer in zip(missing, older, strict=True):
                answers[place] = answer
        return answers

    @staticmethod
    def _missing(ids: Sequence[str], found: Sequence[StoredJob]) -> list[str]:
        there = {job.id for job in found}
        return [name for name in ids if name not in there]


class OldSide(Side):
    """An application as runs see it whose jobs are still in the old store: what they enqueue goes to the new one."""

    def __init__(self, app: Application, connection: Connection) -> None:
        super().__init__(app)
        self._connection = connection

    @property
    def store(self) -> Guard:
        return self._connection.store

    @property
    def post(self) -> Post:
        return self._connection.post

    def another_store(self) -> Guard:
        return self._connection.another_store()


def old_sides(app: Application, old: OldStore | None) -> list[Application]:
    """The application at the store that it moves from, or at each that this is made of; none when all have arrived."""
    if old is None or old.is_over:
        return []
    try:
        parts = old.connection.parts
    except StoreError:  # It is away.
        parts = ()
    return [PartSide(app, part) for part in parts] or [OldSide(app, old.connection)]


def old_store(target: Any, *, max_payload: int, patience: float, clock: Clock | None) -> OldStore | None:
    """The store that an application moves from, if it does."""
    if target is None:
        return None
    return OldStore(
        Connection(target, max_payload=max_payload, migrate=False, patience=patience, clock=clock, options={})
    )


def guarded(driver: Driver, *, old: OldStore | None, **options: Any) -> Guard:
    """The store that an application opens, and moves to if there is an old one."""
    return Guard(driver, **options) if old is None else BesideGuard(driver, old=old, **options)
