"""What `claim` promises: which jobs it takes, and what becomes of them."""

from __future__ import annotations

from msgspec.structs import replace

from longshore import reference
from longshore.contract import HELD, SECOND, Claim, Driver, State, Where
from longshore.testing.clock import ManualClock
from longshore.testing.fixtures import StoreFixtures, one_place
from longshore.testing.samples import (
    ANNA,
    BERT,
    QUEUE,
    TASK,
    chunks,
    end,
    ids,
    move,
    names,
    new_job,
    put,
    run,
    settle,
    start,
    state_of,
    stored,
    take,
)


class ClaimPromises(StoreFixtures):
    """Claims."""

    @one_place
    def test_a_claim_starts_a_run(self, store: Driver, clock: ManualClock) -> None:
        """A claimed job is RUNNING for its holder since now, with generation + 1 and attempt + 1, and nothing else of
        it changed; it is answered as it is stored."""
        put(store, new_job("a", payload=b"\x00work", notes={"n": 1}, key="k", group="g", parents=("p",)))
        before = stored(store, "a")
        clock.advance(1)
        (job,) = take(store, holder=ANNA)
        assert job == reference.taken(before, ANNA, clock(), reserve=False)
        assert job == stored(store, "a")
        assert (job.generation, job.attempt) == (1, 1), "a claim did not raise the generation and the attempt by one"

    def test_a_reservation_counts_no_attempt(self, store: Driver, clock: ManualClock) -> None:
        """A claim that reserves makes the job RESERVED for its holder, with generation + 1 and the same attempt."""
        put(store, new_job("a"))
        before = stored(store, "a")
        job = start(store, "a", reserve=True)
        assert job == stored(store, "a") == reference.taken(before, ANNA, clock(), reserve=True)
        assert (job.state, job.generation, job.attempt) == (State.RESERVED, 1, 0)

    def test_every_claim_raises_the_generation(self, store: Driver) -> None:
        """No two runs of a job have one generation, whatever lies between them."""
        put(store, new_job("a"))
        generations = []
        for holder in (ANNA, BERT, ANNA):
            job = start(store, "a", holder=holder)
            generations.append(job.generation)
            store.update([settle(job, State.PENDING)])
        assert generations == [1, 2, 3], "a claim did not raise the generation"

    def test_a_claim_answers_the_cursor_but_no_attempts(self, store: Driver) -> None:
        """A claimed job comes with payload, cursor and notes, without attempts and result."""
        job = run(store, "a")
        fields = {"cursor": b"page 2", "notes": {"n": 1}, "attempt_record": b"lost"}
        store.update([settle(job, State.PENDING, fields=fields)])
        (again,) = take(store)
        assert (again.cursor, dict(again.notes), again.attempts, again.result) == (b"page 2", {"n": 1}, (), None)
        assert stored(store, "a").attempts == (b"lost",)

    @one_place
    def test_a_job_is_claimed_once(self, store: Driver) -> None:
        """A job that one caller holds is given to no other, in no later call and by no other claim of the same."""
        put(store, new_job("a"), new_job("b"))
        claim = Claim(queues=(QUEUE,))
        first = store.claim([claim, claim], holder=ANNA, limit=10).jobs
        second = store.claim([claim, Claim(id="a")], holder=BERT, limit=10).jobs
        assert ids(first) == ["a", "b"]
        assert ids(second) == [], "a job was claimed twice"
        assert stored(store, "a").holder == ANNA

    def test_only_pending_jobs_are_claimed(self, store: Driver) -> None:
        """Waiting, held and ended jobs are passed over, in their queue and by their id."""
        put(store, *(new_job(name) for name in ("reserved", "running", "ended")), new_job("waiting", waiting=True))
        start(store, "reserved", reserve=True)
        start(store, "running")
        end(store, "ended")
        assert ids(take(store)) == []
        for name in ("reserved", "running", "ended", "waiting"):
            assert ids(take(store, id=name)) == [], f"a job that is {name} was claimed"

    def test_a_job_is_claimed_when_it_is_due(self, store: Driver, clock: ManualClock) -> None:
        """A job is claimed from the microsecond on at which it is due, and not before."""
        put(store, new_job("a", delay=SECOND, priority=9))
        clock.advance(0.999_999)
        assert ids(take(store)) == ids(take(store, id="a")) == [], "a job was claimed before it was due"
        clock.advance(0.000_001)
        assert ids(take(store)) == ["a"], "a job that is due was not found"

    def test_a_retry_is_claimed_when_it_is_due(self, store: Driver, clock: ManualClock) -> None:
        """A job that was moved to PENDING with a delay is claimed when that has passed."""
        store.update([settle(run(store, "a"), State.PENDING, fields={"delay": 2 * SECOND})])
        clock.advance(1)
        assert ids(take(store)) == [], "a retry was claimed before it was due"
        clock.advance(1)
        assert ids(take(store)) == ["a"]

    @one_place
    def test_due_jobs_become_findable_earliest_first(self, store: Driver, clock: ManualClock) -> None:
        """A claim makes jobs findable that have become due, the earliest first; an empty answer with ``next_due`` 0
        asks to be asked again."""
        due = names(1_500)
        put(store, *(new_job(name, delay=(number + 1) * 1_000) for number, name in enumerate(due)))
        clock.advance(2)
        taken: list[str] = []
        claimed = None
        while claimed is None or claimed.jobs or claimed.next_due == 0:
            claimed = store.claim([Claim(queues=(QUEUE,))], holder=ANNA, limit=100)
            taken += ids(claimed.jobs)
        assert taken == due

    def test_many_that_become_due_at_once_are_found(self, store: Driver, clock: ManualClock) -> None:
        """One call finds as many of 1,000 jobs that became due together as it may take."""
        put(store, *(new_job(name, delay=SECOND) for name in names(1_000)))
        clock.advance(1)
        limit = min(1_000, store.limits.batch)
        assert len(take(store, limit=limit)) == limit

    @one_place
    def test_a_claim_takes_only_its_tasks(self, store: Driver) -> None:
        """With ``tasks`` a claim takes only jobs of these; jobs of others stay, and are taken by those who want them in
        their order."""
        put(store, *(new_job(f"{number}", task=task) for number, task in enumerate(["x", "y", "x", "z", "y"])))
        assert ids(take(store, tasks=frozenset("y"), limit=1)) == ["1"], "a claim took a job of a task it did not name"
        assert ids(take(store, tasks=frozenset())) == [], "a claim of no task took a job"
        assert ids(take(store, tasks=frozenset("yz"))) == ["3", "4"]
        assert ids(take(store)) == ["0", "2"], "jobs that others passed over are lost or out of order"

    @one_place
    def test_a_claim_takes_only_of_a_priority(self, store: Driver) -> None:
        """With ``min_priority`` a claim takes no job of a lower priority."""
        put(store, *(new_job(f"{priority}", priority=priority) for priority in (-1, 4, 5, 6, 7)))
        taken = ids(take(store, min_priority=7, tasks=frozenset([TASK])))
        assert taken == ["7"], "a claim took a job of a priority that is too low"
        assert ids(take(store, min_priority=5)) == ["6", "5"]
        assert ids(take(store)) == ["4", "-1"]

    def test_a_claim_of_one_id(self, store: Driver, clock: ManualClock) -> None:
        """A claim with an id takes that job, whatever its queue and place, if it is PENDING, due and of the tasks."""
        put(store, new_job("first", priority=9), new_job("a", queue="other"), new_job("later", delay=SECOND))
        assert ids(take(store, id="a", tasks=frozenset(["no"]))) == []
        assert ids(take(store, id="later")) == []
        assert ids(take(store, id="nobody")) == []
        assert ids(take(store, id="a", tasks=frozenset([TASK]))) == ["a"], "the id did not replace queues and order"
        clock.advance(1)
        assert ids(take(store, id="later")) == ["later"]

    @one_place
    def test_limits_hold_for_each_claim_and_for_all(self, store: Driver) -> None:
        """Each claim takes at most its own limit, all together at most the call's."""
        put(store, *(new_job(f"{queue}{number}", queue=queue) for queue in "xyz" for number in range(5)))
        claims = [Claim(queues=("x",), limit=2), Claim(queues=("y",), limit=0), Claim(queues=("z",))]
        jobs = store.claim(claims, holder=ANNA, limit=4).jobs
        assert ids(jobs) == ["x0", "x1", "z0", "z1"]

    @one_place
    def test_a_claim_takes_no_more_bytes(self, store: Driver) -> None:
        """``max_bytes`` bounds the payloads of a call together; one job is taken though it is larger."""
        put(store, *(new_job(f"{number}", payload=b"x" * 100) for number in range(5)))
        claims = [Claim(queues=(QUEUE,))]
        jobs = store.claim(claims, holder=ANNA, limit=10, max_bytes=299).jobs
        assert ids(jobs) == ["0", "1"], "a claim took more bytes than it was allowed"
        assert ids(store.claim(claims, holder=ANNA, limit=10, max_bytes=10).jobs) == ["2"]
        assert ids(store.claim(claims, holder=ANNA, limit=10, max_bytes=200).jobs) == ["3", "4"]

    def test_a_claim_of_nothing_takes_nothing(self, store: Driver) -> None:
        """A call without claims, a claim without queues, and a limit of 0 take nothing."""
        put(store, new_job("a"))
        assert store.claim([], holder=ANNA, limit=10).jobs == []
        assert store.claim([Claim()], holder=ANNA, limit=10).jobs == []
        assert store.claim([Claim(queues=(QUEUE,))], holder=ANNA, limit=0).jobs == []
        assert state_of(store, "a") is State.PENDING

    def test_an_empty_answer_says_when_to_come_back(self, store: Driver, clock: ManualClock) -> None:
        """An empty answer says how long it is until the next job of these queues, whatever its task and priority, is
        due; None where none is stored."""
        claims = [Claim(queues=("x", QUEUE))]
        assert store.claim(claims, holder=ANNA, limit=1).next_due is None
        put(store, new_job("b", delay=7 * SECOND), new_job("a", delay=5 * SECOND), new_job("w", waiting=True))
        clock.advance(1)
        assert store.claim(claims, holder=ANNA, limit=1).next_due == 4 * SECOND
        clock.advance(4)
        assert ids(store.claim(claims, holder=ANNA, limit=1).jobs) == ["a"]
        assert store.claim(claims, holder=ANNA, limit=1).next_due == 2 * SECOND

    def test_held_jobs_are_found_by_their_holder(self, store: Driver) -> None:
        """What a call took is found at once by selecting its holder."""
        put(store, *(new_job(name) for name in names(5)))
        taken = take(store, limit=3)
        assert sorted(ids(store.select(Where(holder=ANNA)).jobs)) == sorted(ids(taken))
        assert all(job.state in HELD for job in store.select(Where(holder=ANNA)).jobs)

    @one_place
    def test_a_released_job_keeps_its_place(self, store: Driver) -> None:
        """A job that was moved back to PENDING as it was stands where it stood."""
        put(store, *(new_job(name) for name in "abc"))
        (job,) = take(store, limit=1)
        store.update([settle(job, State.PENDING, fields={"attempt": 0})])
        assert ids(take(store)) == ["a", "b", "c"]

    @one_place
    def test_a_moved_job_is_claimed_where_it_is_now(self, store: Driver) -> None:
        """A change of queue, priority or due time changes which claim takes the job, and when."""
        put(store, *(new_job(name) for name in "abcd"))
        move(store, "a", fields={"queue": "other"})
        move(store, "b", fields={"delay": SECOND})
        move(store, "d", fields={"priority": 1})
        assert ids(take(store)) == ["d", "c"]
        assert ids(take(store, queues=("other",))) == ["a"]

    @one_place
    def test_a_thousand_are_claimed_at_once(self, store: Driver) -> None:
        """One call takes as many jobs as the driver's limits allow."""
        size = min(store.limits.batch, 2_000)
        wanted = [replace(new_job(name), payload=b"p" * 100) for name in names(size + 5)]
        for chunk in chunks(wanted, store.limits.batch):
            store.insert(chunk)
        assert ids(take(store, limit=size)) == names(size)
