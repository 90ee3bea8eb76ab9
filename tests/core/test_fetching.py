"""Jobs taken by hand: reserved, begun and settled by whoever fetched them, and handed back when nobody has them."""

from __future__ import annotations

import gc
import threading
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from core.broken_line import HOLDS, LOSES_ANSWER, BrokenLine
from longshore import Discard, Fetch, FetchedJob, Longshore, Options, Retry, RetryIn, Snooze, State, Task
from longshore.contract import EVERY, UNENDED, Change
from longshore.errors import (
    ConfigurationError,
    IllegalMove,
    InvalidValue,
    JobFailed,
    LeaseLost,
    TooLarge,
    Unavailable,
)
from longshore.holders import KIND, end_lease, rescue
from longshore.memory_store import MemoryStore
from longshore.testing.clock import ManualClock

LONG = 30.0


@pytest.fixture
def app(target: Any, clock: ManualClock) -> Iterator[Longshore]:
    with Longshore(target, clock=clock, max_payload=1_000) as app:
        yield app


@pytest.fixture
def measure(app: Longshore) -> Task[[Path], int]:
    @app.task(retry=Retry(max_attempts=2, delay=60, jitter=0))
    def measure(path: Path) -> int:
        raise AssertionError("it is done by hand")

    return measure


def one(fetch: Fetch) -> FetchedJob:
    (job,) = fetch.take()
    return job


def states(app: Longshore) -> set[State]:
    return {state for state, number in app.counts().items() if number}


def until_pending(app: Longshore) -> None:
    """What is dropped is handed back by a thread."""
    while states(app) != {State.PENDING}:
        pass


def release_is_over(app: Longshore) -> None:
    for thread in threading.enumerate():
        if thread.name == "longshore-fetch":
            thread.join(LONG)
            assert not thread.is_alive()


class TestFetching:
    def test_batches_come_until_nothing_is_left(self, app: Longshore, measure: Any) -> None:
        jobs = [measure.enqueue(Path(str(number))) for number in range(5)]
        sizes, seen = [], []
        for batch in app.fetch(limit=2, wait=0):
            sizes.append(len(batch))
            for job in batch:
                seen.append(job.id)
                job.finish(len(seen))
        assert (sizes, seen) == ([2, 2, 1], [job.id for job in jobs])
        assert [job.result() for job in jobs] == [1, 2, 3, 4, 5]

    def test_a_fetched_job_is_reserved_and_tells_of_itself(self, app: Longshore, measure: Any) -> None:
        stored = measure.options(notes={"a": 1}).enqueue(Path("x/y"))
        with app.fetch() as fetch:
            job = one(fetch)
            assert stored.info().state is State.RESERVED
            assert (job.id, job.task, job.queue, job.attempt, job.max_attempts) == (
                stored.id,
                "measure",
                "default",
                0,
                2,
            )
            assert (job.arguments(), job.notes) == ({"path": Path("x/y")}, {"a": 1})
            assert repr(job) == f"<FetchedJob {stored.id} of measure>"

    def test_arguments_of_an_unknown_task_are_json_values(self, app: Longshore) -> None:
        app.enqueue(app.call_by_name("elsewhere", {"path": "x/y", "n": [1]}))
        with app.fetch() as fetch:
            job = one(fetch)
            assert job.arguments() == {"path": "x/y", "n": [1]}
            job.finish({"done": True})
        assert app.job(job.id).result() == {"done": True}

    def test_only_of_these_queues_and_tasks(self, app: Longshore) -> None:
        places = [(queue, task) for queue in ("a", "b", "c") for task in ("one", "two")]
        app.enqueue_many(app.call_by_name(task, options=Options(queue=queue)) for queue, task in places)
        with app.fetch("a", "b", limit=100, tasks=["one"]) as fetch:
            assert {(job.queue, job.task) for job in fetch.take()} == {("a", "one"), ("b", "one")}
        assert list(app.fetch("nothing here", wait=0)) == []

    @pytest.mark.parametrize("settings", [{"limit": 0}, {"limit": -1}])
    def test_a_limit_below_one_is_refused(self, app: Longshore, settings: dict[str, int]) -> None:
        with pytest.raises(ConfigurationError, match="at least 1"):
            app.fetch(**settings)  # type: ignore[arg-type]

    def test_it_waits_for_a_job_to_come(self, target: Any) -> None:
        with Longshore(target) as app:
            taken: list[list[FetchedJob]] = []
            with app.fetch(wait=LONG) as fetch:
                thread = threading.Thread(target=lambda: taken.append(fetch.take()))
                thread.start()
                job = app.enqueue(app.call_by_name("elsewhere"))
                thread.join(LONG)
                assert [each.id for each in taken[0]] == [job.id]

    def test_nobody_takes_a_job_twice(self, app: Longshore, measure: Any) -> None:
        measure.enqueue(Path("x"))
        with app.fetch() as one_fetch, app.fetch(wait=0) as other:
            assert len(one_fetch.take()) == 1
            assert other.take() == []


class TestSettling:
    @pytest.fixture
    def stored(self, measure: Any) -> Any:
        return measure.enqueue(Path("x"))

    @pytest.fixture
    def job(self, app: Longshore, stored: Any) -> Iterator[FetchedJob]:
        with app.fetch() as fetch:
            yield one(fetch)

    def test_starting_uses_an_attempt(self, job: FetchedJob, stored: Any) -> None:
        job.start()
        info = stored.info()
        assert (info.state, info.attempt, job.attempt) == (State.RUNNING, 1, 1)

    def test_finishing_is_possible_before_and_after_the_start(self, app: Longshore, measure: Any) -> None:
        jobs = [measure.enqueue(Path(name)) for name in "ab"]
        with app.fetch(limit=2) as fetch:
            first, second = fetch.take()
            first.finish(1)
            second.start()
            second.finish(2)
        assert [job.result() for job in jobs] == [1, 2]

    def test_a_result_that_cannot_be_stored_is_refused_and_the_job_stays(self, job: FetchedJob, stored: Any) -> None:
        with pytest.raises(InvalidValue):
            job.finish("no number")
        with pytest.raises(InvalidValue):
            job.finish(object())
        assert stored.info().state is State.RESERVED
        job.finish(5)
        assert stored.result() == 5

    def test_a_result_that_is_too_large_too(self, app: Longshore) -> None:
        app.enqueue(app.call_by_name("elsewhere"))
        with app.fetch() as fetch:
            job = one(fetch)
            with pytest.raises(TooLarge, match="more than the 1,000 allowed"):
                job.finish("x" * 1_000)

    def test_a_failed_attempt_is_kept_and_tried_again_as_the_task_says(
        self, app: Longshore, job: FetchedJob, stored: Any, clock: ManualClock
    ) -> None:
        job.fail("the disk is full")
        info = stored.info()
        assert (info.shown_as, info.attempt, info.error) == ("retrying", 1, "FailedByHand: the disk is full")
        assert info.due - info.created == timedelta(seconds=60)
        clock.advance(60)
        with app.fetch() as fetch:
            again = one(fetch)
            again.start()
            again.fail(OSError("still full"))
        with pytest.raises(JobFailed, match="is failed: OSError: still full"):
            stored.result()

    @pytest.mark.parametrize(
        ("error", "state", "attempt", "seconds"),
        [
            (Discard("of no use"), State.FAILED, 1, 0),
            (RetryIn(5), State.PENDING, 1, 5),
            (Snooze(7), State.PENDING, 0, 7),
        ],
        ids=["discard", "retry in", "snooze"],
    )
    def test_what_a_task_may_raise_means_the_same(
        self, job: FetchedJob, stored: Any, error: Exception, state: State, attempt: int, seconds: int
    ) -> None:
        job.fail(error)
        info = stored.info()
        assert (info.state, info.attempt, info.due - info.created) == (state, attempt, timedelta(seconds=seconds))

    def test_a_job_of_an_unknown_task_is_tried_again_by_the_default_policy(self, app: Longshore) -> None:
        stored = app.enqueue(app.call_by_name("elsewhere"))
        with app.fetch() as fetch:
            one(fetch).fail("no")
        assert stored.info().shown_as == "retrying"

    @pytest.mark.parametrize("started", [True, False])
    def test_releasing_puts_it_back_where_it_was(self, job: FetchedJob, stored: Any, started: bool) -> None:
        if started:
            job.start()
        before = stored.info().due
        job.release()
        info = stored.info()
        assert (info.state, info.attempt, info.due) == (State.PENDING, 0, before)

    @pytest.mark.parametrize("started", [True, False])
    def test_cancelling_ends_it(self, job: FetchedJob, stored: Any, started: bool) -> None:
        if started:
            job.start()
        job.cancel()
        assert stored.info().state is State.CANCELLED

    @pytest.mark.parametrize("settle", [FetchedJob.release, lambda job: job.fail("no")], ids=["release", "fail"])
    def test_what_would_go_on_later_is_cancelled_once_somebody_asked(
        self, app: Longshore, job: FetchedJob, stored: Any, settle: Any
    ) -> None:
        job.start()
        assert job.touch() is True
        app.store.update([Change(job.id, None, {"cancel_asked": True}, UNENDED)])
        assert job.touch() is False
        settle(job)
        assert stored.info().state is State.CANCELLED

    def test_a_job_is_settled_once(self, job: FetchedJob) -> None:
        job.finish(1)
        for settle in (job.finish, job.release, job.cancel, job.touch, lambda: job.fail("no")):
            with pytest.raises(IllegalMove, match="settled once"):
                settle()

    def test_who_waits_for_the_result_is_woken(self, target: Any) -> None:
        with Longshore(target) as app, app.fetch(wait=LONG) as fetch:
            stored = app.enqueue(app.call_by_name("elsewhere"))
            results: list[Any] = []
            thread = threading.Thread(target=lambda: results.append(stored.result(LONG)))
            thread.start()
            while not next(app.store.each(EVERY)).awaited:
                pass
            one(fetch).finish("done")
            thread.join(LONG)
            assert results == ["done"]


class TestBlock:
    def test_it_starts_and_finishes(self, app: Longshore, measure: Any) -> None:
        stored = measure.enqueue(Path("x"))
        with app.fetch() as fetch, one(fetch):
            assert stored.info().state is State.RUNNING
        assert (stored.info().state, stored.result()) == (State.SUCCEEDED, None)

    def test_what_was_settled_inside_stays_so(self, app: Longshore, measure: Any) -> None:
        stored = measure.enqueue(Path("x"))
        with app.fetch() as fetch, one(fetch) as job:
            job.finish(7)
        assert stored.result() == 7

    def test_an_error_fails_it_and_goes_on(self, app: Longshore, measure: Any) -> None:
        stored = measure.enqueue(Path("x"))
        with app.fetch() as fetch, pytest.raises(ZeroDivisionError), one(fetch):
            _ = 1 / 0
        info = stored.info()
        assert (info.shown_as, info.error) == ("retrying", "ZeroDivisionError: division by zero")

    def test_a_keyboard_interrupt_hands_it_back(self, app: Longshore, measure: Any) -> None:
        stored = measure.enqueue(Path("x"))
        with app.fetch() as fetch, pytest.raises(KeyboardInterrupt), one(fetch):
            raise KeyboardInterrupt
        assert (stored.info().state, stored.info().attempt) == (State.PENDING, 0)


class TestHandingBack:
    @pytest.fixture(autouse=True)
    def three(self, app: Longshore, measure: Any) -> None:
        app.enqueue_many(measure.call(Path(str(number))) for number in range(3))

    def test_leaving_the_loop_hands_back_what_is_not_settled(self, app: Longshore) -> None:
        for batch in app.fetch(limit=3):
            batch[0].start()
            break
        assert states(app) == {State.PENDING}
        assert {job.attempt for job in app.store.each(EVERY)} == {0}
        with pytest.raises(LeaseLost, match="not held here any more"):
            batch[1].finish(1)

    def test_leaving_the_block_does_too_and_ends_the_lease(self, app: Longshore) -> None:
        with app.fetch(limit=3) as fetch:
            jobs = fetch.take()
            assert states(app) == {State.RESERVED}
            assert len(app.store.read(KIND)) == 1
        assert states(app) == {State.PENDING}
        assert app.store.read(KIND) == []
        assert len(jobs) == 3

    def test_handles_that_nobody_has_any_more_are_handed_back(self, app: Longshore) -> None:
        with app.fetch(limit=3) as fetch:
            jobs = fetch.take()
            jobs[0].finish(1)
            jobs[1].start()
            del jobs
            gc.collect()
            while states(app) != {State.SUCCEEDED, State.PENDING}:
                pass
            assert app.counts()[State.PENDING] == 2

    def test_a_fetch_that_nobody_has_any_more_hands_back_all(self, app: Longshore) -> None:
        jobs = app.fetch(limit=3).take()
        gc.collect()
        until_pending(app)
        release_is_over(app)
        assert app.store.read(KIND) == []
        with pytest.raises(LeaseLost):
            jobs[0].finish(1)

    def test_what_was_asked_to_be_cancelled_is_not_handed_back(self, app: Longshore) -> None:
        with app.fetch(limit=3) as fetch:
            jobs = fetch.take()
            app.store.update([Change(job.id, None, {"cancel_asked": True}, UNENDED) for job in jobs])
        assert states(app) == {State.CANCELLED}

    def test_no_thread_is_left(self, app: Longshore) -> None:
        with app.fetch(limit=3) as fetch:
            fetch.take()
            assert any(thread.name == "longshore-fetch" for thread in threading.enumerate())
        assert not any(thread.name == "longshore-fetch" for thread in threading.enumerate())


class TestLease:
    def test_the_thread_keeps_it_while_anything_is_held(self, app: Longshore, measure: Any, clock: ManualClock) -> None:
        measure.enqueue(Path("x"))
        with app.fetch(lease=0.04) as fetch:
            job = one(fetch)
            (before,) = app.store.read(KIND)
            while app.store.read(KIND)[0].version == before.version:
                pass
            assert rescue(app.store, before.key, by="another", lease=1) is None
            job.finish(1)

    def test_after_a_rescue_nothing_can_be_settled_and_fetching_goes_on(self, app: Longshore, measure: Any) -> None:
        measure.enqueue(Path("x"))
        with app.fetch() as fetch:
            job = one(fetch)
            (record,) = app.store.read(KIND)
            end_lease(app.store, record.key)
            rescued = rescue(app.store, record.key, by="another", lease=60_000_000)
            assert rescued is not None
            assert rescued.pending == 1
            with pytest.raises(LeaseLost):
                job.touch()
            with pytest.raises(LeaseLost):
                job.finish(1)
            again = one(fetch)
            assert again.id == job.id
            again.finish(2)
        assert app.job(job.id).result() == 2

    def test_what_a_claim_took_whose_answer_was_lost_is_handed_back(self) -> None:
        memory = MemoryStore()
        app = Longshore(memory, patience=0)
        driver = BrokenLine.connect(memory)
        app.enqueue(app.call_by_name("elsewhere"))
        app.store.driver = driver
        with app.fetch() as fetch:
            driver.plan(HOLDS, LOSES_ANSWER)  # The lease, then the claim.
            with pytest.raises(Unavailable):
                fetch.take()
            assert states(app) == {State.RESERVED}
        assert states(app) == {State.PENDING}
