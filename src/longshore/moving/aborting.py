"""Gives up a move: what was taken and has not arrived goes back into its queues."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Final

from msgspec import Struct

from longshore.contract import StoredJob, Where
from longshore.guard import Guard
from longshore.motion import expect_no_more, name_of, unseal
from longshore.moving.departing import Departure, is_at_work
from longshore.moving.landing import Landing
from longshore.siding import MOVING

_PAGE: Final = 500
_PAUSE: Final = 1.0


class Aborted(Struct, frozen=True):
    """What became of what was on its way.

    Attributes:
        returned: how many jobs are in their queues at the source again.
        arrived: how many had arrived and were only left at the source; they are at the destination, as those that
            arrived before.
    """

    returned: int
    arrived: int


def give_up(source: Guard, destination: Guard, *, pause: Callable[[float], None] = time.sleep) -> Aborted:
    """Puts back what has not arrived, and lifts the seal. Waits while a mover is at work, up to 15 s after it died."""
    while is_at_work(source):
        pause(_PAUSE)
    aborted = put_back_all(source, destination)
    expect_no_more(destination, name_of(source))
    unseal(source)
    return aborted


def put_back_all(source: Guard, destination: Guard) -> Aborted:
    """Puts everything into its queue again that was taken, unless it has arrived."""
    departure, landing = Departure(source), Landing(destination)
    returned = arrived = 0
    while jobs := MOVING.page(source, None, _PAGE).jobs:
        there = _there(destination, jobs)
        back = [job for job in jobs if job.id not in there]
        MOVING.empty(source, back)
        returned += len(back)
        for taken in departure.taken([job.id for job in jobs if job.id in there]):
            landed = landing.land([MOVING.restored(job) for job in taken])
            arrived += len(departure.remove([job for job in taken if job.id in {each.id for each in landed}]))
            # Another call under this id is there, and this one has not arrived.
            strangers = [job for job in taken if job.id in landing.conflicts]
            MOVING.empty(source, strangers)
            returned += len(strangers)
    return Aborted(returned, arrived)


def _there(destination: Guard, jobs: Sequence[StoredJob]) -> set[str]:
    ids = [job.id for job in jobs]
    return {job.id for job in destination.select(Where(ids=ids), limit=len(ids), body=False).jobs}
