"""What lazy lanes, promotion and bounded steps mean for claims."""

from __future__ import annotations

from typing import Any

import pytest

from longshore.contract import Change, Claim, NewJob, State
from longshore.testing import ManualClock
from longshore_sql.claiming import DUE_LOOKED_AT, EXPIRED_PER_CALL, PASSED_PER_CALL, PROMOTED_PER_CALL
from longshore_sql.schema import Lane
from longshore_sql.sqlite.driver import SQLiteDriver

SECOND = 1_000_000


def put(store: SQLiteDriver, name: str, number: int, **fields: Any) -> None:
    queue = fields.pop("queue", "queue")
    jobs = [NewJob(f"{name}-{n:05d}", queue, name, b"", **fields) for n in range(number)]
    for start in range(0, number, 1_000):
        store.insert(jobs[start : start + 1_000])


def take(store: SQLiteDriver, *tasks: str, limit: int = 10, **claim: Any) -> list[str]:
    wanted = Claim(("queue",), frozenset(tasks) if tasks else None, **claim)
    return [job.id for job in store.claim([wanted], holder="holder", limit=limit).jobs]


def lanes(store: SQLiteDriver) -> dict[str, int]:
    with store._source.reader() as connection:
        rows = connection.execute("SELECT lane, count(*) FROM longshore_job GROUP BY lane").fetchall()
    return {Lane(lane).name: number for lane, number in rows}


def test_jobs_of_other_tasks_are_put_aside_once(store: SQLiteDriver) -> None:
    put(store, "other", 50, priority=1)
    put(store, "mine", 5)
    assert take(store, "mine", limit=3) == ["mine-00000", "mine-00001", "mine-00002"]
    assert lanes(store) == {"ASIDE": 50, "READY": 2, "NONE": 3}
    assert take(store, "mine", limit=3) == ["mine-00003", "mine-00004"]


def test_only_what_stands_in_the_way_is_put_aside(store: SQLiteDriver) -> None:
    put(store, "mine", 3, priority=1)
    put(store, "other", 50)
    assert len(take(store, "mine", limit=3)) == 3
    assert lanes(store) == {"READY": 50, "NONE": 3}


def test_what_stands_aside_comes_in_its_old_order(store: SQLiteDriver) -> None:
    store.insert([NewJob(f"{n:02d}", "queue", f"task-{n % 3}", b"", priority=-n // 4) for n in range(24)])
    assert take(store, "none") == []
    assert lanes(store) == {"ASIDE": 24}
    put(store, "task-0", 2, priority=2)
    assert take(store, "task-0", "task-1", limit=6) == ["task-0-00000", "task-0-00001", "00", "01", "03", "04"]
    assert take(store, limit=4) == ["02", "05", "06", "07"]


def test_a_lane_of_another_queue_is_not_looked_at(store: SQLiteDriver) -> None:
    put(store, "mine", 3, queue="elsewhere")
    store.claim([Claim(("elsewhere",), frozenset({"none"}))], holder="holder", limit=1)
    assert lanes(store) == {"ASIDE": 3}
    assert take(store, "mine") == []
    assert len(store.claim([Claim(("queue", "elsewhere"))], holder="holder", limit=5).jobs) == 3


def test_the_least_priority_holds_for_what_stands_aside(store: SQLiteDriver) -> None:
    store.insert([NewJob(f"{n}", "queue", "mine", b"", priority=n) for n in range(6)])
    assert take(store, "none") == []
    assert take(store, "mine", min_priority=4) == ["5", "4"]


def test_a_job_handed_back_is_in_nobodys_way(store: SQLiteDriver) -> None:
    put(store, "mine", 2)
    assert take(store, "none") == []
    (job,) = store.claim([Claim(("queue",))], holder="holder", limit=1).jobs
    store.update([Change(job.id, State.PENDING, {}, None, job.generation, "holder", settles=True)])
    assert lanes(store) == {"ASIDE": 1, "READY": 1}
    assert take(store, "mine") == ["mine-00000", "mine-00001"]


def test_a_call_that_passed_over_enough_asks_to_be_called_again(store: SQLiteDriver) -> None:
    put(store, "other", PASSED_PER_CALL + 500, priority=1)
    put(store, "mine", 1)
    claim = Claim(("queue",), frozenset({"mine"}))
    first = store.claim([claim], holder="holder", limit=10)
    assert (first.jobs, first.next_due) == ([], 0)
    assert lanes(store)["ASIDE"] == PASSED_PER_CALL
    second = store.claim([claim], holder="holder", limit=10)
    assert [job.id for job in second.jobs] == ["mine-00000"]


def test_a_call_that_promoted_enough_asks_to_be_called_again(store: SQLiteDriver, clock: ManualClock) -> None:
    put(store, "other", PROMOTED_PER_CALL + 10, delay=SECOND)
    put(store, "mine", 1, delay=2 * SECOND)
    clock.advance(3 * SECOND)
    claim = Claim(("queue",), frozenset({"mine"}))
    first = store.claim([claim], holder="holder", limit=10)
    assert (first.jobs, first.next_due) == ([], 0)
    assert lanes(store) == {"ASIDE": PROMOTED_PER_CALL, "FUTURE": 11}
    assert take(store, "mine") == ["mine-00000"]


def test_a_call_that_expired_enough_asks_to_be_called_again(store: SQLiteDriver, clock: ManualClock) -> None:
    put(store, "short", EXPIRED_PER_CALL + 1, expires_in=SECOND)
    put(store, "long", 1, priority=-1)
    clock.advance(SECOND)
    first = store.claim([Claim(("queue",))], holder="holder", limit=10)
    assert (len(first.expired), first.jobs, first.next_due) == (EXPIRED_PER_CALL, [], 0)
    second = store.claim([Claim(("queue",))], holder="holder", limit=10)
    assert (len(second.expired), [job.id for job in second.jobs]) == (1, ["long-00000"])


def test_behind_many_due_jobs_of_other_queues_the_answer_is_early_but_never_late(
    store: SQLiteDriver, clock: ManualClock
) -> None:
    put(store, "other", DUE_LOOKED_AT, queue="elsewhere", delay=SECOND)
    put(store, "mine", 1, delay=5 * SECOND)
    answer = store.claim([Claim(("queue",))], holder="holder", limit=1)
    assert answer.next_due == SECOND
    put(store, "sooner", 1, delay=SECOND // 2)
    assert store.claim([Claim(("queue",))], holder="holder", limit=1).next_due == SECOND // 2


@pytest.mark.parametrize("number_of_queues", [2, 20])
def test_many_queues_cost_no_more_than_their_heads(store: SQLiteDriver, number_of_queues: int) -> None:
    queues = tuple(f"queue-{n}" for n in range(number_of_queues))
    store.insert([NewJob(f"{n:04d}", queues[n % number_of_queues], "mine", b"") for n in range(1_000)])
    assert store.examined() == 0
    assert len(store.claim([Claim(queues)], holder="holder", limit=10).jobs) == 10
    small = store.examined()
    for start in range(1_000, 11_000, 1_000):
        numbers = range(start, start + 1_000)
        store.insert([NewJob(f"{n:05d}", queues[n % number_of_queues], "mine", b"", priority=-1) for n in numbers])
    before = store.examined()
    assert small is not None
    assert before is not None
    assert len(store.claim([Claim(queues)], holder="holder", limit=10).jobs) == 10
    assert (store.examined() or 0) - before < 2 * small
