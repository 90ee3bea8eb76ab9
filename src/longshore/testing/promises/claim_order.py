"""What `claim` promises of order: priority, due time, id; and its claims in sequence."""

from __future__ import annotations

from collections.abc import Sequence

from longshore.contract import SECOND, Claim, Driver, NewJob
from longshore.testing.clock import ManualClock
from longshore.testing.fixtures import StoreFixtures, one_place
from longshore.testing.samples import ANNA, ids, new_job, put, take


def by_place(jobs: Sequence[NewJob]) -> list[str]:
    """Ids in the order in which one claim takes them."""
    return [job.id for job in sorted(jobs, key=lambda job: (-job.priority, job.due or 0, job.id.encode()))]


class ClaimOrderPromises(StoreFixtures):
    """The order of claims."""

    @one_place
    def test_high_priorities_come_first(self, store: Driver) -> None:
        """Of the due jobs those of the highest priority are taken first, however long the others have been due."""
        put(store, new_job("low", priority=-5), new_job("middle"), new_job("high", priority=5))
        assert ids(take(store, limit=2)) == ["high", "middle"], "a claim ignored the priority"
        put(store, new_job("higher", priority=6))
        assert ids(take(store)) == ["higher", "low"]

    @one_place
    def test_within_a_priority_the_earlier_due_comes_first(self, store: Driver, clock: ManualClock) -> None:
        """Jobs of one priority are taken in the order of their due times, not of their inserts."""
        put(store, new_job("a", due=clock() - 1), new_job("b", due=clock() - 3), new_job("c", due=clock() - 2))
        assert ids(take(store)) == ["b", "c", "a"]

    @one_place
    def test_within_a_due_time_the_ids_decide(self, store: Driver) -> None:
        """Jobs of one priority and one due time are taken in the order of their ids."""
        put(store, *(new_job(name) for name in "cabd"))
        assert ids(take(store)) == ["a", "b", "c", "d"]

    @one_place
    def test_the_queues_of_a_claim_are_taken_together(self, store: Driver, clock: ManualClock) -> None:
        """One claim takes the jobs of all its queues together in one order."""
        jobs = [
            new_job(f"{number:02}", queue="xyz"[number % 3], priority=number * 7 % 4, due=clock() - number * 5 % 11)
            for number in range(40)
        ]
        put(store, *jobs)
        taken: list[str] = []
        while found := take(store, queues=("y", "x", "z"), limit=7):
            taken += ids(found)
        assert taken == by_place(jobs)

    @one_place
    def test_the_tasks_of_a_claim_are_taken_together(self, store: Driver, clock: ManualClock) -> None:
        """One claim takes the jobs of all its tasks together in one order, also after others passed them over."""
        jobs = [
            new_job(f"{number:02}", task="uvwxyz"[number % 6], priority=number * 5 % 3, due=clock() - number * 3 % 7)
            for number in range(60)
        ]
        put(store, *jobs)
        take(store, tasks=frozenset("w"), limit=1)
        taken: list[str] = []
        wanted = frozenset("xyz")
        while found := take(store, tasks=wanted, limit=4):
            taken += ids(found)
        assert taken == by_place([job for job in jobs if job.task in wanted])

    @one_place
    def test_claims_are_served_in_sequence(self, store: Driver) -> None:
        """A list of claims is served one after the other: a queue that comes first is emptied first."""
        put(store, *(new_job(f"{queue}{n}", queue=queue, priority=n) for queue in "xy" for n in range(3)))
        claims = [Claim(queues=("y",)), Claim(queues=("x",))]
        assert ids(store.claim(claims, holder=ANNA, limit=4).jobs) == ["y2", "y1", "y0", "x2"]

    @one_place
    def test_jobs_that_become_due_are_ordered_with_the_others(self, store: Driver, clock: ManualClock) -> None:
        """A job that becomes due stands where its priority and due time put it."""
        put(store, new_job("low"), new_job("late", delay=SECOND), new_job("high", priority=1, delay=2 * SECOND))
        clock.advance(2)
        assert ids(take(store)) == ["high", "low", "late"]
