"""Schedules and workers: one job for each tick, in time, by the store's clock, whoever dies."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from longshore import Context, Every, Longshore
from longshore.contract import SECOND, Write
from longshore.durations import instant, moment
from longshore.guard import Guard
from longshore.processes.supervisor import Supervisor
from longshore.schedules.stored import KIND, read_each, schedule_of, tick_id
from longshore.testing.clock import ManualClock
from longshore.testing.faults.cut import Moment
from longshore.worker.clockwork import Clockwork
from longshore.worker.settings import WorkerSettings
from model import schedule_rival
from model.counted import CountedDriver

pytestmark = pytest.mark.timed

DOCK = "worker.dock:app"
PATIENCE = 20.0
HOUR = 3_600 * SECOND


def ticks_of(app: Longshore, name: str) -> list[tuple[str, int]]:
    """The id of each job that the schedule made, and when it was stored."""
    jobs = app.admin.every(notes={"longshore.schedule": name})
    return sorted(((job.id, instant(job.created)) for job in jobs), key=lambda made: tick_of(made[0]))


def await_ticks(app: Longshore, name: str, number: int) -> list[tuple[str, int]]:
    """Waits until the schedule has made so many."""
    ends = time.monotonic() + PATIENCE
    while len(found := ticks_of(app, name)) < number:
        assert time.monotonic() < ends, f"expected {number} ticks of {name} within {PATIENCE:g} s; there are {found}"
        threading.Event().wait(0.02)
    return found


def tick_of(identity: str) -> int:
    """When the tick was that the id of a job names."""
    return instant(datetime.fromisoformat(identity.split(":", 2)[2]))


class TestInTime:
    def test_a_tick_is_made_within_milliseconds(self, app: Longshore) -> None:
        app.schedule("a", Every(0.1), app.call_by_name("beat"), missed="all")
        with app.worker():
            late: list[int] = []
            # On a busy machine some are later than that.
            while len(late) < 100 and min(late, default=SECOND) >= 0.05 * SECOND:
                late = [stored - tick_of(identity) for identity, stored in await_ticks(app, "a", len(late) + 3)]
        assert min(late) >= 0, "a tick came before its time"
        assert min(late) < 0.05 * SECOND, f"ticks were late by {[each / 1000 for each in late]} ms"

    def test_its_job_runs_at_once(self, app: Longshore) -> None:
        ran = threading.Event()

        @app.schedule(Every(0.1))
        @app.task
        def beat(context: Context) -> None:
            assert context.job_id.startswith("schedule:beat:")
            ran.set()

        with app.worker(poll=60):
            assert ran.wait(PATIENCE)

    def test_a_schedule_that_comes_while_workers_run_ticks_at_once(self, app: Longshore) -> None:
        with app.worker(heartbeat=60, lease=180):
            app.admin.schedules.put("a", Every(0.1), app.call_by_name("beat"))
            await_ticks(app, "a", 2)
            app.admin.schedules.put("b", Every(0.1), app.call_by_name("beat"))
            await_ticks(app, "b", 2)

    def test_also_when_the_word_of_it_was_lost(self, app: Longshore) -> None:
        schedule = schedule_of(Every(0.1), app.call_by_name("beat"), missed="once", grace=60, most=1)
        with app.worker(heartbeat=0.3, lease=1):
            app.admin.schedules.put("before", Every(0.1), app.call_by_name("beat"))
            await_ticks(app, "before", 1)
            (place,) = read_each(app.store, ["a"])
            app.store.write([place.write(schedule.anew(app.store.now()))])
            await_ticks(app, "a", 2)

    def test_what_is_paused_ticks_no_more_and_what_is_resumed_does(self, app: Longshore) -> None:
        with app.worker():
            app.admin.schedules.put("a", Every(0.1), app.call_by_name("beat"))
            await_ticks(app, "a", 1)
            app.admin.schedules.pause("a")
            made = ticks_of(app, "a")
            app.admin.schedules.put("b", Every(0.1), app.call_by_name("beat"))
            await_ticks(app, "b", 3)
            # A worker that read it just before may have made one more.
            assert len(ticks_of(app, "a")) <= len(made) + 1
            app.admin.schedules.resume("a")
            await_ticks(app, "a", len(made) + 2)

    def test_the_store_s_clock_decides_also_when_the_machine_s_is_wrong_by_an_hour(self, target: Any) -> None:
        def an_hour_ahead() -> int:
            return time.time_ns() // 1000 + HOUR

        with Longshore(target, clock=an_hour_ahead) as app, app.worker():
            app.admin.schedules.put("a", Every(0.1), app.call_by_name("beat"), missed="all")
            made = await_ticks(app, "a", 3)
        for identity, stored in made:
            assert 0 <= stored - tick_of(identity) < SECOND
            assert abs(tick_of(identity) - HOUR - time.time() * SECOND) < 60 * SECOND


class TestManyProcesses:
    def test_four_workers_make_one_job_of_each_tick(self, shared_target: Any) -> None:
        settings = WorkerSettings(slots=1, lease=6, heartbeat=2, poll=60, drain=5, grace=1)
        with Longshore(shared_target) as app:
            call = app.call_by_name("nothing", {"number": 1})
            app.admin.schedules.put("a", Every(0.1), call, missed="all", most=1_000)
            with Supervisor(DOCK, processes=4, url=shared_target, settings=settings):
                await_ticks(app, "a", 5)
                first = app.store.now()
                while app.store.now() < first + 2 * SECOND:
                    threading.Event().wait(0.1)
                await_ticks(app, "a", 20)
            made = [tick_of(identity) for identity, _ in ticks_of(app, "a")]
            (info,) = app.admin.schedules.all()
        steps = {later - earlier for earlier, later in pairwise(made)}
        assert steps == {SECOND // 10}, "a tick was left out, or made twice"
        assert info.last is not None
        assert instant(info.last) == made[-1]


class TestKilled:
    """Each row of docs/design/crash-windows.md."""

    @pytest.fixture
    def due(self, shared_target: Any) -> Iterator[Longshore]:
        """An application with a schedule that has been due for a moment, and will be again in a day."""
        with Longshore(shared_target) as app:
            now = app.store.now()
            daily = Every(86_400, anchor=moment(now - SECOND))
            schedule = schedule_of(daily, app.call_by_name("beat"), missed="once", grace=60, most=1)
            app.store.write([read_each(app.store, ["a"])[0].write(schedule.anew(now - 2 * SECOND))])
            yield app

    @pytest.mark.parametrize(
        ("method", "moment", "jobs", "noted"),
        [
            ("insert", Moment.BEFORE, 0, False),
            ("insert", Moment.AFTER, 1, False),
            ("write", Moment.BEFORE, 1, False),
            ("write", Moment.AFTER, 1, True),
        ],
    )
    def test_a_process_that_is_killed_leaves_its_tick_to_the_next(
        self, due: Longshore, method: str, moment: Moment, jobs: int, noted: bool
    ) -> None:
        before = due.admin.schedules.get("a")
        assert before is not None
        assert before.next is not None
        command = [sys.executable, schedule_rival.__file__, due.store.driver.target, method, moment.name]
        done = subprocess.run(command, env={"PYTHONPATH": str(Path(__file__).parents[1])}, timeout=50)
        assert done.returncode == -9
        assert len(ticks_of(due, "a")) == jobs
        assert (due.admin.schedules.get("a") != before) is noted
        (after,) = due.admin.schedules.tick()
        identity = tick_id("a", instant(before.next))
        assert [made for made, _ in ticks_of(due, "a")] == [identity]
        assert (after.last, after.last_job) == (before.next, identity)

    def test_a_worker_makes_good_what_another_left(self, due: Longshore) -> None:
        command = [sys.executable, schedule_rival.__file__, due.store.driver.target, "insert", "AFTER"]
        assert subprocess.run(command, timeout=50).returncode == -9
        with due.worker():
            ends = time.monotonic() + PATIENCE
            while (info := due.admin.schedules.get("a")) is not None and info.last is None:
                assert time.monotonic() < ends, "nobody noted the tick"
        assert len(ticks_of(due, "a")) == 1

    @pytest.mark.parametrize("method", ["insert", "write"])
    @pytest.mark.parametrize("moment", list(Moment))
    def test_an_answer_that_is_lost_changes_nothing(
        self, timed: Longshore, clock: ManualClock, method: str, moment: Moment
    ) -> None:
        line, now = CountedDriver(timed.store.driver), 0.0
        clockwork = Clockwork(monotonic=lambda: now)
        timed.admin.schedules.put("a", Every(60), timed.call_by_name("beat"))
        clockwork.work(Guard(line, patience=0))
        clock.advance(60)
        now += 60
        line.cut(method, moment)
        clockwork.work(Guard(line, patience=0))
        assert line.is_whole
        assert clockwork.due == now + 1
        now += 1
        clockwork.work(Guard(line, patience=0))
        assert len(ticks_of(timed, "a")) == 1
        assert timed.admin.schedules.all()[0].last_job == ticks_of(timed, "a")[0][0]

    def test_a_look_that_found_no_store_is_made_again(self, timed: Longshore) -> None:
        line, now = CountedDriver(timed.store.driver), 0.0
        clockwork = Clockwork(monotonic=lambda: now)
        timed.admin.schedules.put("a", Every(60), timed.call_by_name("beat"))
        line.cut("read", Moment.BEFORE)
        clockwork.work(Guard(line, patience=0))
        assert clockwork.due == now + 1
        now += 1
        clockwork.work(Guard(line, patience=0))
        assert clockwork.due == now + 20


class TestCost:
    def test_without_schedules_a_look_is_one_call_and_none_comes_by_itself(self, timed: Longshore) -> None:
        line, clockwork = CountedDriver(timed.store.driver), Clockwork()
        clockwork.work(Guard(line))
        assert line.calls == {"read": 1}
        assert clockwork.due == float("inf")

    def test_without_schedules_nothing_is_imported_for_them(self) -> None:
        code = "import sys, longshore, longshore.worker.worker; print('zoneinfo' in sys.modules)"
        said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=50)
        assert said.stdout == "False\n"

    def test_a_tick_costs_four_calls_and_who_comes_late_two(self, timed: Longshore, clock: ManualClock) -> None:
        now = 0.0
        lines = [CountedDriver(timed.store.driver) for _ in range(2)]
        for name in "abc":
            timed.admin.schedules.put(name, Every(60), timed.call_by_name("beat"))
        clockworks = [Clockwork(monotonic=lambda: now) for _ in lines]
        for clockwork, line in zip(clockworks, lines, strict=True):
            clockwork.work(Guard(line))
            assert line.calls == {"read": 1, "now": 1}
            line.calls.clear()
        clock.advance(20)
        now += 20
        for clockwork, line in zip(clockworks, lines, strict=True):
            assert clockwork.due <= now
            clockwork.work(Guard(line))
            assert clockwork.due == now + 60
        assert lines[0].calls == {"read": 1, "now": 1, "insert": 1, "write": 1}
        assert lines[1].calls == {"read": 1, "now": 1}

    def test_what_cannot_be_read_does_not_stop_the_others(self, timed: Longshore, clock: ManualClock) -> None:
        now = 0.0
        timed.admin.schedules.put("b", Every(60), timed.call_by_name("beat"))
        timed.store.write([Write(KIND, "a", b"{}")])
        clockwork = Clockwork(monotonic=lambda: now)
        for _ in range(2):
            clockwork.work(timed.store)
            clock.advance(60)
            now += 60
        assert len(ticks_of(timed, "b")) == 1
        assert clockwork.due <= now
