"""A worker: what it has at each of its stores, started and stopped together."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from functools import partial
from queue import SimpleQueue
from typing import Self

from longshore.application import Application
from longshore.errors import StoreError
from longshore.guard import Guard
from longshore.hooks.calling import ask, finish, tell
from longshore.worker.declaring import declare
from longshore.worker.rota import Rota
from longshore.worker.settings import WorkerSettings
from longshore.worker.station import Station
from longshore.worker.tally import Tally
from longshore.worker.team import Team

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
        self._announce = announce
        self._team = Team(app, settings, self)
        self._stations: list[Station] = []
        self._thread: threading.Thread | None = None
        self._is_stopping = False
        self._undeclared = False
        # Not an event, since a signal may interrupt who waits, and its handler wait again (see `Bell`).
        self._ended: SimpleQueue[None] = SimpleQueue()
        self._held = ExitStack()

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
        """Under which name it holds jobs now, at the first of its stores."""
        return self._stations[0].lease.holder if self._stations else ""

    @property
    def retired(self) -> str | None:
        """Why it has ended, or is about to, so that a new process takes its place; None if it has not."""
        return self._team.course.retired

    @property
    def tally(self) -> Tally:
        """What it has done so far."""
        return sum((station.courier.tally for station in self._stations if station.courier), Tally())

    def start(self, *, until_empty: bool = False) -> None:
        """Begins to work in the background; with ``until_empty`` it ends by itself, as by `run`.

        Raises:
            Unavailable: the store does not answer; of several, none does.
        """
        self._team.course.until_empty = until_empty
        self._prepare()
        self._thread = self._begun(self._work)

    def run(self, *, until_empty: bool = False) -> Tally:
        """Works until `stop` is called; with ``until_empty`` until no job is due and none runs here.

        At Ctrl-C it takes nothing more and waits for what runs, at a second one no longer; what has not ended is handed
        back, and KeyboardInterrupt raised.

        Raises:
            Unavailable: the store does not answer at the start; of several, none does.
        """
        self._team.course.until_empty = until_empty
        self._prepare()
        errors: list[BaseException] = []

        def work() -> None:
            try:
                self._work()
            except BaseException as error:  # noqa: BLE001 - it is raised below, in the thread of who called
                errors.append(error)

        # Not in this thread: an exception from a signal could come anywhere, also between taking jobs and noting it.
        self._begun(work)
        self._await_end()
        if errors:
            raise errors[0]
        return self.tally

    def _begun(self, work: Callable[[], None]) -> threading.Thread:
        def until_ended() -> None:
            try:
                work()
            finally:
                self._ended.put(None)

        thread = threading.Thread(target=until_ended, name="longshore-worker", daemon=True)
        thread.start()
        return thread

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

    def _drain(self, seconds: float) -> None:
        self._is_stopping = True
        self._team.drain(seconds)

    def _prepare(self) -> None:
        with ExitStack() as held:
            held.enter_context(self._app.resources.held())
            finish(ask(self._app.hooks.worker_start.functions, self))
            held.callback(lambda: finish(tell(self._app.hooks.worker_stop.functions, self)))
            # The schema must be there before other connections are.
            self._undeclared = declare(self._app, self._app.store)
            self._open_all()
            self._held = held.pop_all()

    def _open_all(self) -> None:
        """Takes up a place at each store, at once at all; one that is away is tried again later.

        Raises:
            StoreError: none of them answers.
        """
        self._stations = [
            Station(side, place, self._team, self._settings, announce=self._announce)
            for place, side in enumerate(self._app.sides)
        ]
        with ThreadPoolExecutor(len(self._stations)) as pool:
            openings = [pool.submit(station.open) for station in self._stations]
        errors = [error for opening in openings if (error := opening.exception()) is not None]
        wrong = [error for error in errors if not isinstance(error, StoreError)]
        if wrong or len(errors) == len(openings):
            for station in self._stations:
                station.leave()
            raise (wrong or errors)[0]
        for error in errors:
            _log.warning("a store is away; it is tried again in %g s: %s", self._settings.retry_seconds, error)

    def _work(self) -> None:
        errors: list[BaseException] = []
        first, *others = self._stations
        threads = [
            threading.Thread(target=self._live, args=(each, errors), name="longshore-courier", daemon=True)
            for each in others
        ]
        chores = self._app.chores.values()
        rota = Rota(Guard(self._app.store.driver, patience=0.0), chores, self._team.name, self._settings)
        for thread in [*threads, *([rota] if chores else [])]:
            thread.start()
        self._live(first, errors)
        for thread in threads:
            thread.join()
        if chores:
            rota.stop()
            rota.join()
        self._team.slots.stop()
        self._team.reactions.close(self._settings.grace)
        self._let_go()
        if errors:
            raise errors[0]

    def _live(self, station: Station, errors: list[BaseException]) -> None:
        try:
            if station.courier is not None or self._team.await_opening(partial(self._open_late, station)):
                station.work()
        except BaseException as error:  # noqa: BLE001 - it is raised when the others have ended too
            errors.append(error)
            self._team.drain(self._settings.drain)

    def _open_late(self, station: Station) -> None:
        station.open()
        if self._undeclared:
            self._undeclared = declare(self._app, Guard(self._app.store.driver, patience=0.0))

    def _let_go(self) -> None:
        try:
            self._held.close()
        except Exception:  # noqa: BLE001 - a resource of the application may raise anything when it is closed
            _log.exception("a resource could not be closed")
