"""What older job queues promised and did otherwise, or did wrong for a while, is right here, on every store.

`DEFECTS` names for each the tests that show it; those that have no other place stand in this file.
"""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import Any, Final, NamedTuple

import pytest

from longshore import Context, LinearThenExponential, Longshore, Options, Retry, State, Unique
from longshore.contract import Change, Claim, Outcome, StoredJob
from longshore.errors import IdConflict, InvalidValue
from longshore.testing.clock import ManualClock
from longshore.worker.settings import WorkerSettings

REPOSITORY = Path(__file__).parents[2]
HERE: Final = "tests/model/test_old_defects.py::"


class Defect(NamedTuple):
    """Whose it was, what was wrong, and the tests that show that it is not here."""

    system: str
    what: str
    tests: tuple[str, ...]


DEFECTS: Final = (
    Defect(
        "DBIx::TaskQueue",
        "a setting that nobody reads: so many running on one machine",
        (
            f"{HERE}test_every_setting_of_a_worker_is_read",
            "tests/model/test_limits.py::test_never_more_than_allowed_under_four_processes_one_of_which_is_killed",
        ),
    ),
    Defect(
        "DBIx::TaskQueue",
        "fetching is said to block until there is something, and comes back with nothing",
        ("tests/core/test_fetching.py::TestFetching::test_it_waits_for_a_job_to_come",),
    ),
    Defect(
        "DBIx::TaskQueue",
        "delays are said to grow linearly five times and then exponentially, and grow linearly for ever",
        (f"{HERE}test_delays_grow_linearly_five_times_and_then_double",),
    ),
    Defect(
        "DBIx::TaskQueue",
        "a purge is said to abandon what has not ended, and cancels what nobody runs",
        (f"{HERE}test_a_purge_abandons_all_that_has_not_ended_and_nothing_of_other_queues",),
    ),
    Defect(
        "Qudo",
        "a store that is away is said to be tried again, and loses what was to be said to it",
        (
            "tests/worker/test_faults.py::test_an_outage_shorter_than_the_lease_costs_nothing_but_time",
            "tests/worker/test_faults.py::test_an_outage_longer_than_the_lease_interrupts_the_runs_and_rescues_nobody",
        ),
    ),
    Defect(
        "Qudo",
        "of several databases one that is away is said to be skipped and tried again, and is only in part",
        (
            "tests/multi/test_spreading.py::TestWhileOneIsAway::test_new_jobs_go_elsewhere",
            "tests/multi/test_spreading.py::TestWhileOneIsAway::test_it_rests_and_is_asked_again",
            "tests/multi/test_spreading.py::TestWhileOneIsAway::test_claims_go_on_and_fail_only_when_nobody_answers",
            "tests/multi/test_spreading.py::TestWhenNobodyKnows::test_the_job_is_never_given_to_another",
        ),
    ),
    Defect(
        "Qudo",
        "a job that has put others in its place runs again after a crash, and puts them there twice",
        (
            "tests/model/test_replacing.py::TestCrashes::test_killed_at_each_point_every_job_is_there_once",
            "tests/model/test_replacing.py::TestCrashes::test_jobs_that_were_stored_before_the_old_one_ended_are_not_stored_again",
        ),
    ),
    Defect(
        "Qudo",
        "hooks of one point run in the order of a hash",
        (
            "tests/core/test_hooks_of_calls.py::test_every_way_to_enqueue_goes_past_them_in_order",
            "tests/worker/test_hooks_of_runs.py::test_they_run_around_each_run_in_order",
        ),
    ),
    Defect(
        "Distributed::Tasks::Queue",
        "an id keeps a second job out only until the first is taken",
        (
            f"{HERE}test_an_id_keeps_a_second_job_out_while_the_first_runs_and_after_its_end",
            f"{HERE}test_a_unique_key_keeps_a_second_job_out_while_the_first_runs",
        ),
    ),
    Defect(
        "Distributed::Tasks::Queue",
        "a job of a task that a worker does not know is lost",
        (
            "tests/worker/test_runs.py::test_an_unknown_task_stays_pending_until_somebody_knows_it",
            f"{HERE}test_a_job_of_an_unknown_task_is_shown_to_operators",
        ),
    ),
    Defect(
        "Job::Machine",
        "a job that is to run later runs at once, and one that is due never",
        (f"{HERE}test_a_job_runs_when_it_is_due_and_not_before",),
    ),
    Defect(
        "Job::Machine",
        "one condition of the claim's query undoes the others, so that jobs of other queues are taken",
        (f"{HERE}test_all_conditions_of_a_claim_hold_together",),
    ),
    Defect(
        "Minion",
        "a wait of less than the time between two looks sleeps for a negative time",
        (f"{HERE}test_any_wait_ends_however_short",),
    ),
    Defect(
        "Minion",
        "an end is stored whoever sends it",
        (f"{HERE}test_only_the_run_that_is_on_can_end_a_job",),
    ),
    Defect(
        "Minion",
        "a job that was retried while it ran is finished by its old run",
        (
            f"{HERE}test_a_retried_job_is_not_ended_by_its_old_run",
            "tests/worker/test_admin.py::test_a_job_retried_while_it_runs_runs_again_and_its_old_run_is_void",
        ),
    ),
    Defect("Minion", "retries by hand use up attempts", (f"{HERE}test_retries_by_hand_use_up_no_attempts",)),
    Defect(
        "Minion",
        "jobs of the same second run in any order",
        (f"{HERE}test_jobs_of_the_same_instant_run_in_the_order_of_enqueuing",),
    ),
    Defect(
        "Minion",
        "a job that waits for its parents for long is declared stuck, and fails",
        ("tests/model/test_parents.py::TestOrder::test_waiting_for_parents_is_not_being_stuck",),
    ),
    Defect(
        "Minion",
        "on SQLite notes cannot be asked for, nor have names with dots or brackets",
        (f"{HERE}test_notes_of_any_name_are_kept_and_asked_for",),
    ),
)


@pytest.mark.parametrize("named", [test for defect in DEFECTS for test in defect.tests])
def test_each_defect_has_a_test_that_is_there(named: str) -> None:
    path, *inner = named.split("::")
    within: Any = ast.parse((REPOSITORY / path).read_text())
    for name in inner:
        found = [each for each in within.body if getattr(each, "name", None) == name]
        assert found, f"{name} is not in {path}: name the test that shows it now"
        within = found[0]
    assert isinstance(within, ast.FunctionDef)


def test_each_test_here_shows_a_defect() -> None:
    named = {test.removeprefix(HERE) for defect in DEFECTS for test in defect.tests}
    own = {name for name in globals() if name.startswith("test_") and not name.startswith("test_each_")}
    assert own <= named


def test_every_setting_of_a_worker_is_read() -> None:
    sources = [path for path in REPOSITORY.glob("src/longshore/**/*.py") if path.name != "settings.py"]
    code = "\n".join(path.read_text() for path in sources)
    read = set(re.findall(r"settings\.(\w+)", code))
    assert read >= set(WorkerSettings.__struct_fields__)


def test_delays_grow_linearly_five_times_and_then_double(timed: Longshore, clock: ManualClock) -> None:
    @timed.task(retry=Retry(max_attempts=9, delay=LinearThenExponential(60), jitter=0))
    def fail() -> None:
        raise OSError

    job = fail.enqueue()
    delays: list[float] = []
    timed.worker().run(until_empty=True)
    while (info := job.info()).state is State.PENDING:
        delays.append(info.due.timestamp() - clock() / 1e6)
        clock.advance(delays[-1])
        timed.worker().run(until_empty=True)
    assert (info.state, info.attempt) == (State.FAILED, 9)
    assert delays == pytest.approx([60, 120, 180, 240, 480, 960, 1_920]), "the first retry is at once"


def test_a_purge_abandons_all_that_has_not_ended_and_nothing_of_other_queues(app: Longshore) -> None:
    def enqueue(identity: str, **options: Any) -> None:
        app.enqueue(app.call_by_name("stow", options=Options(id=identity, **options)))

    for identity in ("pending", "reserved", "running", "ended", "fresh"):
        enqueue(identity)
    enqueue("elsewhere", queue="far")
    enqueue("later", delay=600)
    take(app, "reserved", reserve=True)
    take(app, "running")
    app.store.update([Change("ended", State.SUCCEEDED)])
    assert app.admin.purge(queues="default") == 5
    left = {job.id: job.state for job in app.admin.every() if job.state is not State.ABANDONED}
    assert left == {"elsewhere": State.PENDING, "ended": State.SUCCEEDED}


def test_an_id_keeps_a_second_job_out_while_the_first_runs_and_after_its_end(app: Longshore) -> None:
    ran: list[int] = []

    @app.task
    def stow(number: int) -> None:
        ran.append(number)
        if len(ran) == 1:
            stow.options(id="mine").enqueue(1)
            with pytest.raises(IdConflict):
                stow.options(id="mine").enqueue(2)

    for _ in range(3):
        assert stow.options(id="mine").enqueue(1).id == "mine"
        app.worker().run(until_empty=True)
    assert ran == [1]


def test_a_unique_key_keeps_a_second_job_out_while_the_first_runs(app: Longshore) -> None:
    ran: list[str] = []

    @app.task(unique=Unique())
    def stow(context: Context) -> None:
        ran.append(context.job_id)
        assert stow.enqueue().id == context.job_id

    first = stow.enqueue()
    app.worker().run(until_empty=True)
    assert first.info().state is State.SUCCEEDED
    assert ran == [first.id]


def test_a_job_of_an_unknown_task_is_shown_to_operators(app: Longshore) -> None:
    job = app.enqueue(app.call_by_name("unheard_of"))
    app.worker().run(until_empty=True)
    assert [(each.task, each.jobs, each.known) for each in app.admin.unserved()] == [("unheard_of", 1, False)]
    assert job.info().state is State.PENDING


def test_a_job_runs_when_it_is_due_and_not_before(timed: Longshore, clock: ManualClock) -> None:
    ran: list[str] = []

    @timed.task
    def stow(word: str) -> None:
        ran.append(word)

    stow.options(delay=600).enqueue("later")
    stow.enqueue("now")
    timed.worker().run(until_empty=True)
    assert ran == ["now"]
    clock.advance(599)
    timed.worker().run(until_empty=True)
    assert ran == ["now"]
    clock.advance(1)
    timed.worker().run(until_empty=True)
    assert ran == ["now", "later"]


def test_all_conditions_of_a_claim_hold_together(timed: Longshore) -> None:
    places = [
        (queue, task, priority, delay)
        for queue in ("a", "b", "c")
        for task in ("one", "two")
        for priority in (1, 5)
        for delay in (0.0, 600.0)
    ]
    timed.enqueue_many(
        timed.call_by_name(task, options=Options(queue=queue, priority=priority, delay=delay))
        for queue, task, priority, delay in places
    )
    claim = Claim(queues=("a", "b"), tasks=("one",), min_priority=5)
    taken = timed.store.claim([claim], holder="anna", limit=100).jobs
    assert sorted((job.queue, job.task, job.priority) for job in taken) == [("a", "one", 5), ("b", "one", 5)]


def test_any_wait_ends_however_short(app: Longshore) -> None:
    for wait in (0, 1e-6, 0.001, 0.49):
        assert list(app.fetch(wait=wait)) == []
    with pytest.raises(InvalidValue, match="wait"):
        app.fetch(wait=-1)
    app.worker(poll=1e-6, idle_timeout=0.001).run()


def test_only_the_run_that_is_on_can_end_a_job(app: Longshore) -> None:
    app.enqueue(app.call_by_name("stow", options=Options(id="job")))
    first = take(app, "job")
    app.store.update([Change("job", State.PENDING, {}, frozenset({State.RUNNING}))])
    assert outcomes(app, first) == [Outcome.REFUSED] * 2, "nobody runs it"
    second = take(app, "job", holder="anna")
    assert outcomes(app, first) == [Outcome.REFUSED] * 2, "it is another's, or another run of the same"
    assert app.store.update([end(second, State.SUCCEEDED)])[0].outcome is Outcome.MOVED
    assert outcomes(app, first) == [Outcome.REFUSED] * 2, "it has ended"
    assert app.job("job").info().state is State.SUCCEEDED


def test_a_retried_job_is_not_ended_by_its_old_run(app: Longshore) -> None:
    app.enqueue(app.call_by_name("stow", options=Options(id="job")))
    old = take(app, "job")
    app.admin.retry("job")
    assert outcomes(app, old) == [Outcome.REFUSED] * 2
    assert app.job("job").info().state is State.PENDING
    new = take(app, "job")
    assert outcomes(app, old) == [Outcome.REFUSED] * 2
    assert new.generation > old.generation


def test_retries_by_hand_use_up_no_attempts(app: Longshore) -> None:
    runs: list[int] = []

    @app.task(retry=Retry(max_attempts=2, delay=0.0))
    def fail(context: Context) -> None:
        runs.append(context.attempt)
        raise OSError

    job = fail.options(id="job").enqueue()
    for _ in range(5):
        app.admin.retry("job")
    app.worker().run(until_empty=True)
    assert runs == [1, 2]
    app.admin.retry("job")
    app.worker().run(until_empty=True)
    assert len(runs) == 3, "there is one attempt at least"
    assert job.info().state is State.FAILED


def test_jobs_of_the_same_instant_run_in_the_order_of_enqueuing(timed: Longshore) -> None:
    ran: list[int] = []

    @timed.task
    def stow(number: int) -> None:
        ran.append(number)

    for number in range(20):
        stow.enqueue(number)
    timed.enqueue_many(stow.call(number) for number in range(20, 40))
    timed.worker(slots=1).run(until_empty=True)
    assert ran == list(range(40))


def test_notes_of_any_name_are_kept_and_asked_for(app: Longshore) -> None:
    names = ["a.b", "a[0]", "[", "]", "$", "a'b", 'a"b', "ä", "", "a b"]
    for name in names:
        app.enqueue(app.call_by_name("stow", options=Options(id=f"job {name}", notes={name: 7})))
        app.admin.note(f"job {name}", {f"{name}.": "x"})
    for name in names:
        assert app.job(f"job {name}").info().notes == {name: 7, f"{name}.": "x"}
        assert [job.id for job in app.admin.jobs(notes={name: 7, f"{name}.": "x"}).jobs] == [f"job {name}"]
        app.admin.note(f"job {name}", {name: None})
        assert app.job(f"job {name}").info().notes == {f"{name}.": "x"}


def take(app: Longshore, identity: str, *, holder: str = "anna", reserve: bool = False) -> StoredJob:
    (job,) = app.store.claim([Claim(id=identity, reserve=reserve)], holder=holder, limit=1).jobs
    return job


def end(run: StoredJob, state: State) -> Change:
    return Change(run.id, state, {}, frozenset({State.RUNNING}), run.generation, run.holder)


def outcomes(app: Longshore, run: StoredJob) -> list[Outcome]:
    """What an end of each kind that this run sends is answered."""
    return [app.store.update([end(run, state)])[0].outcome for state in (State.SUCCEEDED, State.FAILED)]
