"""What is asked of the store: queues in an order, shares by weight, limits for tasks, and not by everybody at once."""

from __future__ import annotations

import random
from collections import Counter

import pytest
from msgspec.structs import replace

from longshore import Longshore, State
from longshore.contract import Claimed
from longshore.errors import ConfigurationError
from longshore.testing.samples import ANNA
from longshore.worker.berths import Berths
from longshore.worker.claiming import FEW, Claiming
from longshore.worker.runs import Run
from longshore.worker.settings import WorkerSettings
from longshore.worker.term import Term
from worker.faulty import FaultyApp
from worker.gate import PATIENCE, Gate, say, stop

NEVER = 60.0
TASKS = frozenset({"mail", "work"})


@pytest.fixture
def target() -> str:
    """Memory alone: nothing here depends on the store but `claim`, which the kit proves."""
    return "memory://"


def ran_by_one_slot(app: Longshore, calls: dict[str, int], **settings: object) -> list[str]:
    """The queues of the jobs that one slot ran, in order; of each queue so many are there."""
    ran: list[str] = []

    @app.task
    def note(queue: str) -> None:
        ran.append(queue)

    for queue, number in calls.items():
        app.enqueue_many([note.options(queue=queue).call(queue)] * number)
    app.worker(slots=1, prefetch=0, **settings).run(until_empty=True)  # type: ignore[arg-type]
    return ran


def claiming(**settings: object) -> Claiming:
    given = WorkerSettings(**settings)  # type: ignore[arg-type]
    return Claiming(given, lambda: TASKS, Berths(given, Term(given)))


def test_in_strict_order_a_queue_waits_until_those_before_it_are_empty(app: FaultyApp) -> None:
    ran = ran_by_one_slot(app, {"low": 10, "high": 10, "middle": 10}, queues=["high", "middle", "low"], order="strict")
    assert ran == ["high"] * 10 + ["middle"] * 10 + ["low"] * 10


def test_in_strict_order_a_job_that_comes_later_goes_first(app: FaultyApp, gate: Gate) -> None:
    gate.serve(app)
    low = app.task_named("say").options(queue="low", priority=9)
    high = app.task_named("say").options(queue="high")
    with app.worker(slots=1, prefetch=0, poll=NEVER, queues=["high", "low"], order="strict"):
        app.enqueue(app.task_named("stop").options(queue="low").call(word="first"))
        assert gate.arrived() == "first"
        low.enqueue(word="low")
        high.enqueue(word="high")
        gate.open()
        assert [gate.arrived(), gate.arrived()] == ["high", "low"]


def test_by_weight_each_queue_has_its_share_while_there_are_jobs_of_all(app: FaultyApp) -> None:
    ran = ran_by_one_slot(app, {"low": 40, "high": 60}, queues={"high": 3, "low": 1})
    shares = Counter(ran[:40])
    assert shares == {"high": 30, "low": 10}
    assert len(ran) == 100


def test_by_weight_the_share_of_an_empty_queue_goes_to_the_others(app: FaultyApp) -> None:
    assert ran_by_one_slot(app, {"low": 20}, queues={"high": 1000, "low": 1}) == ["low"] * 20


def test_shares_of_many_add_up_and_are_remembered() -> None:
    asked = claiming(queues=("a", "b"), weights={"a": 2, "b": 1})
    taken: Counter[str] = Counter()
    for wanted in (1, 1, 1, 4, 2, 30):
        *shares, rest = asked.claims(wanted)
        assert sum(claim.limit or 0 for claim in shares) == wanted
        assert (rest.queues, rest.limit) == (("a", "b"), None)
        for claim in shares:
            taken[claim.queues[0]] += claim.limit or 0
    assert taken == {"a": 26, "b": 13}


def test_of_a_limited_task_no_more_run_at_a_time_and_the_others_go_on(app: FaultyApp, gate: Gate) -> None:
    gate.serve(app)
    with app.worker(slots=5, poll=NEVER, limits={"stop": 2}):
        held = app.enqueue_many([stop(app, str(number)) for number in range(6)])
        assert {gate.arrived(), gate.arrived()} <= {str(number) for number in range(6)}
        app.enqueue_many([say(app, "other")] * 3)
        assert [gate.arrived() for _ in range(3)] == ["other"] * 3
        assert gate.nobody_arrives(within=0.2)
        assert sum(job.info().state is State.RUNNING for job in held) == 2
        gate.open()
        assert {job.wait(timeout=PATIENCE).state for job in held} == {State.SUCCEEDED}


def test_neither_a_limited_task_nor_the_others_wait_for_ever() -> None:
    asked = claiming(limits={"mail": 1}, slots=10)
    first = Counter(min(asked.claims(5)[0].tasks or ()) for _ in range(200))
    assert set(first) == {"mail", "work"}
    assert [claim.tasks for claim in asked.claims(1)] == [TASKS], "one job of any task is within the limit"


def test_when_every_task_has_what_it_may_there_is_room_for_nothing(app: FaultyApp) -> None:
    asked = claiming(limits={"mail": 1, "work": 1}, slots=5)
    app.enqueue_many([app.call_by_name("mail"), app.call_by_name("work")])
    jobs = app.store.claim(asked.claims(asked.wanted()), holder=ANNA, limit=5).jobs
    runs = [Run(job, 0.0, side=None) for job in jobs]  # type: ignore[arg-type]
    for run in runs:
        assert asked.begins(run)
    assert (len(jobs), asked.wanted()) == (2, 0)
    asked.ends(runs[:1])
    assert asked.wanted() == 4


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"order": "random"}, "order must be merged or strict"),
        ({"queues": ("a", "a")}, "each queue can be named once"),
        ({"queues": ("a",), "weights": {"b": 1}}, "weights must name the worker's queues"),
        ({"queues": ("a",), "weights": {"a": 0}}, "must be at least 1; that of a is 0"),
        ({"limits": {"mail": 0}}, "must be at least 1; that of mail is 0"),
        ({"max_jobs": 0}, "max_jobs must be at least 1"),
    ],
    ids=["order", "twice", "weights", "no weight", "limit", "jobs"],
)
def test_what_makes_no_sense_is_refused(settings: dict[str, object], said: str) -> None:
    with pytest.raises(ConfigurationError, match=said):
        WorkerSettings(**settings)  # type: ignore[arg-type]


def test_more_claims_than_a_store_takes_in_a_call_are_refused_at_the_start(app: FaultyApp) -> None:
    queues = [f"queue {number}" for number in range(17)]
    with pytest.raises(ConfigurationError, match="the store takes 16 in a call, and these are 17"):
        app.worker(queues=queues, order="strict").start()
    app.worker(queues=queues).run(until_empty=True)


def test_slow_and_unknown_tasks_are_not_taken_ahead() -> None:
    berths = Berths(WorkerSettings(slots=2, prefetch=0.1), Term(WorkerSettings()))
    asked = Claiming(WorkerSettings(), lambda: TASKS, berths)
    assert asked.wanted() == 2
    berths.took([("mail", 0.001)])
    assert asked.wanted() == 2 + 200
    berths.took([("work", 0.5)])
    assert asked.is_quick("mail")
    assert not asked.is_quick("work")
    assert not asked.is_quick("unknown")


def test_few_idle_workers_ask_at_once_and_of_many_only_some() -> None:
    random.seed(5)
    asked = claiming()
    asked.answered(Claimed([]), 0.0)
    for crowd, at_once in ((1, 1000), (FEW, 1000), (100, 30)):
        asked.crowd = crowd
        waits = []
        for _ in range(1000):
            asked.answered(Claimed([], next_due=None), 0.0)
            asked.hint()
            waits.append(asked.due_at(0.0))
        assert waits.count(0.0) in range(at_once // 2, at_once * 2 + 1)
        assert max(waits) <= 0.1 + crowd * 0.01


def test_after_a_claim_that_found_fewer_than_were_wanted_what_ends_takes_the_next_along(app: FaultyApp) -> None:
    app.enqueue_many([app.call_by_name("work")] * 2)
    asked = claiming()
    found = app.store.claim(asked.claims(2), holder=ANNA, limit=2)
    asked.answered(found, 0.0)
    assert asked.due_at(0.0) == 0.0, "there may be more"
    asked.claims(3)
    asked.answered(found, 0.0)
    assert asked.due_at(0.0) == pytest.approx(0.005)
    asked.hint()
    assert asked.due_at(0.0) == 0.0
    for cut_off in (replace(found, expired=["a"]), replace(found, passed_over=True)):
        asked.claims(3)
        asked.answered(cut_off, 0.0)
        assert asked.due_at(0.0) == 0.0, "it did not look at everything"


def test_the_claims_of_a_limited_task_take_no_more_than_there_is_room_for(app: FaultyApp) -> None:
    asked = claiming(limits={"mail": 2}, slots=10)
    app.enqueue_many([app.call_by_name("mail")] * 5 + [app.call_by_name("work")] * 5)
    jobs = app.store.claim(asked.claims(10), holder=ANNA, limit=10).jobs
    assert Counter(job.task for job in jobs) == {"mail": 2, "work": 5}


def test_what_others_are_at_is_asked_for_again_soon_then_less_often() -> None:
    asked = claiming(poll=NEVER)
    waits = []
    for _ in range(5):
        asked.answered(Claimed([], passed_over=True), 0.0)
        assert not asked.is_empty
        waits.append(asked.due_at(0.0))
    assert waits == pytest.approx([0.01, 0.02, 0.04, 0.08, 0.16])
    asked.answered(Claimed([]), 0.0)
    assert asked.is_empty
    asked.answered(Claimed([], passed_over=True), 0.0)
    assert asked.due_at(0.0) == pytest.approx(0.01)


def test_the_time_of_a_job_that_is_due_later_is_counted_from_the_claim_and_not_from_its_answer() -> None:
    asked = claiming(poll=NEVER)
    asked.claims(1, 10.0)
    asked.answered(Claimed([], next_due=500_000), 10.2)
    assert asked.due_at(10.2) == pytest.approx(10.5), "the store looked at its clock soon after it was asked"
    asked.claims(1, 10.5)
    asked.answered(Claimed([], next_due=100), 10.7)
    assert asked.due_at(10.7) <= 10.7, "it is due already by now"
