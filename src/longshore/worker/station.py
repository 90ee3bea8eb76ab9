"""A worker at one of its stores: its lease, its heartbeat, its ears and its inbox there, and its courier."""

from __future__ import annotations

import logging
import threading
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from longshore.application import Application
from longshore.contract import Change, StoredJob
from longshore.errors import StoreError
from longshore.guard import Guard
from longshore.holders import Lease, mark_of, worker_topic
from longshore.limits.pauses import RULES_TOPIC
from longshore.limits.stored import TOKENS_TOPIC
from longshore.schedules.stored import TOPIC as SCHEDULES_TOPIC
from longshore.worker.controls import Controls
from longshore.worker.courier import Courier
from longshore.worker.ear import Ear
from longshore.worker.heartbeat import Heartbeat
from longshore.worker.inbox import Inbox
from longshore.worker.performing import perform, perform_async, without_outcome
from longshore.worker.runs import Run
from longshore.worker.settings import WorkerSettings
from longshore.worker.team import Team

if TYPE_CHECKING:
    from longshore.worker.apart import Apart

_log = logging.getLogger("longshore.worker")


class Station:
    """A worker at one store; the side that its runs are of.

    Args:
        app: the application as runs there see it.
        place: of that among the application's sides.
        team: what the worker has in common at all of its stores.
        announce: told each name under which it will hold jobs.
    """

    def __init__(
        self,
        app: Application,
        place: int,
        team: Team,
        settings: WorkerSettings,
        *,
        announce: Callable[[str], None],
    ) -> None:
        self.lease = Lease(
            settings.lease,
            worker=team.name,
            queues=settings.queues,
            tasks=lambda: app.tasks,
            release=settings.release,
            doing=team.doing,
            has_inbox=True,
            announce=announce,
        )
        self.courier: Courier | None = None
        self._app = app
        self._place = place
        self._team = team
        self._settings = settings
        self._store: Guard | None = None
        self._apart: Apart | None = None
        self._tasks: frozenset[str] = frozenset()
        self._apart_lock = threading.Lock()

    def open(self) -> None:
        """Takes up its place there.

        Raises:
            StoreError: the store does not answer.
        """
        store = self._app.another_store()
        try:
            self.lease.mark = mark_of(store)
            self.lease.begin(store)
            courier = Courier(self, store, self.lease, self._settings, self._team)
            try:
                courier.claiming.check(store.driver.limits.claims)
                courier.allowance.read_rules()  # Before any other courier claims what they forbid.
            except BaseException:
                courier.leave()
                raise
        except BaseException:
            store.close()
            raise
        self._store, self.courier = store, courier

    def work(self) -> None:
        """Works there until the worker ends."""
        assert self._store is not None
        assert self.courier is not None
        store, courier = self._store, self.courier
        threads = self._threads(store, courier)
        of_tokens = Ear("tokens", store, [TOKENS_TOPIC], courier.tokens_freed)

        def heed_tokens() -> None:
            # Only now: most workers know no limit, and need not be told when tokens are freed.
            if of_tokens not in threads:
                threads.append(of_tokens)
                of_tokens.start()

        courier.allowance.on_limited = heed_tokens
        if courier.allowance.is_limited:
            threads.append(of_tokens)
        for thread in [*threads]:
            thread.start()
        try:
            courier.run()
        finally:
            for thread in threads:
                thread.stop()
            for thread in threads:
                thread.join()
            self.leave()

    def leave(self) -> None:
        """Gives up its place; what it still holds waits for a rescue."""
        if self._store is None or self.courier is None:
            return
        if self._apart is not None:
            self._apart.close()
        try:
            if self.lease.is_valid():
                self.courier.allowance.end()
                self.lease.end(self._store)
        except StoreError as error:
            _log.warning("the lease of %s ends by itself: %s", self.lease.holder, error)
        finally:
            self._store.close()
            self._store = None

    def _threads(self, store: Guard, courier: Courier) -> list[Ear | Inbox | Heartbeat]:
        """What works beside the courier."""
        heartbeat = Heartbeat(self._app.another_store, self.lease, courier, self._settings)
        controls = Controls(self._team)
        inbox = Inbox(store, self.lease, controls, self._app.commands, look_every=self._settings.heartbeat)

        def look() -> None:
            courier.look_at_held()
            inbox.hint()
            heartbeat.look_at_schedules()

        return [
            Ear("jobs", store, [f"queue:{queue}" for queue in self._settings.queues], courier.hint),
            Ear("control", store, [worker_topic(self.lease.holder), RULES_TOPIC, SCHEDULES_TOPIC], look),
            inbox,
            heartbeat,
        ]

    # What its runs need.

    @property
    def tasks(self) -> frozenset[str]:
        """The names of the tasks whose jobs it takes."""
        if self._tasks != self._app.tasks.keys():  # The same set again is what drivers know claims by soonest.
            self._tasks = frozenset(self._app.tasks)
        return self._tasks

    def run_of(self, job: StoredJob, taken: float) -> Run:
        """A run of a job that was claimed at a moment."""
        task = self._app.tasks.get(job.task)
        if task is None:
            return Run(job, taken, self)
        apart = task.executor == "process"
        return Run(job, taken, self, on_loop=task.is_async and not apart, apart=apart, timeout=task.timeout)

    def perform(self, run: Run, over: Callable[[], None]) -> Change:
        """Runs the job in this thread."""
        return perform(self._app, run.job, over)

    def perform_async(self, run: Run) -> Awaitable[Change]:
        """Runs the job on this event loop."""
        return perform_async(self._app, run.job, lambda: run.reason)

    def perform_apart(self, run: Run) -> Change | None:
        """Runs the job in a process of its own."""
        with self._apart_lock:
            if self._apart is None:
                # Only now: most workers have no such task, and need not pay for what makes processes.
                from longshore.worker.apart import Apart

                self._apart = Apart(self._app, self._place, self._settings.grace)
        return self._apart.perform(run)

    def without_outcome(self, run: Run) -> Change:
        """The change that settles a run which was interrupted, and has no outcome."""
        return without_outcome(self._app, run.job, run.reason)

    def report(self, run: Run, change: Change | None, seconds: float, /) -> None:
        """A run has ended."""
        assert self.courier is not None
        self.courier.report(run, change, seconds)
