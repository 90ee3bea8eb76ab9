"""The random sequences of calls, and the search for the shortest that fails."""

from __future__ import annotations

import random
from typing import Any

from hypothesis import HealthCheck, Phase, settings
from hypothesis import seed as seeded
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test

from longshore.contract import Claim, Driver, NewJob, StoredJob, Where
from longshore.testing.clock import ManualClock
from longshore.testing.model import drafts
from longshore.testing.model.drafts import ChangeDraft, WriteDraft
from longshore.testing.model.pair import Pair
from longshore.testing.model.story import EnoughTried, Search

STEPS = 40
SECONDS_TO_SHORTEN = 4.0


def compare(store: Driver, clock: ManualClock, *, examples: int, seconds: float, seed: int | None) -> None:
    """Tries sequences of calls; raises AssertionError with the shortest after which the drivers part."""
    search = Search(seconds, SECONDS_TO_SHORTEN)
    chosen = settings(
        max_examples=examples,
        stateful_step_count=STEPS,
        phases=(Phase.generate, Phase.shrink),
        report_multiple_bugs=False,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    if seed is None and not chosen.derandomize:
        seed = random.SystemRandom().randrange(2**32)

    class Sequence(Calls):
        def __init__(self) -> None:
            search.begin()
            super().__init__(Pair(store, clock, search))

    try:
        run_state_machine_as_test(Sequence if seed is None else seeded(seed)(Sequence), settings=chosen)
    except (Exception, EnoughTried):
        # A failure is told below; where the search was ended, Hypothesis may wonder why.
        if search.shortest is None and not search.is_over:
            raise
    if search.shortest is not None:
        again = f"The same sequences again: --longshore-seed={seed}" if seed is not None else ""
        raise AssertionError("\n".join([*search.shortest, again]))


class Calls(RuleBasedStateMachine):
    """One sequence of calls."""

    def __init__(self, pair: Pair) -> None:
        super().__init__()
        self._pair = pair

    @initialize(jobs=st.lists(drafts.NEW_JOBS, min_size=3, max_size=9))
    def begin(self, jobs: list[NewJob]) -> None:
        """Something that the calls can be about."""
        self._pair.insert(jobs)

    @rule(jobs=st.lists(drafts.NEW_JOBS, min_size=1, max_size=4))
    def insert(self, jobs: list[NewJob]) -> None:
        """New jobs."""
        self._pair.insert(jobs)

    @rule(jobs=st.lists(drafts.stored_jobs(), min_size=1, max_size=2))
    def restore(self, jobs: list[StoredJob]) -> None:
        """Jobs of another store."""
        self._pair.insert(jobs)

    @rule(
        claims=drafts.CLAIMS,
        holder=drafts.some(*drafts.HOLDERS),
        limit=drafts.some(0, 1, 2, 5),
        max_bytes=drafts.perhaps(drafts.some(0, 50, 100)),
        seconds=drafts.some(0.0, *drafts.STEPS),
    )
    def claim(self, claims: list[Claim], holder: str, limit: int, max_bytes: int | None, seconds: float) -> None:
        """Claims of all kinds, after a while: else little would be due."""
        self._pair.wait(seconds)
        self._pair.claim(claims, holder, limit, max_bytes)

    @rule(changes=drafts.CHANGES)
    def update(self, changes: list[ChangeDraft]) -> None:
        """Changes of all kinds."""
        self._pair.update(changes)

    @rule(
        limit=drafts.some(1, 3, 9),
        holder=drafts.some(*drafts.HOLDERS),
        reserve=drafts.some(False, False, True),
        changes=drafts.SETTLING,
    )
    def work(self, limit: int, holder: str, reserve: bool, changes: list[ChangeDraft]) -> None:
        """Claims of whatever there is, and what runs say of themselves."""
        self._pair.claim([Claim(queues=drafts.QUEUES, reserve=reserve)], holder, limit)
        self._pair.update(changes)

    @rule(
        changes=drafts.SETTLING,
        claims=drafts.CLAIMS,
        holder=drafts.some(*drafts.HOLDERS),
        limit=drafts.some(1, 3),
    )
    def exchange(self, changes: list[ChangeDraft], claims: list[Claim], holder: str, limit: int) -> None:
        """What a worker does."""
        self._pair.exchange(changes, claims, holder, limit)

    @rule(where=drafts.WHERES, limit=drafts.some(1, 2))
    def delete(self, where: Where, limit: int) -> None:
        """Removals."""
        self._pair.delete(where, limit)

    @rule(writes=drafts.WRITES)
    def write(self, writes: list[WriteDraft]) -> None:
        """Writes."""
        self._pair.write(writes)

    @rule(question=drafts.QUESTIONS)
    def ask(self, question: tuple[str, dict[str, Any]]) -> None:
        """Questions, which change nothing; together they come as often as one of the calls above."""
        method, arguments = question
        self._pair.ask(method, **arguments)

    @rule(seconds=drafts.some(*drafts.STEPS))
    def wait(self, seconds: float) -> None:
        """Time passes."""
        self._pair.wait(seconds)
