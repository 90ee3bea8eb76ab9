"""Processes that are killed in the middle of their work."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from longshore.contract import HELD, Driver, Features, Outcome, State, StoredJob, Where
from longshore.testing.fixtures import Connect, needs
from longshore.testing.processes import Begin, ProcessFixtures
from longshore.testing.samples import ids, move, new_job, put, settle, take, walk

Kill = Callable[..., list[Any]]


class KilledProcesses(ProcessFixtures):
    """Where DURABLE is promised."""

    @pytest.fixture
    def killed(self, connect: Connect, begin: Begin) -> Kill:
        """Lets a program work until it has said some words, kills it, and answers all that it said. Nobody else is
        connected meanwhile, so that a store need not be SHARED."""

        def kill(program: str, words: int, **arguments: Any) -> list[Any]:
            store = connect(clock=None)
            needs(store, Features.DURABLE)
            store.migrate()
            store.close()
            process = begin(program, **arguments)
            return [process.hear() for _ in range(words)] + process.kill()

        return kill

    @pytest.mark.parametrize("words", [1, 4, 15])
    def test_acknowledged_jobs_survive_a_kill(self, connect: Connect, killed: Kill, words: int) -> None:
        """What an insert acknowledged is there after its process was killed with SIGKILL, and can be claimed."""
        said = killed("insert_without_end", words, name="killed")
        store = connect(clock=None)
        acknowledged = {name for names in said for name in names}
        lost = acknowledged - set(ids(walk(store, limit=1_000)))
        assert not lost, f"jobs that were acknowledged are lost: {sorted(lost)}"
        assert set(ids(drain(store))) >= acknowledged

    @pytest.mark.parametrize("words", [2, 7, 15])
    def test_acknowledged_changes_survive_a_kill(self, connect: Connect, killed: Kill, words: int) -> None:
        """What an exchange acknowledged is settled after its process was killed with SIGKILL; what it held can be
        rescued, and every job is done once."""
        said = killed("work_without_end", words, holder="killed")
        store = connect(clock=None)
        jobs = {job.id: job for job in walk(store, limit=1_000)}
        lost = [name for names in said for name in names if jobs[name].state is not State.SUCCEEDED]
        assert not lost, f"changes that were acknowledged are lost: {lost}"
        held = [job for job in jobs.values() if job.state in HELD]
        assert {job.holder for job in held} <= {"killed"}
        assert ids(store.select(Where(holder="killed"), limit=1_000).jobs[::-1]) == ids(held)
        for job in held:
            fence = {"generation": job.generation, "holder": job.holder}
            assert move(store, job.id, State.PENDING, **fence).outcome is Outcome.MOVED
        drain(store)
        assert {job.state for job in walk(store, limit=1_000)} == {State.SUCCEEDED}

    @pytest.mark.parametrize("words", [1, 20])
    def test_acknowledged_records_survive_a_kill(self, connect: Connect, killed: Kill, words: int) -> None:
        """What a write acknowledged is there after its process was killed with SIGKILL, or what it wrote after."""
        said = killed("write_without_end", words, key="n")
        (record,) = connect(clock=None).read("counter", ["n"])
        assert int(record.value) in (said[-1], said[-1] + 1), "a record that was acknowledged is lost"

    def test_a_killed_process_locks_nobody_out(self, connect: Connect, begin: Begin) -> None:
        """While processes are killed in the middle of their calls, others go on."""
        store = connect(clock=None)
        needs(store, Features.SHARED)
        store.migrate()
        for number in range(3):
            process = begin("work_without_end", holder=f"killed {number}")
            process.hear()
            process.kill()
            put(store, new_job(f"own {number}"))
            assert ids(take(store, id=f"own {number}")) == [f"own {number}"]


def drain(store: Driver) -> list[StoredJob]:
    """Ends whatever is pending, and answers it."""
    done: list[StoredJob] = []
    while jobs := take(store, holder="rescuer", limit=100):
        store.update([settle(job) for job in jobs])
        done += jobs
    return done
