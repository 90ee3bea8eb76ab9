"""What `update` and `exchange` promise of runs: the fence, and what a run is told when it says a thing twice."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from longshore import reference
from longshore.contract import Answer, Change, Claim, Driver, Fields, Outcome, State, Where
from longshore.testing.clock import ManualClock
from longshore.testing.fixtures import StoreFixtures, one_place
from longshore.testing.samples import (
    ANNA,
    BERT,
    QUEUE,
    end,
    ids,
    move,
    new_job,
    outcomes,
    put,
    run,
    settle,
    start,
    state_of,
    stored,
    take,
)


def rescue(store: Driver, identity: str) -> None:
    """Takes a run away from its holder."""
    assert move(store, identity, State.PENDING, states=frozenset({State.RUNNING})).outcome is Outcome.MOVED


class RunPromises(StoreFixtures):
    """Guards and fences."""

    def test_a_change_is_applied_only_in_its_states(self, store: Driver) -> None:
        """A change with ``states`` is REFUSED where the job stands elsewhere, and answered with how it stands."""
        run(store, "a")
        answer = move(store, "a", State.CANCELLED, states=frozenset({State.PENDING, State.WAITING}))
        assert answer == Answer(Outcome.REFUSED, State.RUNNING, 1)
        assert state_of(store, "a") is State.RUNNING

    def test_a_change_is_applied_only_to_its_generation(self, store: Driver) -> None:
        """A change with ``generation`` is REFUSED where the job's is another."""
        run(store, "a")
        for generation in (0, 2):
            answer = move(store, "a", State.CANCELLED, generation=generation)
            assert answer.outcome is Outcome.REFUSED, "a change of another generation was applied"
        assert move(store, "a", State.CANCELLED, generation=1).outcome is Outcome.MOVED

    def test_a_change_is_applied_only_for_its_holder(self, store: Driver) -> None:
        """A change with ``holder`` is REFUSED where another, or nobody, holds the job."""
        run(store, "a")
        answer = move(store, "a", State.SUCCEEDED, generation=1, holder=BERT)
        assert answer.outcome is Outcome.REFUSED, "another holder ended a run"
        rescue(store, "a")
        answer = move(store, "a", State.SUCCEEDED, generation=1, holder=ANNA)
        assert answer.outcome is Outcome.REFUSED, "a holder that lost its run ended it"

    def test_a_change_is_applied_only_while_cancel_stands_so(self, store: Driver) -> None:
        """A change with ``cancel_asked`` is REFUSED where the job's is different."""
        run(store, "a")
        assert move(store, "a", State.PENDING, cancel_asked=True).outcome is Outcome.REFUSED
        assert move(store, "a", fields={"cancel_asked": True}, cancel_asked=False).cancel_asked is True
        assert move(store, "a", State.PENDING, cancel_asked=False) == Answer(Outcome.REFUSED, State.RUNNING, 1, True)
        assert move(store, "a", State.CANCELLED, cancel_asked=True).outcome is Outcome.MOVED

    def test_a_zombie_changes_nothing(self, store: Driver) -> None:
        """A run that was rescued and claimed again, even by the same holder, can neither end, nor move, nor write."""
        old = run(store, "a")
        rescue(store, "a")
        start(store, "a", holder=ANNA)
        before = stored(store, "a")
        late = [settle(old), settle(old, State.PENDING), settle(old, State.FAILED)]
        late.append(Change("a", fields={"cursor": b"late"}, generation=old.generation, holder=old.holder))
        for change in late:
            (answer,) = store.update([change])
            assert answer.outcome is Outcome.REFUSED, "a late run changed a newer one"
        assert stored(store, "a") == before

    def test_a_run_that_settles_twice_is_told_so(self, store: Driver) -> None:
        """A settling change that the same run made before is answered REPEATED, and changes nothing."""
        job = run(store, "a")
        change = settle(job, fields={"result": b"first"})
        assert outcomes(store.update([change])) == [Outcome.MOVED]
        before = stored(store, "a")
        (answer,) = store.update([change])
        assert answer == Answer(Outcome.REPEATED, State.SUCCEEDED, 1), "a run that settled itself was not remembered"
        (answer,) = store.update([settle(job, State.FAILED, fields={"result": b"second"})])
        assert answer.outcome is Outcome.REPEATED
        assert stored(store, "a") == before

    def test_a_retry_that_is_sent_twice_is_told_so(self, store: Driver) -> None:
        """A run that settled itself by a retry is answered REPEATED, also when the job has been claimed since."""
        job = run(store, "a")
        change = settle(job, State.PENDING, fields={"attempt_record": b"failed"})
        assert outcomes(store.update([change])) == [Outcome.MOVED]
        assert store.update([change]) == [Answer(Outcome.REPEATED, State.PENDING, 1)]
        start(store, "a", holder=BERT)
        assert store.update([change]) == [Answer(Outcome.REPEATED, State.RUNNING, 2)]
        assert stored(store, "a").tries == 1, "a repeated change was applied twice"

    def test_only_the_last_settled_run_is_remembered(self, store: Driver) -> None:
        """A job remembers the last run that settled itself; an earlier one is answered REFUSED."""
        first = run(store, "a")
        store.update([settle(first, State.PENDING)])
        second = start(store, "a", holder=BERT)
        store.update([settle(second)])
        assert outcomes(store.update([settle(first)])) == [Outcome.REFUSED]
        assert outcomes(store.update([settle(second)])) == [Outcome.REPEATED]
        job = stored(store, "a")
        assert (job.settled, job.settled_by) == (2, BERT)

    def test_a_run_that_others_ended_did_not_settle(self, store: Driver) -> None:
        """A run that was ended from outside is REFUSED when it settles itself."""
        job = run(store, "a")
        end(store, "a")
        assert outcomes(store.update([settle(job)])) == [Outcome.REFUSED], "a run was told that it settled"
        assert state_of(store, "a") is State.CANCELLED

    def test_another_holder_did_not_settle(self, store: Driver) -> None:
        """Who settles with the right generation but is another holder is REFUSED."""
        job = run(store, "a")
        store.update([settle(job)])
        stranger = Change("a", State.SUCCEEDED, states=frozenset({State.RUNNING}), generation=1, holder=BERT)
        assert outcomes(store.update([stranger])) == [Outcome.REFUSED]
        settling = Change("a", State.SUCCEEDED, generation=1, holder=BERT, settles=True)
        assert outcomes(store.update([settling])) == [Outcome.REFUSED], "another holder was told that it settled"

    def test_a_start_that_is_sent_twice_is_told_so(self, store: Driver) -> None:
        """A move of the run that holds the job to the state it stands in already is answered REPEATED."""
        put(store, new_job("a"))
        job = start(store, "a", reserve=True)
        begin = replace(settle(job, State.RUNNING, fields={"attempt": 1}), settles=False)
        assert outcomes(store.update([begin])) == [Outcome.MOVED]
        assert store.update([begin]) == [Answer(Outcome.REPEATED, State.RUNNING, 1)]
        stranger = Change("a", State.RUNNING, states=frozenset({State.RESERVED}), generation=1, holder=BERT)
        assert outcomes(store.update([stranger])) == [Outcome.REFUSED]

    def test_a_manual_retry_makes_the_run_void(self, store: Driver) -> None:
        """After a change that renews, the run before it changes nothing more; the change sent again is refused."""
        job = run(store, "a")
        renew = Change("a", State.PENDING, generation=job.generation, renews=True)
        assert store.update([renew]) == [Answer(Outcome.MOVED, State.PENDING, 2)]
        assert outcomes(store.update([settle(job)])) == [Outcome.REFUSED], "a void run settled itself"
        assert outcomes(store.update([renew])) == [Outcome.REFUSED]
        assert start(store, "a").generation == 3

    def test_a_new_job_under_an_old_id_knows_no_old_run(self, store: Driver) -> None:
        """What a run settled is forgotten with its job."""
        job = run(store, "a")
        store.update([settle(job)])
        store.delete(Where(ids=["a"]))
        put(store, new_job("a"))
        assert outcomes(store.update([settle(job)])) == [Outcome.REFUSED]

    @pytest.mark.parametrize("lost", [(), (0, 77, 149)], ids=["all", "some"])
    @pytest.mark.parametrize("back", [False, True], ids=["end", "again"])
    def test_of_many_runs_each_settles_itself(
        self, store: Driver, clock: ManualClock, lost: tuple[int, ...], back: bool
    ) -> None:
        """However many runs settle themselves in one call, each is answered and stored as if it were alone."""
        put(store, *(new_job(f"{number:03}") for number in range(150)))
        jobs = take(store, limit=150)
        for number in lost:
            rescue(store, jobs[number].id)
        fields: list[Fields] = [
            {"delay": n, "attempt_record": b"%d" % n} if back else {"result": b"\x00\xff%d" % n} for n in range(150)
        ]
        to = State.PENDING if back else State.SUCCEEDED
        changes = [settle(job, to, fields=fields[number]) for number, job in enumerate(jobs)]
        answers = store.update(changes)
        for number, (job, change, answer) in enumerate(zip(jobs, changes, answers, strict=True)):
            if number in lost:
                assert answer == Answer(Outcome.REFUSED, State.PENDING, 1)
            else:
                assert answer == Answer(Outcome.MOVED, to, 1)
                assert stored(store, job.id) == reference.changed(job, change, clock())

    @one_place
    def test_an_exchange_is_an_update_and_a_claim(self, store: Driver) -> None:
        """`exchange` answers what `update` and then `claim` would."""
        done = run(store, "done")
        put(store, new_job("next"), new_job("then"))
        changes = [settle(done, fields={"result": b"r"}), Change("nobody", State.CANCELLED)]
        answers, claimed = store.exchange(changes, [Claim(queues=(QUEUE,))], holder=BERT, limit=1)
        assert answers == [Answer(Outcome.MOVED, State.SUCCEEDED, 1), Answer(Outcome.REFUSED)]
        assert ids(claimed.jobs) == ["next"]
        assert (claimed.jobs[0].holder, claimed.jobs[0].generation) == (BERT, 1)
        assert stored(store, "done").result == b"r"

    @pytest.mark.parametrize("half", ["changes", "claims"])
    def test_half_an_exchange_is_enough(self, store: Driver, half: str) -> None:
        """`exchange` without changes is a claim, without claims an update."""
        job = run(store, "a")
        put(store, new_job("b"))
        changes = [settle(job)] if half == "changes" else []
        claims = [Claim(queues=(QUEUE,))] if half == "claims" else []
        answers, claimed = store.exchange(changes, claims, holder=ANNA, limit=5, max_bytes=1_000)
        assert outcomes(answers) == [Outcome.MOVED] * len(changes)
        assert ids(claimed.jobs) == (["b"] if claims else [])

    def test_what_an_exchange_released_is_found_by_the_next_claim(self, store: Driver) -> None:
        """A job that an exchange moved to PENDING is claimed by it, or by the next call."""
        job = run(store, "a")
        _, claimed = store.exchange([settle(job, State.PENDING)], [Claim(queues=(QUEUE,))], holder=BERT, limit=5)
        found = ids(claimed.jobs) or ids(take(store, holder=BERT))
        assert found == ["a"]
        assert stored(store, "a").generation == 2
