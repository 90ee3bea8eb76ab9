"""A copy leaves its source alone, and nothing of it runs before it is released; a file does the same."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from longshore import Every, Longshore
from longshore.contract import ENDED, SECOND, UNREADABLE, State, StoredJob, Write
from longshore.errors import ConfigurationError, CopyDiffers, Corrupt, IdConflict, InvalidValue
from longshore.guard import Guard
from longshore.motion import in_motion
from longshore.moving import Progress
from longshore.moving.copying import copy_store, release_copy
from longshore.moving.files import dump_to, load_from, read_dump, write_dump
from longshore.siding import COPIED
from longshore.testing.clock import ManualClock
from longshore.testing.samples import ids, new_job, put, run, settle, start, stored, take
from moving.cargo import all_of, as_they_were, many, one_of_each
from moving.conftest import Move
from moving.doomed import Died, doomed, raise_died

QUEUES = ("mail", "other")


def without_holders(jobs: list[StoredJob]) -> list[StoredJob]:
    return [replace(job, settled=None, settled_by=None) for job in as_they_were(jobs)]


class Way:
    """How a store's jobs get into another."""

    def __init__(self, name: str, folder: Path) -> None:
        self.name = name
        self._path = folder / "dump.jsonl"

    def carry(self, source: Guard, destination: Guard, **options: Any) -> Any:
        if self.name == "copy":
            return copy_store(source, destination, **options)
        dump_to(source, self._path)
        return load_from(self._path, destination, **options)

    def as_carried(self, jobs: list[StoredJob]) -> list[StoredJob]:
        return as_they_were(jobs) if self.name == "copy" else without_holders(jobs)


@pytest.fixture(params=["copy", "file"])
def way(request: pytest.FixtureRequest, tmp_path: Path) -> Way:
    return Way(request.param, tmp_path)


@pytest.mark.around
def test_all_is_there_and_nothing_runs_until_it_is_released(
    source: Guard, destination: Guard, clock: ManualClock, way: Way
) -> None:
    jobs = one_of_each(clock())
    put(source.driver, *jobs)
    before = all_of(source)
    carried = way.carry(source, destination, verify=True)
    assert sum(carried.jobs.values()) == len(jobs)
    assert all_of(source) == before
    assert take(destination.driver, queues=QUEUES) == []
    assert [job for job in all_of(destination) if job.state in ENDED] == way.as_carried(
        [job for job in jobs if job.state in ENDED]
    )
    released = release_copy(destination)
    assert released.jobs == sum(job.state not in ENDED for job in jobs)
    assert all_of(destination) == way.as_carried(jobs)
    assert ids(take(destination.driver, queues=QUEUES))[:2] == ["urgent", "plain"]


def test_what_runs_is_copied_as_if_it_had_not_begun(
    source: Guard, destination: Guard, clock: ManualClock, way: Way
) -> None:
    run(source.driver, "runs")
    put(source.driver, new_job("reserved"))
    start(source.driver, "reserved", reserve=True)
    way.carry(source, destination)
    release_copy(destination)
    for name in ("runs", "reserved"):
        job = stored(destination.driver, name)
        assert (job.state, job.holder, job.attempt) == (State.PENDING, None, 0)
    assert stored(source.driver, "runs").state is State.RUNNING


def test_a_repeat_adds_what_is_missing_and_brings_what_has_come_further(
    source: Guard, destination: Guard, clock: ManualClock, way: Way
) -> None:
    put(source.driver, new_job("a"), new_job("b"))
    way.carry(source, destination)
    put(source.driver, new_job("c"))
    source.update([settle(start(source.driver, "a"), fields={"result": b"1"})])
    way.carry(source, destination)
    assert {job.id: job.state for job in all_of(destination)} == {
        "a": State.SUCCEEDED,
        "b": State.PENDING,
        "c": State.PENDING,
    }
    assert stored(destination.driver, "a").result == b"1"
    release_copy(destination)
    assert stored(destination.driver, "b").queue == "mail"


def test_schedules_rest_too(source: Guard, destination: Guard, clock: ManualClock, way: Way) -> None:
    with (
        Longshore(source.driver.target, clock=clock) as here,
        Longshore(destination.driver.target, clock=clock) as there,
    ):
        here.task(nothing)
        here.admin.schedules.put("hourly", Every(3_600), here.tasks["nothing"].call())
        here.admin.pause_queue("still")
        way.carry(source, destination)
        clock.advance(7_200)
        assert there.admin.schedules.all() == ()
        assert [each.queue for each in there.admin.paused_queues()] == ["still"]
        assert release_copy(destination).schedules == 1
        assert [each.name for each in there.admin.schedules.all()] == ["hourly"]
        assert [each.name for each in here.admin.schedules.all()] == ["hourly"]


def test_jobs_that_are_on_their_way_elsewhere_are_copied_as_they_were(
    source: Guard, destination: Guard, clock: ManualClock, way: Way, move: Move
) -> None:
    put(source.driver, *one_of_each(clock()))
    with pytest.raises(Died):
        move(*doomed(source, destination, "taking", raise_died)).run()
    way.carry(source, destination)
    release_copy(destination)
    assert all_of(destination) == way.as_carried(one_of_each(clock()))


def test_a_copy_that_stopped_half_way_holds_children_back(
    source: Guard, destination: Guard, clock: ManualClock
) -> None:
    put(source.driver, *one_of_each(clock()))
    with pytest.raises(Died):
        copy_store(source, doomed(source, destination, "inserting", raise_died)[1])
    assert in_motion(destination)
    release_copy(destination)
    assert not in_motion(destination)


def test_another_call_of_the_same_id_and_what_cannot_be_read_are_named(
    source: Guard, destination: Guard, clock: ManualClock, way: Way
) -> None:
    put(source.driver, new_job("ill", notes={UNREADABLE: "its payload"}), new_job("well"))
    with pytest.raises(Corrupt, match="1 jobs cannot be read: ill"):
        way.carry(source, destination)
    put(source.driver, new_job("a", digest=b"one"))
    put(destination.driver, new_job("a", digest=b"other"))
    with pytest.raises(IdConflict, match="1 are of other calls at the destination: a"):
        way.carry(source, destination)
    assert sorted(ids(all_of(destination))) == ["a", "well"]


def test_verify_finds_a_difference(source: Guard, destination: Guard, way: Way) -> None:
    class Careless(Guard):
        def insert(self, jobs: Any, *, tx: Any = None) -> Any:
            return super().insert([replace(job, priority=7) for job in jobs], tx=tx)

    put(source.driver, new_job("a"))
    with pytest.raises(CopyDiffers, match="priority of job a is 7, not 0"):
        way.carry(source, Careless(destination.driver), verify=True)


def test_many_and_it_is_told_how_far_it_is(source: Guard, destination: Guard, clock: ManualClock, way: Way) -> None:
    jobs = many(1_300, clock())
    source.insert(jobs)
    told: list[Progress] = []
    way.carry(source, destination, tell=told.append)
    assert [each.jobs for each in told] == sorted(each.jobs for each in told)
    assert (told[-1].jobs, {each.total for each in told}) == (1_300, {1_300})
    assert len(told) > 2
    assert {job.queue for job in all_of(destination)} == {COPIED.name}
    assert release_copy(destination).jobs == 1_300
    assert all_of(destination) == jobs


class TestFiles:
    """The format is as it is said in docs/moving.md."""

    def test_lines(self, source: Guard, clock: ManualClock) -> None:
        put(source.driver, *one_of_each(clock()))
        source.write([Write("lock", "a", b"\xff", lifetime=60 * SECOND), Write("paused queue", "q", b"7")])
        source.write([Write("holder", "anna", b"{}")])
        file = io.BytesIO()
        write_dump(source, file)
        first, pause, *jobs, lock, last = [json.loads(line) for line in file.getvalue().splitlines()]
        assert (first["longshore"]["format"], first["longshore"]["jobs"]) == (1, len(jobs))
        assert pause["record"] == {"kind": "paused queue", "key": "q", "value": "7"}
        assert lock["record"] == {"kind": "lock", "key": "a", "value": {"base64": "/w=="}, "lifetime": 60 * SECOND}
        assert last == {"end": {"jobs": len(jobs), "records": 2}}
        said = {line["job"]["id"]: line["job"] for line in jobs}
        assert said["plain"] == {
            "id": "plain",
            "queue": "mail",
            "task": "send",
            "state": "pending",
            "priority": 0,
            "created": clock() - 50,
            "due": clock() - 50,
            "codec": "json",
            "payload": '{"to":"a"}',
            "digest": "dddddddddddddddd",
            "group": "May",
        }
        assert said["called"]["if_parent_fails"] == "run"
        assert said["daily"]["unique_scope"] == "period"
        assert said["succeeded"]["result"] == {"base64": "/2RvbmU="}
        assert not {"holder", "settled", "settled_by", "version"} & {name for job in said.values() for name in job}

    def test_a_file_that_was_cut_off_is_told(self, source: Guard, destination: Guard, clock: ManualClock) -> None:
        put(source.driver, *one_of_each(clock()))
        file = io.BytesIO()
        write_dump(source, file)
        lines = file.getvalue().splitlines(keepends=True)
        with pytest.raises(InvalidValue, match="the file was cut off or changed"):
            read_dump(lines[:-1], destination)
        assert len(all_of(destination)) == len(lines) - 2
        with pytest.raises(InvalidValue, match="the file was cut off or changed"):
            read_dump([*lines[:3], *lines[4:]], destination)
        read_dump(lines, destination)

    @pytest.mark.parametrize(
        ("line", "said"),
        [
            (b"nonsense\n", "line 2: it is no line of a dump"),
            (b'{"job": {"id": "a"}}\n', "line 2: it cannot be read .Object missing required field"),
            (b'{"cargo": {}}\n', "line 2: expected a job, a record or the end; it is a 'cargo'"),
            (
                b'{"record": {"kind": "lock", "key": "a", "value": 5}}\n',
                "line 2: it cannot be read .expected a text or",
            ),
        ],
    )
    def test_a_line_that_is_none_is_named(self, destination: Guard, line: bytes, said: str) -> None:
        with pytest.raises(InvalidValue, match=said):
            read_dump([b'{"longshore": {"format": 1, "store": "x"}}\n', line], destination)

    @pytest.mark.parametrize("first", [b'{"longshore": {"format": 2}}\n', b'{"job": {}}\n'])
    def test_what_is_no_dump_is_refused(self, destination: Guard, first: bytes) -> None:
        with pytest.raises(InvalidValue, match="line 1: expected the first line of a dump of format 1"):
            read_dump([first], destination)
        with pytest.raises(InvalidValue, match="the file is empty"):
            read_dump([], destination)

    def test_a_file_that_cannot_be_opened(self, source: Guard, tmp_path: Path) -> None:
        with pytest.raises(ConfigurationError, match=r"expected a file that can be read; .*No such file"):
            load_from(tmp_path / "none", source)
        with pytest.raises(ConfigurationError, match=r"expected a file that can be written; .*No such file"):
            dump_to(source, tmp_path / "none" / "dump")

    def test_the_file_is_there_when_it_is_whole(
        self, source: Guard, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def die(_progress: Progress) -> None:
            raise Died

        put(source.driver, new_job("a"))
        with pytest.raises(Died):
            dump_to(source, tmp_path / "dump", tell=die)
        assert not (tmp_path / "dump").exists()
        dump_to(source, tmp_path / "dump")
        assert (tmp_path / "dump").exists()


def nothing() -> None: ...
