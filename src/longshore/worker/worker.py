"""A worker: its courier, its slots, its heartbeat and its ear, started and stopped together."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from queue import SimpleQueue
from typing import TYPE_CHECKING, Self

from longshore.application import Application
from longshore.contract import Change, StoredJob
from longshore.errors import StoreError
from longshore.guard import Guard
from longshore.holders import Doing, Lease, worker_topic
from longshore.hooks.calling import ask, finish, tell
from longshore.limits.pauses import RULES_TOPIC
from longshore.limits.stored import TOKENS_TOPIC, declare_limit
from longshore.schedules import write_declared
from longshore.schedules.stored import TOPIC as SCHEDULES_TOPIC
from longshore.worker.controls import Controls
from longshore.worker.courier import Courier
from longshore.worker.ear import Ear
from longshore.worker.heartbeat import Heartbeat
from longshore.worker.inbox import Inbox
from longshore.worker.performing import perform, perform_async, without_outcome
from longshore.worker.reactions import Reactions
from longshore.worker.rota import Rota
from longshore.worker.runs import Run
from longshore.worker.settings import WorkerSettings
from longshore.worker.slots import Slots, Ways
from longshore.worker.tally import Tally

if TYPE_CHECKING:
    from longshore.worker.apart import Apart

_log = logging.getLogger("longshore.worker")


class Worker:
    """Runs jobs in this process: ``with app.worker(): …`` in the background, ``app.worker().run()`` in the foreground.

    On an event loop ``async with app.worker(): …`` does not hold up the loop while the worker starts and ends. A worker
    is used once, and handles no signals: they belong to its process. ``announce`` is told each name under which it will
    hold jobs.
    """

    def __init__(
        self, app: Application, settings: WorkerSettings, *, announce: Callable[[str], None] = lambda holder: None
    ) -> None:
        self._app = app
        self._settings = settings
        self._lease = Lease(
            settings.lease,
            queues=settings.queues,
            tasks=lambda: app.tasks,
            release=settings.release,
            doing=self._doing,
            has_inbox=True,
            announce=announce,
        )
        self._apart: Apart | None = None
        self._apart_lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._courier: Courier | None = None
        self._until_empty = False
        self._is_stopping = False
        # Not an event, since a signal may interrupt who waits, and its handler wait again (see `Bell`).
        self._ended: SimpleQueue[None] = SimpleQueue()
        self._held = ExitStack()
        self._reactions = Reactions(app, self)
        self._beside = Beside(app, settings)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    async def __aenter__(self) -> Self:
        import asyncio

        await asyncio.to_thread(self.start)
        return self

    async def __aexit__(self, *_: object) -> None:
        import asyncio

        await asyncio.to_thread(self.stop)

    @property
    def holder(self) -> str:
        """Under which name it holds jobs now."""
        return self._lease.holder

    @property
    def retired(self) -> str | None:
        """Why it has ended, or is about to, so that a new process takes its place; None if it has not."""
        return self._courier.course.retired if self._courier else None

    @property
    def tally(self) -> Tally:
        """What it has done so far."""
        return self._courier.tally if self._courier else Tally()

    def start(self, *, until_empty: bool = False) -> None:
        """Begins to work in the background; with ``until_empty`` it ends by itself, as by `run`.

        Raises:
            Unavailable: the store does not answer.
        """
        self._until_empty = until_empty
        store = self._prepare()
        self._thread = threading.Thread(target=self._work, args=(store,), name="longshore-courier", daemon=True)
        self._thread.start()

    def run(self, *, until_empty: bool = False) -> Tally:
        """Works until `stop` is called; with ``until_empty`` until no job is due and none runs here.

        At Ctrl-C it takes nothing more and waits for what runs, at a second one no longer; what has not ended is handed
        back, and KeyboardInterrupt raised.

        Raises:
            Unavailable: the store does not answer at the start.
        """
        self._until_empty = until_empty
        store = self._prepare()
        errors: list[BaseException] = []

        def work() -> None:
            try:
                self._work(store)
            except BaseException as error:  # noqa: BLE001 - it is raised below, in the thread of who called
                errors.append(error)

        # Not in this thread: an exception from a signal could come anywhere, also between taking jobs and noting it.
        threading.Thread(target=work, name="longshore-courier", daemon=True).start()
        self._await_end()
        if errors:
            raise errors[0]
        return self.tally

    def stop(self, *, drain: float | None = None) -> None:
        """Takes nothing more, lets what runs run on for ``drain`` seconds, then interrupts it, hands it back, and ends.

        Returns when all has ended.
        """
        self._drain(self._settings.drain if drain is None else drain)
        if self._thread is not None and self._thread is not threading.current_thread():
            self._await_end()

    def ask_to_stop(self, *, now: bool = False, drain: float | None = None) -> None:
        """Begins the same and returns at once: for signal handlers. ``now`` interrupts what runs without waiting."""
        self._drain(0.0 if now else self._settings.drain if drain is None else drain)

    def join(self) -> None:
        """Waits until it has ended."""
        self._await_end()

    def _await_end(self) -> None:
        try:
            self._ended.get()
        except KeyboardInterrupt:
            self.ask_to_stop(now=self._is_stopping)
            self._await_end()
            raise
        self._ended.put(None)  # Perhaps others wait too.

    def _doing(self) -> Doing:
        return self._courier.doing() if self._courier else Doing("starting", self._settings.slots)

    def _drain(self, seconds: float) -> None:
        self._is_stopping = True
        self._beside.drain(seconds)
        if self._courier is not None:
            self._courier.drain(seconds)

    def _prepare(self) -> Guard:
        with ExitStack() as held:
            held.enter_context(self._app.resources.held())
            finish(ask(self._app.hooks.worker_start.functions, self))
            held.callback(lambda: finish(tell(self._app.hooks.worker_stop.functions, self)))
            store = self._connect()
            self._beside.start(until_empty=self._until_empty)
            self._held = held.pop_all()
        return store

    def _connect(self) -> Guard:
        # The schema must be there before other connections are.
        write_declared(self._app.store, self._app.schedules)
        for subject, rule in self._app.declared_limits.items():
            declare_limit(self._app.store, subject, rule)
        store = self._app.another_store()
        self._lease.begin(store)
        courier = Courier(
            store,
            self._lease,
            self._settings,
            lambda: frozenset(self._app.tasks),
            self._make_run,
            partial(without_outcome, self._app),
            self._reactions,
        )
        courier.claiming.check(store.driver.limits.claims)
        ways = Ways(partial(perform, self._app), partial(perform_async, self._app), self._perform_apart)
        courier.slots = Slots(
            self._settings.slots,
            ways,
            courier.report,
            spare=self._settings.spare,
            is_urgent=lambda run: courier.claiming.is_urgent(run.job),
        )
        if self._until_empty:
            courier.course.until_empty = True
        self._courier = courier
        if self._is_stopping:
            courier.drain(0)
        return store

    def _make_run(self, job: StoredJob, taken: float) -> Run:
        task = self._app.tasks.get(job.task)
        if task is None:
            return Run(job, taken)
        apart = task.executor == "process"
        return Run(job, taken, on_loop=task.is_async and not apart, apart=apart, timeout=task.timeout)

    def _perform_apart(self, run: Run) -> Change | None:
        with self._apart_lock:
            if self._apart is None:
                # Only now: most workers have no such task, and need not pay for what makes processes.
                from longshore.worker.apart import Apart

                self._apart = Apart(self._app, self._settings.grace)
        return self._apart.perform(run)

    def _work(self, store: Guard) -> None:
        try:
            self._work_until_stopped(store)
        finally:
            try:
                self._beside.end()
            finally:
                self._ended.put(None)

    def _work_until_stopped(self, store: Guard) -> None:
        assert self._courier is not None
        courier = self._courier
        threads = self._threads(store, courier)
        of_tokens = Ear("tokens", store, [TOKENS_TOPIC], courier.tokens_freed)

        def heed_tokens() -> None:
            # Only now: most workers know no limit, and need not be told when tokens are freed.
            if of_tokens not in threads:
                threads.append(of_tokens)
                of_tokens.start()

        courier.allowance.on_limited = heed_tokens
        for thread in [*threads]:
            thread.start()
        try:
            courier.run()
        finally:
            for thread in threads:
                thread.stop()
            courier.slots.stop()
            if self._apart is not None:
                self._apart.close()
            self._reactions.close(self._settings.grace)
            for thread in threads:
                thread.join()
            self._leave(store, courier)

    def _threads(self, store: Guard, courier: Courier) -> list[Ear | Inbox | Heartbeat | Rota]:
        """What works beside the courier."""
        heartbeat = Heartbeat(self._app.another_store, self._lease, courier, self._settings)
        inbox = Inbox(store, self._lease, Controls(courier), self._app.commands, look_every=self._settings.heartbeat)

        def look() -> None:
            courier.look_at_held()
            inbox.hint()
            heartbeat.look_at_schedules()

        threads: list[Ear | Inbox | Heartbeat | Rota] = [
            Ear("jobs", store, [f"queue:{queue}" for queue in self._settings.queues], courier.hint),
            Ear("control", store, [worker_topic(self._lease.holder), RULES_TOPIC, SCHEDULES_TOPIC], look),
            inbox,
            heartbeat,
        ]
        if self._app.chores:
            threads.append(Rota(store, self._app.chores.values(), self._lease.worker, self._settings))
        return threads

    def _leave(self, store: Guard, courier: Courier) -> None:
        try:
            if self._lease.is_valid():
                courier.allowance.end()
                self._lease.end(store)
        except StoreError as error:
            _log.warning("the lease of %s ends by itself: %s", self._lease.holder, error)
        finally:
            store.close()
            self._let_go()

    def _let_go(self) -> None:
        try:
            self._held.close()
        except Exception:  # noqa: BLE001 - a resource of the application may raise anything when it is closed
            _log.exception("a resource could not be closed")


class Beside:
    """The worker of the store that an application moves from, as long as there is anything in it."""

    def __init__(self, app: Application, settings: WorkerSettings) -> None:
        self._app = app.beside
        self._settings = settings
        self._worker: Worker | None = None
        self._ends_by_itself = False

    def start(self, *, until_empty: bool) -> None:
        """Begins to work for it in the background."""
        if self._app is None or self._app.is_over:
            return
        worker = Worker(self._app, self._settings)
        try:
            worker.start(until_empty=until_empty)
        except StoreError as error:
            _log.warning("nobody here works for the store that is moved from: %s", error)
            return
        self._worker, self._ends_by_itself = worker, until_empty

    def drain(self, seconds: float) -> None:
        """Takes nothing more."""
        if self._worker is not None:
            self._worker.ask_to_stop(drain=seconds)
            self._ends_by_itself = True

    def end(self) -> None:
        """Waits until it has ended."""
        if self._worker is None:
            return
        if not self._ends_by_itself:
            self.drain(self._settings.drain)
        self._worker.join()
