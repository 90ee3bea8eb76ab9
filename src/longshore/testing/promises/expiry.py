"""What the contract promises of jobs that were not begun in time."""

from __future__ import annotations

from longshore.contract import SECOND, Answer, Claim, Claimed, Driver, Insertion, Outcome, State, Where
from longshore.testing.clock import ManualClock
from longshore.testing.fixtures import StoreFixtures, one_place
from longshore.testing.samples import (
    ANNA,
    QUEUE,
    ids,
    new_job,
    put,
    run,
    settle,
    state_of,
    stored,
    take,
)


def claim_all(store: Driver, limit: int = 10) -> Claimed:
    """Claims from the queue, and answers all that the call answers."""
    return store.claim([Claim(queues=(QUEUE,))], holder=ANNA, limit=limit)


class ExpiryPromises(StoreFixtures):
    """Deadlines."""

    @one_place
    def test_a_job_past_its_deadline_is_not_claimed(self, store: Driver, clock: ManualClock) -> None:
        """From its deadline on a job is never begun, in its queue or by its id; until then it is."""
        put(store, *(new_job(name, expires_in=10 * SECOND) for name in "abc"))
        clock.advance(9.999_999)
        assert ids(take(store, limit=1)) == ["a"]
        clock.advance(0.000_001)
        assert ids(take(store, id="c")) == [], "a job was begun past its deadline"
        assert ids(take(store)) == [], "a job was begun past its deadline"

    @one_place
    def test_a_claim_answers_what_it_expired(self, store: Driver, clock: ManualClock) -> None:
        """Jobs past their deadline that a claim meets go to EXPIRED, and it answers their ids beside the jobs; they do
        not count against its limit."""
        put(store, new_job("a", expires_in=SECOND), new_job("b"), new_job("c", expires_in=SECOND), new_job("d"))
        clock.advance(1)
        claimed = claim_all(store, limit=2)
        assert ids(claimed.jobs) == ["b", "d"], "an expired job counted against the limit"
        assert sorted(claimed.expired) == ["a", "c"], "a claim expired jobs and did not say so"
        assert [state_of(store, name) for name in "ac"] == [State.EXPIRED] * 2

    @one_place
    def test_an_expired_job_is_ended(self, store: Driver, clock: ManualClock) -> None:
        """A job that a claim expired is ended now, and has freed its unique slot and its turn."""
        put(store, new_job("a", expires_in=SECOND, unique_key="u", key="k"))
        clock.advance(2)
        assert claim_all(store).expired == ["a"]
        job = stored(store, "a")
        assert (job.ended, job.unique_held, job.turn) == (clock(), False, None)
        assert (job.generation, job.attempt, job.holder, job.started) == (0, 0, None, None)
        (answer,) = store.insert([new_job("b", unique_key="u", key="k")])
        assert (answer.outcome, answer.state) == (Insertion.INSERTED, State.PENDING)

    def test_a_claim_of_an_id_expires_it(self, store: Driver, clock: ManualClock) -> None:
        """A claim of one id that meets its deadline answers it as expired."""
        put(store, new_job("a", expires_in=SECOND))
        clock.advance(1)
        claimed = store.claim([Claim(id="a")], holder=ANNA, limit=1)
        assert (claimed.jobs, claimed.expired) == ([], ["a"])

    @one_place
    def test_an_expired_job_releases_others(self, store: Driver, clock: ManualClock) -> None:
        """A job that a claim expired is marked when jobs wait for it."""
        put(store, new_job("p", expires_in=SECOND), new_job("q", expires_in=SECOND))
        put(store, new_job("child", parents=("p",), waiting=True))
        clock.advance(1)
        claim_all(store)
        assert [stored(store, name).releases for name in "pq"] == [True, False]

    def test_the_deadline_holds_for_every_run(self, store: Driver, clock: ManualClock) -> None:
        """A retry past the deadline is not begun."""
        job = run(store, "a", expires_in=10 * SECOND)
        store.update([settle(job, State.PENDING, fields={"delay": 20 * SECOND})])
        clock.advance(20)
        claimed = claim_all(store)
        assert (ids(claimed.jobs), claimed.expired) == ([], ["a"])

    def test_a_run_does_not_expire(self, store: Driver, clock: ManualClock) -> None:
        """A run that was begun in time goes on past the deadline, and settles."""
        job = run(store, "a", expires_in=SECOND)
        clock.advance(5)
        assert claim_all(store).expired == []
        assert store.update([settle(job)]) == [Answer(Outcome.MOVED, State.SUCCEEDED, 1)]

    def test_waiting_jobs_past_their_deadline_are_found(self, store: Driver, clock: ManualClock) -> None:
        """No claim expires a waiting job; it is found by ``expired``, so that somebody else can."""
        put(store, new_job("a", expires_in=SECOND, waiting=True), new_job("b", expires_in=2 * SECOND))
        clock.advance(1)
        assert claim_all(store, limit=0).expired == []
        assert ids(store.select(Where(expired=0, states=[State.WAITING, State.PENDING])).jobs) == ["a"]
        assert state_of(store, "a") is State.WAITING

    def test_a_hundred_expired_do_not_hide_the_living(self, store: Driver, clock: ManualClock) -> None:
        """A claim finds the living behind many jobs past their deadline, in one call."""
        put(store, *(new_job(f"{number:03}", expires_in=SECOND, priority=1) for number in range(300)), new_job("x"))
        clock.advance(1)
        claimed = claim_all(store, limit=5)
        assert ids(claimed.jobs) == ["x"], "expired jobs hid a living one"
        assert len(claimed.expired) == 300
