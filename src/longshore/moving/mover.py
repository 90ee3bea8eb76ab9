"""Moves everything from one store to another while workers go on (docs/design/moving.md)."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Final

from msgspec.structs import replace

from longshore.contract import ENDED, HELD, SECOND, UNREADABLE, By, State, StoredJob, Where
from longshore.errors import ConfigurationError, Corrupt, IdConflict, StoreMoved
from longshore.guard import Guard
from longshore.motion import Away, away_of, expect, expect_no_more, expected_from, name_of, seal, unseal
from longshore.moving.aborting import put_back_all
from longshore.moving.burying import Burying
from longshore.moving.departing import Departure
from longshore.moving.landing import Landing
from longshore.moving.opening import shown
from longshore.moving.records import copy_rules, move_rest
from longshore.moving.telling import Carried, Progress, Tell, tell_nobody
from longshore.siding import MOVING

SETTLE: Final = 2.0
"""Seconds after the seal until every producer has seen it, and what it was about to insert is there."""
_PAUSE: Final = 0.5


class Mover:
    """One move; what an earlier one has left, it goes on with.

    Args:
        verify: whether each job is compared at the destination before it is removed from the source.
        tell: told how far it is.
        settle: seconds from the seal until the last look at the source.
        pause: waits so many seconds.
    """

    def __init__(
        self,
        source: Guard,
        destination: Guard,
        *,
        verify: bool = False,
        tell: Tell = tell_nobody,
        settle: float = SETTLE,
        pause: Callable[[float], None] = time.sleep,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._source = source
        self._destination = destination
        self._landing = Landing(destination, verify=verify)
        self._departure = Departure(source, monotonic=monotonic)
        self._burying = Burying(source, monotonic)
        self._tell = tell
        self._settle = settle
        self._pause = pause
        self._monotonic = monotonic
        self._total = 0
        self._unreadable: list[str] = []
        self._names = name_of(source), name_of(destination)

    def run(self, *, wait: float | None = None) -> Carried:
        """Moves all, and waits for what is held at the source; gives what has arrived.

        Args:
            wait: seconds for which it is waited at most; what is held then stays, the source takes jobs again, and a
                repeat takes all of them along.

        Raises:
            ConfigurationError: the source has moved elsewhere, or one of the two is on its way itself.
            IdConflict: another call is stored at the destination under an id; all other jobs have arrived.
            Corrupt: a job cannot be read; all others have arrived.
            CopyDiffers: with ``verify``, something did not arrive as it was sent.
            StoreMoved: the move was aborted meanwhile.
        """
        away = self._begin()
        held = self._carry_all(None if wait is None else self._monotonic() + wait)
        if held:
            self._let_be(away)
            return self._carried(held=held)
        self._complain()
        records = move_rest(self._source, self._destination)
        self._check_not_aborted()
        expect_no_more(self._destination, self._names[0])
        seal(self._source, replace(away, done=True))
        return self._carried(records=records)

    def _begin(self) -> Away:
        source, destination = self._source, self._destination
        away = away_of(source)
        if away is not None and away.destination != self._names[1]:
            raise ConfigurationError(f"expected a store that is not moving; it moves, or has moved, to {away.to}")
        check_rests(source, destination)
        if away is None:
            away = Away(shown(destination), self._names[1], source.now())
        elif away.is_open:
            away = replace(away, since=source.now(), is_open=False)
        expect(destination, self._names[0])
        # A store that had moved away is one again.
        unseal(destination)
        seal(source, replace(away, done=False))
        self._total = sum(source.count(By.QUEUE_STATE).values())
        self._departure.sign_of_life()
        if not away.has_rules:
            copy_rules(source, destination)
            away = replace(away, has_rules=True)
            seal(source, away)
        return away

    def _let_be(self, away: Away) -> None:
        """Leaves the source as one that works: nobody knows when the move is gone on with."""
        self._check_not_aborted()
        put_back_all(self._source, self._destination)
        seal(self._source, replace(away, is_open=True))

    def _carry_all(self, until: float | None) -> int:
        """Takes everything along, and waits for what is held; gives how many still are."""
        away = away_of(self._source)
        settled = (away.since if away else 0) + round(self._settle * SECOND)
        while True:
            is_last_look = self._source.now() >= settled
            held = self._pass()
            if not held and is_last_look:
                return 0
            if held and until is not None and self._monotonic() >= until:
                return held
            self._say(held)
            if held:
                self._burying.look()
            self._departure.sign_of_life()
            self._pause(_PAUSE if held else max(0.0, (settled - self._source.now()) / SECOND))

    def _pass(self) -> int:
        """Goes through the source once; gives how many jobs have to wait."""
        after: str | None = None
        left = 0
        self._unreadable = []
        while True:
            page = self._departure.page(after)
            left += self._carry(page.jobs)
            self._departure.sign_of_life()
            after = page.after
            if after is None:
                return left

    def _carry(self, jobs: Sequence[StoredJob]) -> int:
        """Takes jobs along; gives how many have to wait."""
        self._unreadable += [job.id for job in jobs if UNREADABLE in job.notes]
        going = [job for job in jobs if UNREADABLE not in job.notes and job.id not in self._landing.conflicts]
        free = [job for job in going if job.state not in HELD]
        taken = self._departure.take(free)
        busy = self._departure.busy_keys(taken)
        return len(going) - self._transfer([job for job in taken if job.key not in busy or job.state in ENDED])

    def _transfer(self, taken: Sequence[StoredJob]) -> int:
        """Inserts jobs and then removes them at the source; gives how many need no further look."""
        if not taken:
            return 0
        landed = {job.id for job in self._landing.land([MOVING.restored(job) for job in taken])}
        arrived = [job for job in taken if job.id in landed]
        removed = self._departure.remove(arrived)
        if back := self._departure.put_back(arrived, removed):
            self._destination.delete(Where(ids=back, states=tuple(State)), limit=len(back))
            raise StoreMoved("the move was aborted by somebody else; what they put back was removed where it arrived")
        self._say()
        return len(removed) + len(taken) - len(arrived)

    def _say(self, held: int = 0) -> None:
        jobs = self._landing.jobs.total()
        self._tell(Progress(jobs, max(self._total, jobs + held), held))

    def _check_not_aborted(self) -> None:
        if away_of(self._source) is None:
            raise StoreMoved("the move was aborted by somebody else before it was done: move again")

    def _complain(self) -> None:
        if self._landing.conflicts:
            names = sorted(self._landing.conflicts)
            raise IdConflict(
                f"expected the ids of the source to be free; {len(names)} are of other calls at the destination, and "
                f"stay in the queue {MOVING.name}: {', '.join(names[:5])}. Remove one of the two, and repeat the move"
            )
        if self._unreadable:
            raise Corrupt(
                f"{len(self._unreadable)} jobs cannot be read and stay: {', '.join(self._unreadable[:5])}. "
                "Remove them, and repeat the move"
            )

    def _carried(self, *, records: int = 0, held: int = 0) -> Carried:
        landing = self._landing
        jobs: Counter[State] = landing.jobs
        return Carried(dict(jobs), records, tuple(landing.without_slot), held)


def check_rests(source: Guard, destination: Guard) -> None:
    """Refuses stores that are on their way elsewhere themselves.

    Raises:
        ConfigurationError: one is.
    """
    theirs = away_of(destination)
    if theirs is not None and not theirs.done:
        raise ConfigurationError(
            f"expected a destination that stays; it moves to {theirs.to}: finish or abort that first"
        )
    if expected_from(source):
        raise ConfigurationError(
            "expected a source that is whole; jobs are still to come there from elsewhere: finish that first"
        )
