"""Several stores as the destination of a move, and as its source."""

from __future__ import annotations

import pytest

from longshore.contract import Insertion, State, StoredJob
from longshore.guard import Guard
from longshore.memory import MemoryDriver
from longshore.moving.mover import Mover
from longshore.testing import ManualClock
from longshore.testing.samples import new_job, put, stored_job
from moving.cargo import all_of, as_they_were, one_of_each
from multi.conftest import Connect


@pytest.fixture
def one(clock: ManualClock) -> Guard:
    return Guard(MemoryDriver.connect("memory://", clock=clock))


@pytest.fixture
def several(files: list[str], connect: Connect) -> Guard:
    return Guard(connect(files))


def test_jobs_of_every_state_arrive_as_they_were_and_come_back(one: Guard, several: Guard, clock: ManualClock) -> None:
    jobs = one_of_each(clock())
    put(one.driver, *jobs)
    Mover(one, several, verify=True, pause=clock.advance).run()
    assert all_of(several) == as_they_were(jobs)
    Mover(several, one, verify=True, pause=clock.advance).run()
    assert all_of(one) == as_they_were(jobs)


def test_a_unique_key_is_held_at_its_home_or_not_at_all(one: Guard, several: Guard, clock: ManualClock) -> None:
    """One whose ordered key has another home arrives without its unique key, and is named: two could hold it else."""
    jobs = [_named(number, clock()) for number in range(20)]
    put(one.driver, *jobs)
    without = set(Mover(one, several, pause=clock.advance).run().without_slot)
    assert 0 < len(without) < len(jobs)
    again = several.insert([new_job(f"{{{job.unique_key}}}:again", unique_key=job.unique_key) for job in jobs])
    assert [answer.outcome is Insertion.INSERTED for answer in again] == [job.id in without for job in jobs]
    assert len(all_of(several)) == len(jobs) + len(without)


def _named(number: int, now: int) -> StoredJob:
    names = {"key": f"customer {number}", "unique_key": f"report {number}"}
    return stored_job(f"job-{number}", State.PENDING, now - 50 + number, turn=0, unique_held=True, **names)
