"""Jobs and records that several processes reach for."""

from __future__ import annotations

import os
import signal
import traceback
import warnings
from collections.abc import Callable

from longshore.contract import Driver, Features, State
from longshore.testing.fixtures import Connect, needs, one_place
from longshore.testing.processes import Begin, ProcessFixtures, all_at_once
from longshore.testing.samples import ids, names, new_job, put, take, walk

CREW = 3


def in_a_fork(act: Callable[[], None]) -> int:
    """Acts in a forked child; answers its exit code, 0 if nothing was raised."""
    with warnings.catch_warnings():
        # Other threads of a test session hold no lock that the child needs.
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    code = 1
    try:
        signal.alarm(60)
        act()
        code = 0
    finally:
        if code:
            traceback.print_exc()
        os._exit(code)


class ProcessRaces(ProcessFixtures):
    """Where SHARED is promised."""

    def test_processes_migrate_at_once(self, connect: Connect, begin: Begin) -> None:
        """Processes that migrate a new store at the same time all succeed."""
        store = connect(clock=None)
        needs(store, Features.SHARED)
        assert all_at_once([begin("migrate", name=f"{number}") for number in range(CREW)]) == ["done"] * CREW
        assert sorted(ids(walk(store))) == [f"{number}" for number in range(CREW)]

    def test_no_job_is_claimed_by_two_processes(self, shared: Driver, begin: Begin) -> None:
        """Of processes that claim and settle at once no two get one job, and together they do all."""
        wanted = names(150)
        put(shared, *(new_job(name) for name in wanted))
        done = all_at_once([begin("claim_all", holder=f"holder {number}") for number in range(CREW)])
        everything = sorted(name for names_of_one in done for name in names_of_one)
        assert everything == wanted, "a job was done by two processes, or by none"
        assert {(job.state, job.generation) for job in walk(shared)} == {(State.SUCCEEDED, 1)}

    @one_place
    def test_one_process_gets_an_id_and_a_unique_key(self, shared: Driver, begin: Begin) -> None:
        """Of processes that insert the same ids and the same unique keys one gets each."""
        wanted = names(40)
        orders = [wanted, wanted[::-1], wanted]
        landed = all_at_once([begin("insert_all", identities=each, name=f"{n}") for n, each in enumerate(orders)])
        assert sorted(name for same, _ in landed for name in same) == wanted, "an id was inserted twice"
        assert sorted(name[:-2] for _, rivals in landed for name in rivals) == wanted, "a key was given to two"

    def test_a_counter_counts_every_process(self, shared: Driver, begin: Begin) -> None:
        """Of processes that write on one version one lands."""
        assert all_at_once([begin("count_up", times=20) for _ in range(CREW)]) == ["done"] * CREW
        assert int(shared.read("counter")[0].value) == 20 * CREW, "an increment was lost"

    def test_a_forked_child_opens_its_own_connection(self, shared: Driver) -> None:
        """After a fork the child and the parent both go on with the driver that they have, without disturbing each
        other."""
        put(shared, new_job("before"))

        def act() -> None:
            for name in names(20, "child"):
                put(shared, new_job(name))
            assert ids(take(shared, id="before")) == ["before"]

        assert in_a_fork(act) == 0, "a forked child could not use the store"
        for name in names(20, "parent"):
            put(shared, new_job(name))
        assert ids(take(shared, id="before")) == []
        assert len(walk(shared)) == 41
