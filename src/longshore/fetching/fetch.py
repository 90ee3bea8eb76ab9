"""Batches of jobs, fetched one after another."""

from __future__ import annotations

import logging
import random
import time
import weakref
from collections.abc import Callable, Iterable, Iterator
from typing import Final, Self

from longshore.application import Application
from longshore.contract import SECOND, Claim, Listener
from longshore.durations import Seconds, microseconds
from longshore.errors import ConfigurationError, Unavailable
from longshore.fetching.hold import Hold
from longshore.fetching.job import FetchedJob
from longshore.guard import check_text

_log = logging.getLogger("longshore.fetch")
_POLL: Final = 5.0
_MOMENT: Final = 0.05
"""Seconds until a job is asked for again that others are at."""
_LEASE: Final = 60.0


class Fetch:
    """Batches of reserved jobs: ``for batch in app.fetch("queue"):``, or `take` within ``with app.fetch(…) as fetch:``.

    When the loop or the block is left, all that is not settled is handed back.

    Args:
        queues: whose jobs are taken, merged by priority.
        limit: how many a batch holds at most.
        wait: how long is waited for the first job of a batch: then the loop ends. None: for ever.
        tasks: only jobs of these tasks are taken; None: of any.
        lease: how long jobs stay held when this process dies.
    """

    def __init__(
        self,
        app: Application,
        queues: tuple[str, ...],
        *,
        limit: int = 1,
        wait: Seconds | None = None,
        tasks: Iterable[str] | None = None,
        lease: Seconds = _LEASE,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        if not queues or limit < 1:
            raise ConfigurationError(f"expected at least one queue, and a limit of at least 1; got {queues}, {limit}")
        for queue in queues:
            check_text(queue, "a queue's name")
        self._app = app
        self._claims = [Claim(queues, None if tasks is None else frozenset(tasks), reserve=True)]
        self._topics = [f"queue:{queue}" for queue in queues]
        self._limit = limit
        self._wait = None if wait is None else microseconds(wait, name="wait") / SECOND
        self._monotonic = monotonic
        self._holds = [
            Hold(side, queues=queues, lease=microseconds(lease, name="lease") / SECOND, monotonic=monotonic)
            for side in app.sides
        ]
        self._dropped = weakref.finalize(self, _abandon, self._holds)
        self._dropped.atexit = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __iter__(self) -> Iterator[list[FetchedJob]]:
        try:
            # Without a name of its own here, a batch is given up when the loop's variable is.
            yield from iter(self.take, [])
        finally:
            self.close()

    def take(self) -> list[FetchedJob]:
        """The next batch; empty if none came in time.

        Raises:
            Unavailable: the store did not answer, or none of several; what it reserved all the same is handed back.
        """
        ends = None if self._wait is None else self._monotonic() + self._wait
        listener: Listener | None = None
        try:
            while True:
                jobs, due = self._claimed()
                if jobs:
                    return jobs
                if due == 0:
                    continue
                left = _POLL if ends is None else min(_POLL, ends - self._monotonic())
                if left <= 0:
                    return []
                if listener is None:
                    listener = self._app.store.listen(self._topics)
                    continue  # What came before it listened wakes nobody.
                listener.wait(min(left, due))
        finally:
            if listener is not None:
                listener.close()

    def _claimed(self) -> tuple[list[FetchedJob], float]:
        """Jobs of all stores, which are asked in random order; else seconds until it is worth asking again.

        Raises:
            Unavailable: none of them answers.
        """
        jobs: list[FetchedJob] = []
        due, failures = _POLL, []
        for hold in random.sample(self._holds, len(self._holds)):
            try:
                claimed = hold.claim(self._claims, self._limit - len(jobs))
            except Unavailable as error:
                _log.warning("no jobs are fetched from a store: %s", error)
                failures.append(error)
                continue
            jobs += [FetchedJob(hold.app, hold, job) for job in claimed.jobs]
            if claimed.next_due is not None:
                due = min(due, claimed.next_due / SECOND)
            if claimed.passed_over:
                due = min(due, _MOMENT)
            if len(jobs) == self._limit:
                break
        if len(failures) == len(self._holds):
            raise failures[0]
        return jobs, due

    def close(self) -> None:
        """Hands back what is not settled, and ends the lease."""
        self._dropped.detach()
        for hold in self._holds:
            hold.close()


def _abandon(holds: list[Hold]) -> None:
    for hold in holds:
        hold.abandon()
