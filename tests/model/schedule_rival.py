"""A process that makes the ticks which are due, and dies at a point: ``schedule_rival.py URL METHOD BEFORE|AFTER``."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from typing import TypeVar

from longshore import Longshore
from longshore.contract import Driver
from longshore.guard import Guard
from longshore.schedules.stored import records, stored_of
from longshore.schedules.ticking import tick
from longshore.testing.faults.cut import CutDriver, Moment

T = TypeVar("T")


class DeadlyDriver(CutDriver):
    """Kills the process before or after a call takes effect."""

    def __init__(self, whole: Driver, method: str, moment: Moment) -> None:
        super().__init__(whole)
        self._method = method
        self._moment = moment

    def _pass(self, method: str, call: Callable[[], T]) -> T:
        if method == self._method and self._moment is Moment.BEFORE:
            os.kill(os.getpid(), signal.SIGKILL)
        answer = call()
        if method == self._method:
            os.kill(os.getpid(), signal.SIGKILL)
        return answer


def main(url: str, method: str, moment: Moment) -> None:
    with Longshore(url) as app:
        seen = [stored_of(record) for record in records(app.store)]
        tick(Guard(DeadlyDriver(app.store.driver, method, moment)), seen, app.store.now())


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], Moment[sys.argv[3]])
