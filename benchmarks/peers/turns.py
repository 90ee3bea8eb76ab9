"""How every peer on a server is timed: the same loops, and a watch that any of its workers may stop."""

import itertools
from collections.abc import Awaitable, Callable
from threading import Event

from benchmarks.stage import Stage

BULK = 1_000


class Drain:
    """To be called by each job: begins when the warm-up is over, ends with the last job, whichever that is."""

    def __init__(self, stage: Stage) -> None:
        self.is_done = Event()
        self.jobs = stage.warm_up + stage.jobs
        self._stage = stage
        self._begun = itertools.count()

    def __call__(self, number: int) -> None:
        begun = next(self._begun)
        if begun == self._stage.warm_up:
            self._stage.begin()
        elif begun == self.jobs - 1:
            self._stage.end()
            self.is_done.set()


def enqueue_one(stage: Stage, send: Callable[[int], object]) -> None:
    """One by one, the warm-up first."""
    for number in range(stage.warm_up):
        send(number)
    with stage.timed():
        for number in range(stage.jobs):
            send(number)


async def enqueue_one_awaited(stage: Stage, send: Callable[[int], Awaitable[object]]) -> None:
    """The same where a call is awaited."""
    for number in range(stage.warm_up):
        await send(number)
    with stage.timed():
        for number in range(stage.jobs):
            await send(number)


def thousands(count: int) -> list[range]:
    """The numbers of so many jobs, by a thousand."""
    return [range(first, min(first + BULK, count)) for first in range(0, count, BULK)]
