"""What a move or a copy tells while it goes on, and at its end."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeAlias

from msgspec import Struct

from longshore.contract import State


class Progress(Struct, frozen=True):
    """How far it is.

    Attributes:
        jobs: how many have arrived.
        total: how many there are, as far as is known.
        held: how many run at the source; their end is waited for.
    """

    jobs: int
    total: int
    held: int = 0


class Carried(Struct, frozen=True):
    """What has arrived.

    Attributes:
        jobs: how many, by state.
        records: how many schedules, pauses, limits, replies and the like.
        without_slot: the ids of jobs whose unique key or turn another job has there by now; they arrived without it.
        held: how many run at the source still, and so have not arrived; 0: all has.
    """

    jobs: Mapping[State, int]
    records: int = 0
    without_slot: tuple[str, ...] = ()
    held: int = 0


Tell: TypeAlias = Callable[[Progress], None]


def tell_nobody(_progress: Progress) -> None:
    """For those who do not want to know."""
