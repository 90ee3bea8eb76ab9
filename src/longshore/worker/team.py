"""What the sides of one worker have in common (docs/design/several-stores.md)."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from longshore.application import Application
from longshore.contract import Driver
from longshore.errors import StoreError
from longshore.guard import Guard
from longshore.holders import Doing, new_worker
from longshore.worker.bell import Bell
from longshore.worker.berths import Berths
from longshore.worker.claims.rules import RuleBook
from longshore.worker.course import Course
from longshore.worker.muster import Muster
from longshore.worker.reactions import Reactions
from longshore.worker.runs import Run
from longshore.worker.settings import WorkerSettings
from longshore.worker.slots import Slots
from longshore.worker.suspects import Suspects
from longshore.worker.term import Term

if TYPE_CHECKING:
    from longshore.worker.courier import Courier

_log = logging.getLogger("longshore.worker")


class Team:
    """The couriers of one worker, one for each of its stores, and what there is once for all of them.

    Attributes:
        name: of the worker.
        slots: where their jobs run.
        berths: how many jobs may be here.
        course: whether it goes on.
        term: how long it works.
        suspects: the jobs that may kill its process.
        reactions: calls hooks.
        muster: says when nothing is left.

    Args:
        worker: what hooks are told of.
        monotonic: the process's own clock, in seconds.
    """

    def __init__(
        self,
        app: Application,
        settings: WorkerSettings,
        worker: Any,
        *,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.name = new_worker()
        self.settings = settings
        self.course = Course(settings.grace, monotonic)
        self.term = Term(settings, monotonic=monotonic)
        self.berths = Berths(settings, self.term, monotonic=monotonic)
        self.slots = Slots(settings.slots, spare=settings.spare, is_urgent=self._is_urgent)
        self.suspects = Suspects()
        self.muster = Muster(self.term, self.course, self.ring)
        self.reactions = Reactions(app, worker, stirred=self.muster.stirred, caught_up=self.hint)
        self._couriers: tuple[Courier, ...] = ()
        self._books: dict[int, tuple[Driver, RuleBook]] = {}
        self._bells: tuple[Bell, ...] = ()
        self._monotonic = monotonic
        self._lock = threading.Lock()

    @property
    def couriers(self) -> tuple[Courier, ...]:
        """Those that work now."""
        return self._couriers

    def join(self, courier: Courier) -> None:
        """One more begins to work."""
        with self._lock:
            self._couriers += (courier,)
            self.muster.join(courier)

    def leave(self, courier: Courier, now: float) -> None:
        """One has ended."""
        with self._lock:
            self._couriers = tuple(each for each in self._couriers if each is not courier)
            self.muster.leave(courier, now)
        self.turned()

    def book_of(self, store: Guard) -> RuleBook:
        """The rules that hold at a store: those of all that it is one of."""
        with self._lock:
            whole = store.whole.driver
            return self._books.setdefault(id(whole), (whole, RuleBook(self._rules_changed)))[1]

    def _rules_changed(self) -> None:
        for courier in self._couriers if len(self._couriers) > 1 else ():
            courier.allowance.rules_changed()
            courier.ring()

    def ring(self) -> None:
        """Something has changed that concerns all."""
        for courier in self._couriers:
            courier.ring()
        for bell in self._bells:
            bell.ring()

    def await_opening(self, opened: Callable[[], None]) -> bool:
        """Tries again and again to open a place at a store that is away; False: the worker ends before that."""
        bell = Bell()
        with self._lock:
            self._bells += (bell,)
        while True:
            if not self._rests(bell):
                return False
            try:
                opened()
            except StoreError as error:
                _log.warning("a store is away: %s", error)
            else:
                return True

    def _rests(self, bell: Bell) -> bool:
        ends = self._monotonic() + self.settings.retry_seconds
        while not (self.course.is_draining or self.muster.has_ended):
            left = ends - self._monotonic()
            if left <= 0:
                return True
            bell.silence()
            bell.wait(left)
        return False

    def hint(self) -> None:
        """There may be something to claim, in any store."""
        for courier in self._couriers:
            courier.hint()

    def turned(self) -> None:
        """One has looked at what there is to do: calls the hooks of the worker's being busy or idle."""
        with self._lock:
            self.reactions.turned(
                has_jobs=any(courier.has_jobs for courier in self._couriers),
                is_empty=all(courier.claiming.is_empty for courier in self._couriers),
            )

    # What the worker is told.

    def drain(self, seconds: float) -> None:
        """Claim nothing more, hand back what has not begun, and let the rest run for so long."""
        self.course.drain(seconds)
        self.ring()

    def retire(self, reason: str) -> None:
        """Take nothing more, hand back what has not begun, and end when the rest has, whenever that is."""
        self.course.retire(reason)
        self.ring()

    def pause(self) -> None:
        """Claim nothing more and hand back what has not begun, until told to resume."""
        self.course.is_paused = True
        self.ring()

    def resume(self) -> None:
        """Go on claiming."""
        self.course.is_paused = False
        self.hint()

    def scale(self, slots: int) -> None:
        """Run so many jobs at a time from now on."""
        self.berths.resize(slots)
        self.slots.resize(slots)
        self.hint()

    def doing(self) -> Doing:
        """What it does, and how many jobs are here."""
        return Doing(self.course.status, self.berths.slots, self.berths.busy)

    def run_of(self, identity: str) -> Run | None:
        """The run of a job that is here."""
        found = (courier.run_of(identity) for courier in self._couriers)
        return next((run for run in found if run is not None), None)

    def _is_urgent(self, run: Run) -> bool:
        return run.job.priority >= self.settings.spare_priority
