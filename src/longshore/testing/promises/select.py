"""What `select` and `count` promise."""

from __future__ import annotations

import pytest
from msgspec.structs import fields, replace

from longshore import reference
from longshore.contract import EVERY, SECOND, By, Driver, Order, State, Where
from longshore.testing.clock import ManualClock
from longshore.testing.fixtures import StoreFixtures, one_place
from longshore.testing.samples import (
    ANNA,
    BERT,
    QUEUE,
    TASK,
    ids,
    move,
    names,
    new_job,
    put,
    run,
    settle,
    start,
    stored,
    walk,
)

ASKED: list[Where] = [
    EVERY,
    Where(ids=["waiting", "nobody", "b"]),
    Where(queues=["other", "none"]),
    Where(tasks=["render", "none"]),
    Where(states=[State.PENDING, State.SUCCEEDED]),
    Where(holder=ANNA),
    Where(groups=["g"]),
    Where(parents=["p", "q"]),
    Where(keys=["k"]),
    Where(unique_key="u"),
    Where(notes={"who": "anna"}),
    Where(notes={"who": "anna", "n": 1}),
    Where(notes={"n": True}),
    Where(releases=True),
    Where(releases=False, states=[State.CANCELLED]),
    Where(keys=["k", "none"], groups=["g"]),
    Where(groups=["h", "g"]),
    Where(due=0),
    Where(due=2 * SECOND),
    Where(expired=0),
    Where(expired=SECOND),
    Where(ended=0),
    Where(ended=SECOND),
    Where(changed=0),
    Where(changed=SECOND),
    Where(queues=[QUEUE], states=[State.PENDING], due=0),
    Where(states=[State.RUNNING], holder=BERT),
    Where(groups=["g"], tasks=["render"], queues=["other"]),
    Where(ids=[]),
    Where(states=[]),
    Where(queues=[]),
    Where(notes={}),
]


def name_of(where: Where) -> str:
    """What is asked for, as the name of a test."""
    asked = [(field.name, getattr(where, field.name)) for field in fields(Where)]
    words = [f"{name}-{value}" for name, value in asked if value is not None]
    return "-".join(words).replace("/", "") or "every"


def fill(store: Driver, clock: ManualClock) -> None:
    """Stores jobs that differ in all that can be asked for."""
    put(store, new_job("a", notes={"who": "anna", "n": 1}), new_job("b", group="g", expires_in=SECOND))
    clock.advance(1)
    put(store, new_job("waiting", parents=("p",), waiting=True), new_job("c", queue="other", task="render", group="g"))
    put(
        store,
        new_job("d", key="k", unique_key="u", notes={"who": "anna", "n": True}),
        new_job("e", key="k", parents=("q", "p")),
    )
    clock.advance(1)
    put(store, new_job("later", delay=SECOND), new_job("bert's"), new_job("anna's"), new_job("done", queue="other"))
    start(store, "bert's", holder=BERT)
    start(store, "anna's", reserve=True)
    store.update([settle(start(store, "done"), fields={"result": b"r"})])
    clock.advance(1.5)
    put(store, new_job("new", notes={"who": "bert"}))
    move(store, "c", State.CANCELLED)


class SelectPromises(StoreFixtures):
    """Questions."""

    @one_place
    def test_the_first_of_each_key_or_group(self, store: Driver, clock: ManualClock) -> None:
        """`each`: of each of the keys, or else of each of the groups, at most so many, the first in this order."""
        put(store, *(new_job(f"{key}{n}", key=key, group=f"group {key}") for n in range(3) for key in "kl"))
        clock.advance(1_000)
        put(store, new_job("alone", key="m"), new_job("other", key="n"))
        where = Where(keys=["k", "l", "m", "none"])
        assert ids(store.select(where, order=Order.OLDEST, each=1).jobs) == ["k0", "l0", "alone"]
        assert ids(store.select(where, order=Order.NEWEST, each=2).jobs) == ["alone", "l2", "k2", "l1", "k1"]
        assert ids(store.select(Where(groups=["group k"]), order=Order.OLDEST, each=2).jobs) == ["k0", "k1"]
        waiting = Where(keys=["k", "l"], states=[State.WAITING])
        assert ids(store.select(waiting, order=Order.OLDEST, each=1).jobs) == ["k1", "l1"]

    @pytest.mark.parametrize("where", ASKED, ids=name_of)
    @one_place
    def test_every_question_is_answered_as_matches_says(self, store: Driver, clock: ManualClock, where: Where) -> None:
        """`select` finds the jobs that `longshore.reference.matches` names, all that is given taken together."""
        fill(store, clock)
        wanted = [job.id for job in walk(store) if reference.matches(job, where, clock())]
        assert ids(walk(store, where)) == wanted
        assert ids(walk(store, where, order=Order.NEWEST, limit=2)) == wanted[::-1]

    @one_place
    def test_jobs_are_ordered_by_their_age(self, store: Driver, clock: ManualClock) -> None:
        """Jobs come newest first, or oldest first, by the time they were created, then by the bytes of their ids."""
        for name in ("m", "z", "a"):
            put(store, new_job(name))
            put(store, new_job(name.upper()))
            clock.advance(1)
        assert ids(walk(store)) == ["M", "m", "Z", "z", "A", "a"]
        assert ids(store.select(EVERY).jobs) == ["a", "A", "z", "Z", "m", "M"]

    @pytest.mark.parametrize("order", list(Order))
    def test_pages_give_every_job_once(self, store: Driver, clock: ManualClock, order: Order) -> None:
        """Page by page each job comes exactly once, in order, though jobs are added, changed and removed meanwhile."""
        for name in names(23):
            put(store, new_job(name))
            clock.advance(0 if name.endswith(("3", "4", "7")) else 1)
        found: list[str] = []
        after = None
        for number in range(40):
            page = store.select(EVERY, order=order, limit=4, after=after)
            found += [job.id for job in page.jobs if job.id in names(23)]
            if page.jobs:
                store.delete(Where(ids=[page.jobs[-1].id]))
                put(store, new_job(f"between {number}"))
                clock.advance(1)
            after = page.after
            if after is None:
                break
        wanted = list(names(23))
        assert found == (wanted if order is Order.OLDEST else wanted[::-1]), "pages repeat or skip jobs"

    @one_place
    def test_the_last_page_says_so(self, store: Driver) -> None:
        """A walk through the pages ends, also where there is nothing."""
        assert walk(store) == []
        put(store, *(new_job(name) for name in names(4)))
        assert ids(walk(store, limit=2)) == names(4)
        assert ids(walk(store, Where(queues=["none"]), limit=2)) == []

    @one_place
    def test_bodies_are_left_out_when_not_wanted(self, store: Driver) -> None:
        """Without ``body`` a job comes with an empty payload, no cursor, result or attempts; all else is there."""
        job = run(store, "a", payload=b"large", notes={"n": 1}, parents=("p",))
        store.update([settle(job, fields={"result": b"r", "cursor": b"c", "attempt_record": b"t"})])
        whole = stored(store, "a")
        (bare,) = store.select(EVERY, body=False).jobs
        assert (whole.payload, whole.result, whole.cursor, whole.attempts) == (b"large", b"r", b"c", (b"t",))
        without = replace(whole, payload=b"", cursor=None, result=None, attempts=())
        assert bare == without, "expected a job without what nobody wanted"

    def test_a_holder_is_current(self, store: Driver) -> None:
        """What a holder holds is known from the very claim on to the very end."""
        job = run(store, "a")
        assert ids(store.select(Where(holder=ANNA), body=False).jobs) == ["a"]
        store.update([settle(job)])
        assert ids(store.select(Where(holder=ANNA), body=False).jobs) == []

    @pytest.fixture
    def counted(self, store: Driver, clock: ManualClock) -> Driver:
        """A store with jobs to count."""
        fill(store, clock)
        return store

    @one_place
    def test_jobs_are_counted_by_queue_and_state(self, counted: Driver) -> None:
        """`count` by queue and state is exact, and leaves zeros out."""
        assert counted.count(By.QUEUE_STATE) == {
            (QUEUE, State.WAITING): 2,
            (QUEUE, State.PENDING): 5,
            (QUEUE, State.RESERVED): 1,
            (QUEUE, State.RUNNING): 1,
            ("other", State.SUCCEEDED): 1,
            ("other", State.CANCELLED): 1,
        }

    @one_place
    def test_jobs_are_counted_by_task(self, counted: Driver) -> None:
        """`count` by queue, task and state is exact."""
        found = counted.count(By.QUEUE_TASK_STATE, Where(states=[State.PENDING, State.CANCELLED]))
        assert found == {(QUEUE, TASK, State.PENDING): 5, ("other", "render", State.CANCELLED): 1}

    @one_place
    def test_jobs_are_counted_by_holder(self, counted: Driver) -> None:
        """`count` by holder counts held jobs, and only these."""
        assert counted.count(By.HOLDER) == {(ANNA,): 1, (BERT,): 1}, "expected only held jobs to be counted"
        assert counted.count(By.HOLDER, Where(holder=ANNA)) == {(ANNA,): 1}
        assert counted.count(By.HOLDER, Where(states=[State.SUCCEEDED])) == {}

    @one_place
    def test_jobs_are_counted_by_group(self, counted: Driver) -> None:
        """`count` by group counts jobs that have one."""
        assert counted.count(By.GROUP_STATE) == {("g", State.PENDING): 1, ("g", State.CANCELLED): 1}
        assert counted.count(By.GROUP_STATE, Where(groups=["none"])) == {}

    @one_place
    def test_a_count_can_be_narrowed(self, counted: Driver) -> None:
        """`count` counts only jobs that ``where`` asks for."""
        assert counted.count(By.QUEUE_STATE, Where(queues=["other"], states=[State.CANCELLED])) == {
            ("other", State.CANCELLED): 1
        }
        assert counted.count(By.QUEUE_STATE, Where(tasks=["render"])) == {("other", State.CANCELLED): 1}
        assert counted.count(By.GROUP_STATE, Where(groups=["g"], queues=[QUEUE])) == {("g", State.PENDING): 1}

    def test_counts_follow_the_jobs(self, store: Driver) -> None:
        """Counts are right after claims, ends, retries and removals."""
        put(store, *(new_job(name, group="g") for name in "abcd"))
        job = start(store, "a")
        start(store, "b")
        store.update([settle(job)])
        move(store, "c", fields={"queue": "other"})
        store.delete(Where(ids=["d"]))
        assert store.count(By.QUEUE_STATE) == {
            (QUEUE, State.SUCCEEDED): 1,
            (QUEUE, State.RUNNING): 1,
            ("other", State.PENDING): 1,
        }
        assert store.count(By.HOLDER) == {(ANNA,): 1}
        store.delete(EVERY)
        assert store.count(By.GROUP_STATE) == {("g", State.RUNNING): 1}
