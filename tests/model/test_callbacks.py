"""Calls at a job's end: jobs of their own, stored with it, made once by its first end."""

from __future__ import annotations

import pytest

from longshore import Context, Job, Longshore, Retry, State
from longshore.calls.unique import Unique
from longshore.contract import Change, NewJob, Where
from longshore.errors import InvalidValue, UniqueConflict
from longshore.following.follower import mend
from longshore.following.sweep import sweep
from longshore.testing.clock import ManualClock

pytestmark = pytest.mark.every_engine


class Pier:
    """A task that succeeds or fails, and one that notes by what end it was called."""

    def __init__(self, app: Longshore) -> None:
        self.app = app
        self.log: list[str] = []

        @app.task(retry=Retry(max_attempts=1))
        def load(failing: bool = False) -> str:
            if failing:
                raise ValueError("sunk")
            return "cargo"

        @app.task
        def note(context: Context, word: str) -> None:
            (parent,) = context.parents()
            assert parent.state is not None
            self.log.append(f"{word}: {parent.state.name.lower()} {parent.result or parent.error}")

        self.load, self.note = load, note

    def enqueue(self, failing: bool = False, **options: object) -> Job[str]:
        calls = {name: self.note.call(name) for name in ("on_success", "on_failure", "on_end")}
        return self.load.options(**calls, **options).enqueue(failing)  # type: ignore[arg-type]

    def work(self) -> None:
        self.app.worker(slots=1).run(until_empty=True)

    def stored(self) -> set[str]:
        return {job.id.partition(":")[2] for job in self.app.store.select(Where(tasks=["note"])).jobs}


@pytest.fixture
def pier(app: Longshore) -> Pier:
    return Pier(app)


def test_success_calls_its_own_and_the_end_s(pier: Pier) -> None:
    pier.enqueue()
    pier.work()
    assert sorted(pier.log) == ["on_end: succeeded cargo", "on_success: succeeded cargo"]
    assert pier.stored() == {"on_success", "on_end"}, "what was not called has never been"


def test_failure_calls_its_own_and_the_end_s(pier: Pier) -> None:
    pier.enqueue(failing=True)
    pier.work()
    assert sorted(pier.log) == ["on_end: failed ValueError: sunk", "on_failure: failed ValueError: sunk"]
    assert pier.stored() == {"on_failure", "on_end"}


def test_an_end_by_an_operator_is_a_failure(pier: Pier) -> None:
    job = pier.enqueue(delay=600)
    pier.app.admin.cancel(job.id)
    pier.work()
    assert sorted(pier.log) == ["on_end: cancelled None", "on_failure: cancelled None"]


def test_an_end_that_no_process_made_calls_too(timed: Longshore, clock: ManualClock) -> None:
    pier = Pier(timed)
    pier.enqueue(expires=10)
    clock.advance(10)
    pier.work()
    assert sorted(pier.log) == ["on_end: expired None", "on_failure: expired None"]


def test_they_wait_for_the_last_attempt(timed: Longshore, clock: ManualClock) -> None:
    runs: list[int] = []

    @timed.task(retry=Retry(max_attempts=2, delay=30.0))
    def load(context: Context) -> None:
        runs.append(context.attempt)
        if context.attempt == 1:
            raise ValueError

    pier_log: list[str] = []

    @timed.task
    def note(word: str) -> None:
        pier_log.append(word)

    load.options(on_end=note.call("end")).enqueue()
    timed.worker().run(until_empty=True)
    assert (runs, pier_log) == ([1], [])
    clock.advance(60)
    timed.worker().run(until_empty=True)
    assert (runs, pier_log) == ([1, 2], ["end"])


def test_they_are_made_by_the_first_end_alone(pier: Pier) -> None:
    job = pier.enqueue(failing=True)
    pier.work()
    pier.app.admin.retry(job.id)
    pier.work()
    assert len(pier.log) == 2


def test_a_call_may_have_calls_at_its_own_end(pier: Pier) -> None:
    last = pier.load.options(on_end=pier.note.call("the end of the end"))
    pier.load.options(on_success=last.call(), on_failure=last.call()).enqueue()
    pier.work()
    assert pier.log == ["the end of the end: succeeded cargo"]
    assert pier.stored() == {"on_success:on_end"}, "what is not called takes along what would follow it"


def test_enqueuing_again_under_the_same_id_calls_once(pier: Pier) -> None:
    for _ in range(2):
        pier.enqueue(id="mine")
        pier.work()
    assert sorted(pier.log) == ["on_end: succeeded cargo", "on_success: succeeded cargo"]


def test_a_call_that_stores_nothing_leaves_none_of_its_calls(pier: Pier) -> None:
    holder = pier.load.options(unique=Unique(key="k"), delay=60).enqueue()
    assert pier.enqueue(unique=Unique(key="k")) == holder
    assert pier.stored() == set()
    with pytest.raises(UniqueConflict):
        pier.enqueue(unique=Unique(key="k", if_held="raise"))
    assert pier.stored() == set()


def test_ids_that_are_long_are_made_shorter(pier: Pier) -> None:
    pier.enqueue(id="x" * 200)
    pier.work()
    assert len(pier.log) == 2


@pytest.mark.parametrize("option", [{"id": "x"}, {"after": "x"}, {"key": "x"}, {"unique": Unique()}])
def test_options_that_make_no_sense_there_are_refused(pier: Pier, option: dict[str, str]) -> None:
    then = pier.note.options(**option).call("x")  # type: ignore[arg-type]
    with pytest.raises(InvalidValue, match=r"on_end of .* waits for this one job alone"):
        pier.load.options(on_end=then).enqueue()
    assert pier.app.store.select().jobs == []


class TestCrashes:
    def test_the_end_was_made_and_nobody_called(self, timed: Longshore, clock: ManualClock) -> None:
        pier = Pier(timed)
        job = pier.enqueue()
        timed.store.update([Change(job.id, State.SUCCEEDED)])
        clock.advance(1)
        mend(timed.store)
        pier.work()
        assert sorted(pier.log) == ["on_end: succeeded None", "on_success: succeeded None"]
        assert pier.stored() == {"on_success", "on_end"}

    def test_calls_were_stored_and_their_job_was_not(self, timed: Longshore, clock: ManualClock) -> None:
        """The producer died between two chunks, or another held the unique key of the job."""
        pier = Pier(timed)
        job = pier.enqueue()
        timed.store.delete(Where(ids=[job.id]))
        sweep(timed.store)
        assert pier.stored() == {"on_success", "on_failure", "on_end"}, "their job may be about to come"
        clock.advance(61)
        sweep(timed.store)
        assert pier.stored() == set()

    def test_a_job_that_is_removed_before_it_ran_takes_its_calls_along(self, pier: Pier) -> None:
        job = pier.enqueue()
        pier.app.admin.remove(job.id)
        assert pier.stored() == set()

    def test_calls_are_stored_before_their_job(self, pier: Pier) -> None:
        """So whoever ends it sees them: nobody can be faster than its insert."""
        inserted: list[str] = []
        insert = pier.app.store.driver.insert

        def noted(jobs: list[NewJob], **rest: object) -> object:
            inserted.extend(job.id for job in jobs)
            return insert(jobs, **rest)

        pier.app.store.driver.insert = noted  # type: ignore[method-assign,assignment]
        job = pier.enqueue()
        assert inserted == [f"{job.id}:{name}" for name in ("on_success", "on_failure", "on_end")] + [job.id]
