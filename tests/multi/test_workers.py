"""A worker of several stores is one worker, with one number of slots, that works at each of them."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from conftest import Serve
from longshore import Context, Every, Longshore, State
from longshore.holders import mark_of
from longshore.limits.stored import read_limits, write_of
from moving import pier
from multi.berth import in_each, named_for_each, number_in_each, twice
from stores import fresh_store
from worker.gate import PATIENCE, Gate


@pytest.fixture(params=["files", "postgres and redis"])
def several(request: pytest.FixtureRequest, files: list[str], tmp_path: Path, shared_server: Serve) -> list[str]:
    """Two stores: of one kind, and of two."""
    if request.param == "files":
        return files
    return [fresh_store(name, tmp_path, shared_server) for name in ("postgres", "redis")]


@pytest.fixture
def apps(several: list[str]) -> Iterator[tuple[Longshore, Longshore]]:
    """One application in two processes, as it were."""
    with Longshore(several) as one, Longshore(several) as other:
        yield one, other


@pytest.fixture
def app(apps: tuple[Longshore, Longshore]) -> Longshore:
    return apps[0]


@pytest.fixture
def gate() -> Iterator[Gate]:
    gate = Gate()
    yield gate
    gate.open()


def test_there_is_one_number_of_slots_for_all_stores_and_one_worker_to_be_seen(app: Longshore, gate: Gate) -> None:
    gate.serve(app)
    jobs = [job for some in in_each(app, "stop", 4).values() for job in some]
    with app.worker(slots=3) as worker:
        for _ in range(3):
            gate.arrived()
        assert gate.nobody_arrives(within=0.3)
        (shown,) = app.admin.workers()
        assert (shown.slots, shown.status, len(shown.holds)) == (3, "working", 3)
        assert app.admin.stats().workers == 1
        gate.open()
        assert {job.wait(PATIENCE).state for job in jobs} == {State.SUCCEEDED}
    assert worker.tally.succeeded == 8
    assert app.admin.workers() == ()
    assert [job.info().attempt for job in jobs] == [1] * 8


def test_all_slots_are_for_the_store_that_has_jobs(app: Longshore, gate: Gate) -> None:
    gate.serve(app)
    tag, ids = named_for_each(app, 4).popitem()
    app.enqueue_many([app.tasks["stop"].options(id=name).call(f"{tag} {name}") for name in ids])
    with app.worker(slots=4):
        assert {gate.arrived() for _ in ids} == {f"{tag} {name}" for name in ids}
        gate.open()


def test_both_stores_have_their_turn_with_one_slot(app: Longshore) -> None:
    order: list[str] = []

    @app.task
    def note(word: str) -> None:
        order.append(word.split(maxsplit=1)[0])

    tags = list(in_each(app, "note", 60))
    app.worker(slots=1, prefetch=0).run(until_empty=True)
    assert len(order) == 120
    both = max(order.index(tag) for tag in tags)  # On a busy machine one may begin later.
    assert min(order[both : both + 10].count(tag) for tag in tags) >= 3, f"one waited for the other: {order}"


def test_it_ends_when_all_are_empty_also_of_what_its_runs_have_enqueued_elsewhere(app: Longshore) -> None:
    ran: list[int] = []

    @app.task
    def count_down(number: int) -> None:
        ran.append(number)
        if number:
            count_down.enqueue(number - 1)

    for _ in range(4):
        count_down.enqueue(12)
    assert app.worker(slots=2, poll=60).run(until_empty=True).succeeded == 4 * 13
    assert len(ran) == 4 * 13
    assert all(number for number in number_in_each(app).values())


def test_a_limit_and_a_pause_hold_at_all_stores_together(apps: tuple[Longshore, Longshore], gate: Gate) -> None:
    app, other = apps
    for each in apps:
        gate.serve(each)
    app.admin.limit(task="stop", running=2)
    app.admin.pause_queue(["still"])
    held = [job for some in in_each(app, "stop", 3).values() for job in some]
    still = [
        app.tasks["say"].options(queue="still", id=name).enqueue("no") for (name,) in named_for_each(app, 1).values()
    ]
    with app.worker(slots=5, queues=["default", "still"]), other.worker(slots=5, queues=["default", "still"]):
        for _ in range(2):
            gate.arrived()
        assert gate.nobody_arrives(within=0.5)
        gate.open()
        assert {job.wait(PATIENCE).state for job in held} == {State.SUCCEEDED}
        assert {job.info().state for job in still} == {State.PENDING}
        app.admin.resume_queue(["still"])
        assert {job.wait(PATIENCE).state for job in still} == {State.SUCCEEDED}


def test_of_a_task_that_the_worker_limits_no_more_run_at_all_stores_together(app: Longshore, gate: Gate) -> None:
    gate.serve(app)
    jobs = [job for some in in_each(app, "stop", 2).values() for job in some]
    with app.worker(slots=5, limits={"stop": 1}):
        gate.arrived()
        in_each(app, "say", 1)
        assert str(gate.arrived())
        assert str(gate.arrived())
        assert gate.nobody_arrives(within=0.3), "only one of them runs, others go on"
        gate.open()
        assert {job.wait(PATIENCE).state for job in jobs} == {State.SUCCEEDED}


def test_a_command_reaches_a_worker_once_and_its_runs_wherever_they_are(app: Longshore, gate: Gate) -> None:
    gate.serve(app)
    heard: list[str] = []

    @app.command
    def hear() -> int:
        heard.append("heard")
        return len(heard)

    jobs = [job for some in in_each(app, "stop", 1).values() for job in some]
    with app.worker(slots=3) as worker:
        for _ in jobs:
            gate.arrived()
        (reply,) = app.remote.send("hear", wait=PATIENCE)
        assert (reply.value, heard, reply.worker) == (1, ["heard"], worker.holder.rpartition(".")[0])
        for job in jobs:
            assert app.remote.stop(job.id, wait=PATIENCE).error is None
        assert [reply.answered for reply in app.remote.scale(1, wait=PATIENCE)] == [True]
        assert app.admin.workers()[0].slots == 1
        assert [reply.answered for reply in app.remote.pause(wait=PATIENCE)] == [True]
        assert app.admin.workers()[0].status == "paused"


def test_a_schedule_ticks_once_at_its_home(apps: tuple[Longshore, Longshore]) -> None:
    for app in apps:

        @app.schedule(Every(1), name="tide")
        @app.task
        def tick() -> None: ...

    with apps[0].worker(), apps[1].worker():
        while len(jobs := apps[0].admin.jobs(tasks="tick").jobs) < 3:
            threading.Event().wait(0.1)
    assert twice(apps[0]) == []
    assert len({place for place, number in number_in_each(apps[0]).items() if number}) == 1, "its home"
    assert len({job.id for job in jobs}) == len(jobs)


def test_jobs_by_hand_come_from_all_stores_and_are_settled_where_they_are(app: Longshore) -> None:
    jobs = in_each(app, "work", 3)
    taken: list[str] = []
    for batch in app.fetch(limit=4, wait=0, tasks=["work"]):
        taken += [job.id for job in batch]
        for job in batch:
            job.start()
            job.finish(None)
    assert sorted(taken) == sorted(job.id for some in jobs.values() for job in some)
    assert {job.info().state for some in jobs.values() for job in some} == {State.SUCCEEDED}
    assert [side.store.read("holder") for side in app.sides] == [[], []]


def test_one_job_is_run_here_wherever_it_is(app: Longshore) -> None:
    @app.task
    def work(word: str) -> str:
        return word

    for tag, (job,) in in_each(app, "work", 1).items():
        assert app.admin.run_here(job.id) == f"{tag} 0"


def test_a_run_tells_things_and_is_replaced_in_its_own_store(app: Longshore) -> None:
    @app.task
    def tell(context: Context, word: str) -> str:
        context.reply(word)
        context.cursor.set(word)
        context.progress(1, 2, "half")
        return word

    @app.task
    def split(context: Context, word: str) -> None:
        context.replace([tell.call(f"{word} {number}") for number in range(2)])

    told, gone = in_each(app, "tell", 1), in_each(app, "split", 1)
    app.worker(slots=4).run(until_empty=True)
    for tag, (job,) in told.items():
        assert [reply.value for reply in job.replies()] == [f"{tag} 0"]
        assert job.info().progress is not None
    assert {job.info().state for (job,) in gone.values()} == {State.SUCCEEDED}
    assert app.counts()[State.SUCCEEDED] == 2 + 2 + 4
    assert twice(app) == []


def test_a_run_in_a_process_of_its_own_is_at_its_store_too(files: list[str]) -> None:
    pier.app.use(files)
    try:
        jobs = [
            pier.app.enqueue(pier.app.tasks["send_another"].options(id=name).call())
            for (name,) in named_for_each(pier.app, 1).values()
        ]
        pier.app.worker().run(until_empty=True)
        assert [job.result(PATIENCE) for job in jobs] == ["sent", "sent"]
        assert pier.app.counts()[State.SUCCEEDED] == 4
    finally:
        pier.app.close()


def test_the_tokens_of_the_dead_come_free_wherever_their_leases_were(app: Longshore, gate: Gate) -> None:
    gate.serve(app)
    app.admin.limit(task="stop", running=2)
    (home,) = [side.store for side in app.sides if list(read_limits(side.store))]
    (limit,) = read_limits(home)
    dead = {f"dead.1-{mark_of(side.store)}": 1 for side in app.sides}
    assert home.write([write_of(limit, replace(limit.stored, shares=dead))]) != [None]
    in_each(app, "stop", 1)
    with app.worker(slots=2, poll=0.2, lease=1.2, heartbeat=0.3):
        assert gate.arrived(PATIENCE) != gate.arrived(PATIENCE)
        gate.open()


def test_a_group_calls_back_once_when_its_members_in_all_stores_have_ended(app: Longshore) -> None:
    ended: list[str] = []

    @app.task
    def member(word: str) -> None:
        ended.append(word)

    @app.task
    def report() -> int:
        return len(ended)

    names = [name for some in named_for_each(app, 3).values() for name in some]
    with app.group("harbour", then=report.call()) as group:
        group.enqueue_many([member.options(id=name).call(name) for name in names])
    app.worker(slots=2).run(until_empty=True)
    assert app.job("group:harbour:done").result(PATIENCE) == 6
