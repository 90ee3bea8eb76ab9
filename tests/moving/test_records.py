"""What belongs to the store moves with its jobs; what belongs to a living process stays."""

from __future__ import annotations

import importlib
import pkgutil
from typing import Any

import pytest

import longshore
from longshore import Context, Every, Longshore
from longshore.contract import SECOND, State, Write
from longshore.errors import JobRemoved
from longshore.following.groups import complete_all
from longshore.guard import Guard
from longshore.moving import records
from longshore.testing.clock import ManualClock
from longshore.testing.samples import put, settle, stored_job, take
from moving.conftest import Move

Apps = tuple[Longshore, Longshore]


@pytest.fixture
def apps(source: Guard, destination: Guard, clock: ManualClock) -> Any:
    """The same application on both stores."""
    with (
        Longshore(source.driver.target, clock=clock) as here,
        Longshore(destination.driver.target, clock=clock) as there,
    ):
        for app in (here, there):
            app.task(greet)
            app.task(count)
        yield here, there


def greet(context: Context[str]) -> str:
    context.reply("on my way")
    return "hello"


def count() -> None: ...


def test_every_kind_of_record_has_its_place() -> None:
    """Who adds a kind says whether it moves."""
    kinds: set[str] = set()
    for module in pkgutil.walk_packages(longshore.__path__, "longshore."):
        if ".testing" not in module.name and not module.name.endswith("__main__"):
            for name, value in vars(importlib.import_module(module.name)).items():
                if name in ("KIND", "_KIND", "SEALED", "CALLED", "MESSAGE", "ANSWER") and isinstance(value, str):
                    kinds.add(value)
    placed = [*records.RULES, *records.REST, *records.STAYING]
    assert len(placed) == len(set(placed))
    assert kinds <= set(placed)
    assert len(kinds) >= 12


def test_rules_hold_before_the_first_job_arrives(apps: Apps, source: Guard, destination: Guard, move: Move) -> None:
    here, there = apps
    here.admin.pause_queue("still")
    here.admin.limit(queue="narrow", running=2)
    here.admin.schedules.put("hourly", Every(3_600), here.tasks["count"].call())
    here.admin.schedules.pause("hourly")
    there.admin.limit(queue="narrow", running=9)
    here.tasks["count"].options(queue="still").enqueue()
    seen: list[Any] = []

    class Watching(Guard):
        def insert(self, jobs: Any, *, tx: Any = None) -> Any:
            admin = there.admin
            paused, schedules = admin.paused_queues(), admin.schedules.all()
            seen.append(([each.queue for each in paused], [each.name for each in schedules], admin.limits()[0].running))
            return super().insert(jobs, tx=tx)

    move(source, Watching(destination.driver)).run()
    assert seen == [(["still"], ["hourly"], 2)]
    assert there.admin.schedules.all()[0].paused
    assert (here.admin.paused_queues(), here.admin.schedules.all(), here.admin.limits()) == ((), (), ())


def test_what_a_rule_says_of_living_processes_stays(apps: Apps, source: Guard, destination: Guard, move: Move) -> None:
    value = b'{"rule":{"running":2},"shares":{"anna":2},"waiting":["bert"]}'
    source.write(
        [Write("queue limit", "narrow", value), Write("holder", "anna", b"{}"), Write("message", "anna:1", b"")]
    )
    move(source, destination).run()
    (limit,) = apps[1].admin.limits()
    assert (limit.running, limit.taken, limit.waiting) == (2, 0, 0)
    assert destination.read("holder") == destination.read("message") == []
    assert len(source.read("holder")) == 1


def test_replies_are_read_after_the_move(apps: Apps, source: Guard, destination: Guard, move: Move) -> None:
    here, there = apps
    job = here.tasks["greet"].enqueue()
    here.worker().run(until_empty=True)
    move(source, destination).run()
    assert there.job(job.id).result() == "hello"
    assert [reply.value for reply in there.job(job.id).replies(str).so_far()] == ["on my way"]  # type: ignore[union-attr]


def test_time_that_is_left_is_left_there(source: Guard, destination: Guard, clock: ManualClock, move: Move) -> None:
    source.write([Write("lock", "a", b"{}", lifetime=100 * SECOND), Write("lock", "b", b"{}", lifetime=SECOND)])
    clock.advance(40)
    move(source, destination).run()
    (lock,) = destination.read("lock")
    assert lock.expires is not None
    assert (lock.key, 55 * SECOND < lock.expires - clock() <= 60 * SECOND) == ("a", True)


def test_what_is_there_already_stays(source: Guard, destination: Guard, move: Move) -> None:
    source.write([Write("reply", "a", b"old"), Write("reply", "b", b"old")])
    destination.write([Write("reply", "a", b"new")])
    move(source, destination).run()
    assert [record.value for record in destination.read("reply")] == [b"new", b"old"]
    assert source.read("reply") == []


def test_numbers_of_both_lives_become_one(apps: Apps, source: Guard, destination: Guard, move: Move) -> None:
    source.write([Write("total", "removed", b"40"), Write("total", "first use", b"1000")])
    destination.write([Write("total", "removed", b"2")])
    move(source, destination).run()
    assert {record.key: record.value for record in destination.read("total")} == {
        "removed": b"42",
        "first use": b"1000",
    }


def test_more_than_a_page_of_them(source: Guard, destination: Guard, move: Move) -> None:
    source.write([Write("reply", f"{number:04}", b"x") for number in range(250)])
    assert move(source, destination).run().records == 250
    assert len(destination.read("reply")) == 250


class TestInMotion:
    """What waits for others knows that they may be in the other store."""

    def test_a_child_is_not_released_while_its_parent_is_on_the_way(
        self, apps: Apps, source: Guard, destination: Guard, clock: ManualClock, move: Move
    ) -> None:
        here, there = apps
        parent = here.tasks["count"].enqueue()
        (run,) = take(source.driver, queues=("default",))
        move(source, destination).run(wait=0)
        child = there.tasks["count"].options(after=[parent]).enqueue()
        assert child.info().state is State.WAITING
        there.worker().run(until_empty=True)
        assert child.info().state is State.WAITING
        source.update([settle(run)])
        move(source, destination).run()
        assert child.info().state is State.PENDING

    def test_children_may_arrive_before_their_parents(
        self, apps: Apps, source: Guard, destination: Guard, clock: ManualClock, move: Move
    ) -> None:
        _, there = apps
        now = clock()
        child = stored_job("child", State.WAITING, now - 10, parents=("parent",), queue="default", task="count")
        orphan = stored_job("called", State.WAITING, now - 10, parents=("parent",), queue="default", task="count")
        put(source.driver, child, orphan)
        put(source.driver, stored_job("parent", State.SUCCEEDED, now - 5, ended=now))
        seen: list[int] = []

        class OneByOne(Guard):
            def insert(self, jobs: Any, *, tx: Any = None) -> Any:
                answers = []
                for job in jobs:
                    answers += super().insert([job], tx=tx)
                    there.worker().run(until_empty=True)
                    seen.append(there.counts()[State.SUCCEEDED])
                return answers

        move(source, OneByOne(destination.driver)).run()
        assert seen == [0, 0, 1]
        assert {there.job(name).info().state for name in ("child", "called")} == {State.PENDING}

    def test_a_group_calls_back_when_its_last_member_has_ended_wherever(
        self, apps: Apps, source: Guard, destination: Guard, clock: ManualClock, move: Move
    ) -> None:
        here, there = apps
        with here.group("crew", then=here.tasks["count"].call()) as group:
            group.enqueue_many([here.tasks["count"].call() for _ in range(3)])
        (run,) = take(source.driver, queues=("default",), limit=1)
        move(source, destination).run(wait=0)
        called = there.job("group:crew:done")
        there.worker().run(until_empty=True)
        here.worker().run(until_empty=True)
        source.update([settle(run)])
        here.worker().run(until_empty=True)
        with pytest.raises(JobRemoved):
            called.info()
        move(source, destination).run()
        complete_all(destination)
        assert called.info().state is State.PENDING
