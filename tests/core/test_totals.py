"""The whole life of a store: when it was first used, and how many jobs there ever were."""

from __future__ import annotations

import pytest

from core.admin_stores import add, app
from core.broken_line import HOLDS, LOSES_ANSWER, LOSES_CALL, BrokenLine
from core.working import work
from longshore import Longshore, State
from longshore.durations import moment
from longshore.guard import Guard
from longshore.holders import Lease
from longshore.memory_store import MemoryStore
from longshore.testing.clock import ManualClock
from longshore.testing.together import together
from longshore.totals import count_removed, first_use, note_first_use, removed
from longshore.worker.settings import WorkerSettings
from longshore.worker.upkeep import Upkeep

__all__ = ["app"]


def test_the_first_use_is_remembered(app: Longshore, clock: ManualClock) -> None:
    first = app.store.now()
    clock.advance(60)
    with Longshore(app.store.driver.target, clock=clock) as later:
        assert later.admin.stats().since == app.admin.stats().since == moment(first)


def test_who_does_not_migrate_does_not_begin_a_life(clock: ManualClock) -> None:
    memory = MemoryStore()
    assert Longshore(memory, clock=clock, migrate=False).admin.stats().since is None
    assert Longshore(memory, clock=clock).admin.stats().since == moment(clock())


def test_all_that_were_ever_enqueued_also_those_that_are_gone(app: Longshore, clock: ManualClock) -> None:
    for identity in ("a", "b", "c", "d"):
        add(app, identity)
    assert app.admin.stats().enqueued == 4
    app.admin.cancel(["c", "d"])
    app.admin.remove(["c", "d", "nobody"])
    assert app.admin.stats().enqueued == 4
    work(app)
    settings = WorkerSettings()
    clock.advance(settings.keep_succeeded)
    Upkeep(Lease(settings.lease), settings).work(app.store, may_rescue=lambda: False)
    assert app.admin.counts() == {}
    add(app, "e")
    assert app.admin.stats().enqueued == 5


def test_many_count_at_once(app: Longshore) -> None:
    together(*[lambda: count_removed(app.store, 3) for _ in range(4)])
    assert removed(app.store) == 12


@pytest.fixture
def line(clock: ManualClock) -> BrokenLine:
    line = BrokenLine.connect("memory://", clock=clock)
    line.plan()
    return line


@pytest.fixture
def impatient(line: BrokenLine) -> Guard:
    return Guard(line, patience=0)


def test_what_dies_before_it_has_counted_takes_the_number_along(
    line: BrokenLine, impatient: Guard, caplog: pytest.LogCaptureFixture
) -> None:
    line.plan(HOLDS, LOSES_CALL)
    count_removed(impatient, 3)
    assert removed(impatient) == 0
    assert "3 jobs were removed and may not be counted" in caplog.text


def test_a_count_whose_answer_is_lost_is_made_once(
    line: BrokenLine, impatient: Guard, caplog: pytest.LogCaptureFixture
) -> None:
    line.plan(HOLDS, LOSES_ANSWER)
    count_removed(Guard(line, patience=5, sleep=lambda seconds: None), 3)
    assert removed(impatient) == 3
    line.plan(HOLDS, LOSES_ANSWER)
    count_removed(impatient, 3)
    assert removed(impatient) == 6, "it is not made again by somebody who does not know"
    assert "may not be counted" in caplog.text


def test_a_first_use_that_could_not_be_noted_is_noted_by_the_next(
    line: BrokenLine, impatient: Guard, caplog: pytest.LogCaptureFixture
) -> None:
    line.plan(HOLDS, LOSES_CALL)
    note_first_use(impatient)
    assert "noted another time" in caplog.text
    assert first_use(impatient) is None
    note_first_use(impatient)
    assert first_use(impatient) == impatient.now()


def test_states_that_are_shown_are_all_there_are(app: Longshore) -> None:
    shown = app.admin.stats()
    assert all(hasattr(shown, state.name.lower()) for state in State)
