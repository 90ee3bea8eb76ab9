"""What is counted by the hour, and kept when the jobs are gone."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest

from longshore import Longshore
from longshore.guard import Guard
from longshore.history import HOURS, KIND, HourLog, last_hours
from longshore.testing.clock import ManualClock
from longshore.worker.tally import Tally

HOUR = 3_600


def counts(store: Guard) -> list[tuple[int, int, int, int]]:
    return [(hour.succeeded, hour.failed, hour.cancelled, hour.again) for hour in last_hours(store)]


def test_a_day_without_work_has_24_hours_of_nothing_and_ends_with_the_one_that_is_on(
    store: Guard, clock: ManualClock
) -> None:
    hours = last_hours(store)
    assert counts(store) == [(0, 0, 0, 0)] * HOURS
    now = datetime.fromtimestamp(clock() / 1e6, UTC)
    assert hours[-1].start == now.replace(minute=0, second=0, microsecond=0)
    assert {later.start - earlier.start for earlier, later in pairwise(hours)} == {timedelta(hours=1)}


def test_what_several_workers_did_is_added_up_hour_by_hour(store: Guard, clock: ManualClock) -> None:
    tallies = Tally(), Tally()
    logs = [HourLog(name, tally) for name, tally in zip(("one", "two"), tallies, strict=True)]
    for number, (tally, log) in enumerate(zip(tallies, logs, strict=True), start=1):
        tally.succeeded += number
        tally.failed += 1
        log.write(store)
        tally.again += 5
        log.write(store)
    clock.advance(HOUR)
    tallies[0].succeeded += 10
    tallies[0].cancelled += 1
    logs[0].write(store)
    assert counts(store)[-2:] == [(3, 2, 0, 10), (10, 0, 1, 0)]


def test_a_repeated_write_counts_once_and_an_idle_worker_writes_nothing(store: Guard) -> None:
    tally = Tally()
    log = HourLog("one", tally)
    log.write(store)
    assert store.read(KIND) == []
    tally.succeeded = 4
    log.write(store)
    written = store.read(KIND)
    log.write(store)
    assert store.read(KIND) == written
    assert counts(store)[-1] == (4, 0, 0, 0)


def test_hours_leave_the_window_after_a_day_and_the_store_after_two(store: Guard, clock: ManualClock) -> None:
    tally = Tally()
    tally.failed = 1
    HourLog("one", tally).write(store)
    clock.advance(23 * HOUR)
    assert counts(store)[0] == (0, 1, 0, 0)
    clock.advance(HOUR)
    assert counts(store) == [(0, 0, 0, 0)] * HOURS
    clock.advance(25 * HOUR)
    assert store.read(KIND) == []


def test_more_workers_than_a_page_of_records_are_all_counted(store: Guard) -> None:
    for number in range(1_100):
        tally = Tally()
        tally.succeeded = 1
        HourLog(f"worker-{number}", tally).write(store)
    assert counts(store)[-1] == (1_100, 0, 0, 0)


@pytest.mark.parametrize("url", ["memory://", "sqlite:///{folder}/jobs.db"])
def test_what_a_worker_did_is_there_when_it_has_stopped_and_its_jobs_are_removed(url: str, tmp_path: object) -> None:
    with Longshore(url.format(folder=tmp_path)) as app:

        @app.task
        def nothing() -> None:
            return None

        jobs = app.enqueue_many([nothing.call() for _ in range(7)])
        app.worker().run(until_empty=True)
        assert {fate.verdict for fate in app.admin.remove([job.id for job in jobs])} == {"done"}
        assert sum(hour.succeeded for hour in app.admin.history()) == 7
        assert app.admin.jobs().jobs == ()
