"""The thread that keeps a worker's lease alive, on a connection of its own."""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial

from longshore.errors import LeaseLost, StoreError
from longshore.guard import Guard
from longshore.history import HourLog
from longshore.holders import Lease, idle_workers
from longshore.worker.clockwork import Clockwork
from longshore.worker.contact import Contact
from longshore.worker.courier import Courier
from longshore.worker.settings import WorkerSettings
from longshore.worker.upkeep import MEND_SECONDS, Upkeep

_log = logging.getLogger("longshore.worker")


class Heartbeat(threading.Thread):
    """Renews the lease, has the courier compare what it holds, and does chores."""

    def __init__(
        self,
        connect: Callable[[], Guard],
        lease: Lease,
        courier: Courier,
        settings: WorkerSettings,
        *,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(name="longshore-heartbeat", daemon=True)
        self._connect = connect
        self._store: Guard | None = None
        self._lease = lease
        self._courier = courier
        self._settings = settings
        self._monotonic = monotonic
        self._contact = Contact(settings.heartbeat, settings.lease)
        self._upkeep = Upkeep(lease, settings, homes=courier.allowance.homes)
        self._hours = HourLog(f"{lease.worker}{lease.mark and '-'}{lease.mark}", courier.tally)
        self._clockwork = Clockwork()
        self._woken = threading.Event()
        self._is_ended = False
        self._first = ExitStack()

    def start(self) -> None:
        """Begins to beat; who is to end when nothing is due waits for what the first upkeep frees."""
        self._first.enter_context(self._courier.upkeep())
        super().start()

    def run(self) -> None:
        """Beats until it is stopped."""
        beat = mend = 0.0
        while not self._is_ended:
            if self._monotonic() >= beat:
                with self._first:
                    beat = self._beat() + self._monotonic()
                mend = self._monotonic() + MEND_SECONDS
            elif self._monotonic() >= mend:
                self._mend()
                mend = self._monotonic() + MEND_SECONDS
            self._woken.wait(max(0.0, min(beat, mend, self._next_tick()) - self._monotonic()))
            self._woken.clear()
        if self._store is not None:
            self._write_last(self._store)

    def stop(self) -> None:
        """Ends the thread at its next turn."""
        self._is_ended = True
        self._woken.set()

    def look_at_schedules(self) -> None:
        """Has it look at the schedules now. May be called by any thread."""
        self._clockwork.look_afresh()
        self._woken.set()

    def _next_tick(self) -> float:
        """Makes the jobs of schedules whose time has come; gives when the next comes, by the own clock."""
        if self._store is None:
            return float("inf")
        if self._monotonic() >= self._clockwork.due:
            self._clockwork.work(self._store)
        return self._clockwork.due

    def _beat(self) -> float:
        """One beat; gives the seconds until the next: soon, when the store is away."""
        try:
            if self._store is None:
                self._store = self._connect()
            self._lease.renew(self._store)
            self._courier.look_at_held()
            self._courier.claiming.crowd = idle_workers(self._store, self._settings.queues)
            self._hours.write(self._store)
            with self._courier.upkeep():
                self._upkeep.work(self._store, may_rescue=partial(self._may_rescue, self._store))
                self._upkeep.mend(self._store)
            self._clockwork.look_afresh()
        except LeaseLost as error:
            _log.warning("%s", error)
            self._courier.look_at_held()
        except StoreError as error:
            _log.warning("no heartbeat: %s", error)
            return self._again()
        except Exception:  # noqa: BLE001 - without a heartbeat the worker would neither work nor end
            _log.exception("no heartbeat")
            return self._again()
        return self._settings.heartbeat

    def _mend(self) -> None:
        if self._store is None:
            return
        try:
            with self._courier.upkeep():
                self._upkeep.mend(self._store)
        except StoreError as error:
            _log.warning("what follows from ends is looked at later: %s", error)
        except Exception:  # noqa: BLE001 - the next heartbeat must come
            _log.exception("what follows from ends is looked at later")

    def _write_last(self, store: Guard) -> None:
        try:
            self._hours.write(store)
        except StoreError as error:
            _log.warning("the last counts of %s are not written: %s", self._lease.worker, error)
        finally:
            store.close()

    def _again(self) -> float:
        self._contact.broken()
        return min(1.0, self._settings.heartbeat / 4) * random.uniform(0.75, 1.25)

    def _may_rescue(self, store: Guard) -> bool:
        self._contact.held(self._monotonic(), store.now())
        return self._contact.may_rescue(self._monotonic())
