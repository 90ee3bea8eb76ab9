"""A move that is killed at any point is gone on with by the next, or given up: each job is in one place."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Sequence
from itertools import cycle
from pathlib import Path
from typing import Any

import pytest

from conftest import Serve
from longshore import registry
from longshore.contract import Change, State, StoredJob, Write
from longshore.errors import StoreMoved
from longshore.guard import Guard
from longshore.motion import away_of, in_motion
from longshore.moving.aborting import give_up
from longshore.moving.mover import Mover
from longshore.siding import MOVING
from longshore.testing.clock import ManualClock
from longshore.testing.samples import ids, new_job, put, settle, stored, take
from moving.cargo import all_of, as_they_were, one_of_each
from moving.conftest import Move, pairs
from moving.doomed import POINTS, Died, doomed, raise_died
from stores import AROUND, fresh_store

HERE = Path(__file__).parent
QUEUES = ("mail", "other")


def load(store: Guard, now: int) -> list[StoredJob]:
    """Fills a store with a job of each kind, a rule and a record."""
    jobs = one_of_each(now)
    put(store.driver, *jobs)
    store.write([Write("paused queue", "still", b"0"), Write("group", "May", b"{}")])
    return as_they_were(jobs)


def check_arrived(source: Guard, destination: Guard, jobs: Sequence[StoredJob]) -> None:
    assert all_of(destination) == jobs
    assert all_of(source) == []
    assert [record.key for kind in ("paused queue", "group") for record in destination.read(kind)] == ["still", "May"]
    assert [record.key for kind in ("paused queue", "group") for record in source.read(kind)] == []
    assert not in_motion(destination)
    away = away_of(source)
    assert away is not None
    assert away.done


@pytest.mark.parametrize("point", POINTS)
def test_a_repeat_goes_on(source: Guard, destination: Guard, clock: ManualClock, move: Move, point: str) -> None:
    jobs = load(source, clock())
    with pytest.raises(Died):
        move(*doomed(source, destination, point, raise_died)).run()
    assert {job.id for store in (source, destination) for job in all_of(store)} == {job.id for job in jobs}
    check_nobody_begins_a_job_twice(source, destination)
    if point != "expecting no more":
        assert in_motion(destination) or point == "sealing"
    move(source, destination).run()
    # What was to be called if "urgent" fails is not needed any more once that has succeeded.
    assert {job.id for job in jobs} - {"called"} <= {*ids(all_of(destination))}
    assert all_of(source) == []


def check_nobody_begins_a_job_twice(source: Guard, destination: Guard) -> None:
    """Whoever works at both ends now has each job at one of them, and it runs once."""
    here, there = ([job.id for job in take(store.driver, queues=QUEUES, limit=50)] for store in (source, destination))
    assert not set(here) & set(there)
    for store, taken in ((source, here), (destination, there)):
        store.update([settle(stored(store.driver, name)) for name in taken])


@pytest.mark.parametrize("point", POINTS)
def test_a_repeat_brings_all_as_it_was(
    source: Guard, destination: Guard, clock: ManualClock, move: Move, point: str
) -> None:
    jobs = load(source, clock())
    with pytest.raises(Died):
        move(*doomed(source, destination, point, raise_died)).run()
    move(source, destination, verify=True).run()
    check_arrived(source, destination, jobs)


@pytest.mark.parametrize("point", POINTS)
def test_who_gives_up_has_each_job_once(
    source: Guard, destination: Guard, clock: ManualClock, move: Move, point: str
) -> None:
    jobs = load(source, clock())
    with pytest.raises(Died):
        move(*doomed(source, destination, point, raise_died)).run()
    began = clock()
    aborted = give_up(source, destination, pause=clock.advance)
    assert clock() - began <= 16_000_000, "who died is not waited for long"
    assert as_they_were([*all_of(source), *all_of(destination)]) == jobs
    assert (aborted.returned > 0) == (point == "taking")
    assert (aborted.arrived > 0) == (point in ("inserting", "freeing a period", "deleting"))
    assert (away_of(source), in_motion(source), in_motion(destination)) == (None, False, False)
    # The source takes jobs again, and what has arrived can be brought back.
    move(destination, source).run()
    assert all_of(source) == jobs


SHARED = [name for name in AROUND if name != "memory"]
FATAL = ("taking", "inserting", "deleting", "expecting no more")


@pytest.mark.parametrize(
    ("source", "destination", "point"), [(*way, point) for way, point in zip(pairs(SHARED), cycle(FATAL))]
)
def test_after_a_kill_too(source: str, destination: str, point: str, tmp_path: Path, shared_server: Serve) -> None:
    urls = []
    for name, folder in ((source, "source"), (destination, "destination")):
        tmp_path.joinpath(folder).mkdir()
        urls.append(fresh_store(name, tmp_path / folder, shared_server))
    stores = [Guard(registry.connect(url)) for url in urls]
    for store in stores:
        store.migrate()
    jobs = load(stores[0], stores[0].now())
    words = [sys.executable, "-m", "moving.doomed", *urls, point]
    done = subprocess.run(words, cwd=HERE.parent, capture_output=True, text=True, timeout=60)
    assert done.returncode == -signal.SIGKILL, done.stderr
    Mover(*stores, settle=0.0, verify=True).run()
    check_arrived(*stores, jobs)
    for store in stores:
        store.close()


class TestTwoMovers:
    def test_two_at_once_do_no_harm(self, source: Guard, destination: Guard, clock: ManualClock, move: Move) -> None:
        jobs = load(source, clock())

        class Overtaken(Guard):
            """Another moves all between the reading and the inserting of this one."""

            def insert(self, jobs: Any, *, tx: Any = None) -> Any:
                move(source, destination).run()
                return super().insert(jobs, tx=tx)

        move(source, Overtaken(destination.driver)).run()
        check_arrived(source, destination, jobs)

    def test_one_that_was_aborted_while_it_slept_removes_what_it_inserted(
        self, source: Guard, destination: Guard, clock: ManualClock, move: Move
    ) -> None:
        put(source.driver, new_job("a"))

        class Sleeper(Guard):
            def insert(self, jobs: Any, *, tx: Any = None) -> Any:
                assert give_up(source, destination, pause=clock.advance).returned == 1
                return super().insert(jobs, tx=tx)

        with pytest.raises(StoreMoved, match="the move was aborted by somebody else"):
            move(source, Sleeper(destination.driver)).run()
        assert all_of(destination) == []
        assert stored(source.driver, "a").queue == "mail"

    def test_who_gives_up_waits_while_a_mover_is_at_work(
        self, source: Guard, destination: Guard, clock: ManualClock, move: Move
    ) -> None:
        put(source.driver, new_job("a"))
        with pytest.raises(Died):
            move(*doomed(source, destination, "taking", raise_died)).run()
        began = clock()
        give_up(source, destination, pause=clock.advance)
        assert 14_000_000 <= clock() - began <= 16_000_000


class TestGivingUp:
    def test_what_was_cancelled_on_its_way_stays_so(
        self, source: Guard, destination: Guard, clock: ManualClock, move: Move
    ) -> None:
        put(source.driver, new_job("a"), new_job("b"))
        with pytest.raises(Died):
            move(*doomed(source, destination, "inserting", raise_died)).run()
        source.update([Change("a", State.CANCELLED)])
        give_up(source, destination, pause=clock.advance)
        assert {job.id: job.state for job in all_of(destination)} == {"a": State.CANCELLED, "b": State.PENDING}
        assert all_of(source) == []

    def test_another_call_of_the_same_id_goes_back(
        self, source: Guard, destination: Guard, clock: ManualClock, move: Move
    ) -> None:
        put(source.driver, new_job("a", digest=b"one"))
        put(destination.driver, new_job("a", digest=b"other"))
        with pytest.raises(Died):
            move(*doomed(source, destination, "taking", raise_died)).run()
        assert stored(source.driver, "a").queue == MOVING.name
        assert give_up(source, destination, pause=clock.advance).returned == 1
        assert stored(source.driver, "a").queue == "mail"
        assert stored(destination.driver, "a").digest == b"other"
