"""Chores of an application: one worker does each once in its interval, never two at once, and no error ends it."""

from __future__ import annotations

import logging
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from longshore import Longshore
from longshore.errors import ConfigurationError, InvalidValue, Unavailable
from longshore.testing.faults.cut import Moment
from longshore.worker.rota import KIND, Duty
from longshore.worker.settings import WorkerSettings
from model.crew import await_stay, most_at_a_time, processes, stays
from worker.faulty import FaultyApp
from worker.gate import PATIENCE, Gate

pytestmark = pytest.mark.timed

NEVER = 60.0
QUICK = {"lease": 1.2, "heartbeat": 0.3, "poll": NEVER}


@pytest.fixture
def gate() -> Iterator[Gate]:
    gate = Gate()
    yield gate
    gate.open()


@pytest.fixture
def apps(target: Any) -> Iterator[list[FaultyApp]]:
    """Applications on one store, as in several processes."""
    with ExitStack() as stack:
        first = stack.enter_context(FaultyApp(target))
        yield [first, *(stack.enter_context(FaultyApp(first.store.driver.target)) for _ in range(2))]


def test_it_is_done_once_in_its_interval_by_one_of_all_workers(apps: list[FaultyApp], gate: Gate) -> None:
    for app in apps:
        app.chore(every=0.5, name="sweep")(lambda: gate.say(time.monotonic()))
    with ExitStack() as stack:
        for app in apps:
            stack.enter_context(app.worker(**QUICK))
        times = [float(str(gate.arrived())) for _ in range(4)]
    assert all(later - earlier >= 0.45 for earlier, later in pairwise(times)), times


def test_async_functions_are_chores_too(apps: list[FaultyApp], gate: Gate) -> None:
    @apps[0].chore(every=NEVER)
    async def sweep() -> None:
        gate.say("swept")

    assert list(apps[0].chores) == ["sweep"]
    with apps[0].worker(**QUICK):
        assert gate.arrived() == "swept"


def test_one_that_takes_longer_than_its_interval_and_a_lease_is_not_begun_elsewhere(
    apps: list[FaultyApp], gate: Gate
) -> None:
    for number, app in enumerate(apps):
        app.chore(every=0.1, name="sweep")(lambda number=number: gate.stop_here(number))
    with ExitStack() as stack:
        for app in apps:
            stack.enter_context(app.worker(**QUICK))
        gate.arrived()
        assert gate.nobody_arrives(within=2.0)
        gate.open()
        gate.arrived()


def test_an_error_is_logged_and_it_is_done_again(
    apps: list[FaultyApp], gate: Gate, caplog: pytest.LogCaptureFixture
) -> None:
    @apps[0].chore(every=0.1)
    def sweep() -> None:
        gate.say("swept")
        raise SystemExit("no broom")

    with caplog.at_level(logging.ERROR, "longshore.worker"), apps[0].worker(**QUICK):
        assert [gate.arrived(), gate.arrived()] == ["swept"] * 2
    assert "chore sweep failed" in caplog.text
    assert "no broom" in caplog.text


def test_who_stops_waits_for_a_chore_that_is_on_and_begins_no_other(apps: list[FaultyApp], gate: Gate) -> None:
    ended = threading.Event()

    @apps[0].chore(every=NEVER)
    def sweep() -> None:
        gate.stop_here("on")
        ended.set()

    with apps[0].worker(**QUICK) as worker:
        assert gate.arrived() == "on"
        worker.ask_to_stop()
        gate.open()
    assert ended.is_set()


def test_a_store_that_is_away_for_a_moment_costs_no_round(apps: list[FaultyApp], gate: Gate) -> None:
    apps[0].chore(every=0.1, name="sweep")(lambda: gate.say("swept"))
    with apps[0].worker(**QUICK):
        assert gate.arrived() == "swept"
        apps[0].line.go_down()
        gate.said()
        apps[0].line.mend()
        assert gate.arrived() == "swept"


def test_what_cannot_be_a_chore_is_refused() -> None:
    app = Longshore("memory://")
    app.chore(every=1, name="sweep")(lambda: None)
    with pytest.raises(ConfigurationError, match="a chore named 'sweep' is there already"):
        app.chore(every=1, name="sweep")(lambda: None)
    with pytest.raises(ConfigurationError, match="called without arguments; clean needs room"):
        app.chore(every=1, name="clean")(lambda room: room)  # type: ignore[arg-type, misc]
    with pytest.raises(InvalidValue, match="every must be longer than nothing"):
        app.chore(every=0)(print)


class TestCrashes:
    """A `Duty` that is looked at no more is one whose process has died."""

    @pytest.mark.parametrize("stage", ["begun", "ended"])
    def test_after_a_crash_it_is_done_again_when_its_record_has_lapsed(
        self, apps: list[FaultyApp], gate: Gate, stage: str
    ) -> None:
        for app in apps:
            app.chore(every=0.2, name="sweep")(lambda: gate.say("swept"))
        chore, over_the_line, done = apps[0].chores["sweep"], apps[0].another_store(), threading.Event()
        dying = Duty(chore, "dying", 0.8, done.set)
        dying.look(over_the_line, time.monotonic(), may_begin=True)
        assert gate.arrived() == "swept"
        assert done.wait(PATIENCE)
        if stage == "ended":
            apps[0].line.cut("write", Moment.BEFORE)
            assert dying._thread is not None
            dying._thread.join()
            with pytest.raises(Unavailable, match="the line broke"):
                dying.look(over_the_line, time.monotonic(), may_begin=False)
        (record,) = apps[0].store.read(KIND)
        with apps[1].worker(lease=0.8, heartbeat=0.2, poll=NEVER):
            assert gate.arrived() == "swept"
            assert record.expires is not None
            assert apps[0].store.now() >= record.expires
        over_the_line.close()


@pytest.mark.slow
def test_never_two_at_once_in_three_processes_one_of_which_is_killed(
    shared_target: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = tmp_path / "log"
    monkeypatch.setenv("DREDGER_LOG", str(log))
    settings = WorkerSettings(slots=1, lease=1.0, heartbeat=0.3, poll=NEVER, drain=0)
    with Longshore(shared_target) as app:
        app.store.now()
    with processes(shared_target, settings, 3, application="model.dredger:app") as children:
        victim = await_stay(str(log), lambda run: run.ended == float("inf"))
        child = next(child for child in children if child.process.pid == victim.pid)
        child.signal(signal.SIGKILL)
        child.process.wait()
        killed = time.monotonic()
        await_stay(str(log), lambda run: run.began > killed and run.ended < float("inf"))
    runs = [run for run in stays(log) if run.pid != victim.pid or run.ended < float("inf")]
    after = min(run.began for run in runs if run.began > killed)
    assert after - victim.began >= 0.9, "the record of the dead had lapsed before"
    assert most_at_a_time([run for run in runs if run.ended < float("inf")]) == 1
