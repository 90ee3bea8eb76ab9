"""Groups: one call when the last member of a sealed group has ended, once, whatever crashes."""

from __future__ import annotations

import threading
from collections import Counter
from typing import Any

import pytest

from longshore import Call, Group, Job, Longshore, Retry, State
from longshore.calls.call import new_job
from longshore.contract import Change, Claim, NewJob, Page, Where
from longshore.errors import IdConflict, InvalidValue, JobRemoved, Unavailable
from longshore.following import Ended, callback_id, complete, follow, seal
from longshore.following.groups import CALLED, SEALED
from longshore.following.sweep import sweep
from longshore.guard import Guard
from longshore.testing.faults.cut import CutDriver, Moment
from longshore.testing.together import together
from worker.faulty import FaultyApp


class Freight:
    """Tasks of a group's members, and of its callback."""

    def __init__(self, app: Longshore) -> None:
        self.app = app
        self.done: list[str] = []
        self.group = app.group("freight")

        @app.task(retry=Retry(max_attempts=1))
        def load(number: int) -> None:
            if number < 0:
                raise ValueError(number)

        @app.task
        def tell(group: str) -> str:
            counts = app.group(group).counts()
            self.done.append(f"{counts[State.SUCCEEDED]} loaded, {counts[State.FAILED]} sunk")
            return self.done[-1]

        self.load, self.tell = load, tell

    @property
    def then(self) -> Call[str]:
        return self.tell.call(self.group.id)

    def work(self) -> None:
        self.app.worker().run(until_empty=True)

    def members(self, many: int) -> list[str]:
        """So many members, without the cost of calls."""
        jobs = [NewJob(f"{n:06}", "default", "load", b'{"number":1}', group="freight") for n in range(many)]
        self.app.store.insert(jobs)
        return [job.id for job in jobs]

    def end(self, *identities: str) -> list[Ended]:
        """Ends members as a worker does that dies before it looks what follows."""
        self.app.store.update([Change(identity, State.SUCCEEDED) for identity in identities])
        return [Ended(identity, State.SUCCEEDED, group="freight") for identity in identities]


@pytest.fixture
def freight(app: Longshore) -> Freight:
    return Freight(app)


class TestCallback:
    def test_is_made_when_the_last_member_has_ended_and_sees_how_they_did(self, freight: Freight) -> None:
        with freight.app.group("freight", then=freight.then) as group:
            group.enqueue_many([freight.load.call(number) for number in (1, 2, -1)])
        freight.work()
        assert freight.done == ["2 loaded, 1 sunk"]
        assert freight.app.job("group:freight:done").result() == "2 loaded, 1 sunk"

    def test_is_never_made_for_a_group_that_is_not_sealed(self, freight: Freight) -> None:
        freight.group.enqueue(freight.load.call(1))
        freight.work()
        sweep(freight.app.store)
        freight.work()
        assert freight.done == []

    def test_a_block_that_is_left_by_an_error_does_not_seal(self, freight: Freight) -> None:
        with pytest.raises(ZeroDivisionError), freight.app.group("freight", then=freight.then):
            raise ZeroDivisionError
        assert freight.app.store.read(SEALED) == []

    def test_is_made_at_once_for_a_group_without_members(self, freight: Freight) -> None:
        job = freight.group.seal(freight.then)
        assert job.info().state is State.PENDING

    def test_is_made_at_once_where_all_have_ended_before_it_is_sealed(self, freight: Freight) -> None:
        freight.group.enqueue(freight.load.call(1))
        freight.work()
        freight.group.seal(freight.then)
        freight.work()
        assert freight.done == ["1 loaded, 0 sunk"]

    def test_waits_for_members_that_others_add_while_they_run(self, freight: Freight) -> None:
        @freight.app.task
        def unpack(depth: int) -> None:
            if depth:
                freight.group.enqueue(unpack.call(depth - 1))

        freight.group.enqueue(unpack.call(3))
        freight.group.seal(freight.then)
        freight.work()
        assert freight.done == ["4 loaded, 0 sunk"]

    def test_members_are_added_by_name_too(self, freight: Freight) -> None:
        jobs = [freight.load.options(group=group).enqueue(1) for group in ("freight", freight.group)]
        assert {job.info().group for job in jobs} == {"freight"}
        assert freight.group.counts()[State.PENDING] == 2

    @pytest.mark.parametrize("way", ["cancel", "purge", "remove", "fetch", "here"])
    def test_is_made_whoever_ends_the_last(self, freight: Freight, way: str) -> None:
        last = freight.group.enqueue(freight.load.call(1))
        freight.group.seal(freight.then)
        admin = freight.app.admin
        if way == "fetch":
            with freight.app.fetch() as fetch:
                fetch.take()[0].finish()
        else:
            acts: dict[str, Any] = {"cancel": admin.cancel, "remove": admin.remove, "here": admin.run_here}
            acts[way](last.id) if way in acts else admin.purge()
        assert freight.app.job("group:freight:done").info().state is State.PENDING

    def test_waits_for_members_that_wait_themselves(self, freight: Freight) -> None:
        parent = freight.load.options(delay=600).enqueue(1)
        child = freight.load.options(after=parent, group="freight").enqueue(1)
        freight.group.seal(freight.then)
        assert not is_called(freight)
        freight.app.admin.cancel(parent.id)
        assert child.info().state is State.CANCELLED
        assert is_called(freight), "a child that is cancelled with its parent is a member that has ended"


def is_called(freight: Freight) -> bool:
    try:
        freight.app.job("group:freight:done").info()
    except JobRemoved:
        return False
    return True


class TestSealing:
    def test_again_with_the_same_call_changes_nothing(self, freight: Freight) -> None:
        freight.group.enqueue(freight.load.call(1))
        assert freight.group.seal(freight.then) == freight.group.seal(freight.then)
        freight.work()
        freight.app.admin.remove(callback_id("freight"))
        freight.group.seal(freight.then)
        assert not is_called(freight), "once it has called back it never does again"
        assert len(freight.done) == 1

    def test_with_another_call_is_a_conflict(self, freight: Freight) -> None:
        freight.group.enqueue(freight.load.call(1))
        freight.group.seal(freight.then)
        for _ in range(2):
            with pytest.raises(IdConflict, match="sealed with another callback before"):
                freight.group.seal(freight.load.call(7))
            freight.work()

    def test_the_callback_can_have_no_bonds_of_its_own(self, freight: Freight) -> None:
        for options in ({"id": "x"}, {"after": "x"}, {"group": "x"}, {"key": "x"}):
            with pytest.raises(InvalidValue, match="under the group's own id"):
                freight.group.seal(freight.tell.options(**options).call("x"))  # type: ignore[arg-type]

    @pytest.mark.parametrize("name", ["", "x" * 190, "a\0b"])
    def test_a_name_of_which_no_id_can_be_made_is_refused(self, app: Longshore, name: str) -> None:
        with pytest.raises(InvalidValue, match="a group's callback"):
            app.group(name)

    def test_groups_without_a_name_are_apart(self, app: Longshore) -> None:
        assert app.group().id != app.group().id
        assert repr(Group(app, "g")) == "<Group g>"


class TestOnce:
    def test_two_workers_that_end_the_last_two_at_once(self, freight: Freight) -> None:
        first, second = freight.members(2)
        freight.group.seal(freight.then)
        store = freight.app.store
        together(*[lambda one=one: follow(store, freight.end(one)) for one in (first, second)])
        assert len(store.select(Where(ids=[callback_id("freight")])).jobs) == 1
        freight.work()
        assert freight.done == ["2 loaded, 0 sunk"]

    def test_many_workers_and_members(self, freight: Freight) -> None:
        others = [Longshore(freight.app.store.driver.target) for _ in range(2)]
        for other in others:
            Freight(other).done = freight.done
        freight.members(60)
        freight.group.seal(freight.then)
        callback: Job[str] = freight.app.job(callback_id("freight"))
        with others[0].worker(slots=3), others[1].worker(slots=3), freight.app.worker(slots=3):
            ended = threading.Event()
            while not is_called(freight):
                ended.wait(0.01)
            assert callback.result(timeout=30) == "60 loaded, 0 sunk"
        assert freight.done == ["60 loaded, 0 sunk"]
        for other in others:
            other.close()


class TestCost:
    @pytest.mark.parametrize("many", [200, 2_000])
    def test_to_look_for_a_member_costs_the_same_among_many(self, freight: Freight, many: int) -> None:
        """So a million members cost a million such looks at most, and not more."""
        ids = freight.members(many)
        freight.group.seal(freight.then)
        store = freight.app.store
        (end,) = freight.end(ids[0])
        before = store.driver.examined()
        follow(store, [end])
        after = store.driver.examined()
        if before is not None and after is not None:
            # Steps of SQLite's virtual machine: a few hundred for the record and for the first pending member.
            assert after - before < 2_000, f"{after - before} among {many}"

    def test_a_worker_that_has_other_members_does_not_look_at_all(self, freight: Freight) -> None:
        app = FaultyApp(freight.app.store.driver.target)
        Freight(app)
        freight.members(400)
        freight.group.seal(freight.then)
        app.worker(slots=2).run(until_empty=True)
        calls: Counter[str] = app.line.calls
        assert is_called(freight)
        assert calls["read"] < 100, f"{calls} for 400 members"
        app.close()


class TestCrashes:
    def test_the_last_member_ended_and_nobody_looked(self, freight: Freight) -> None:
        freight.members(2)
        freight.group.seal(freight.then)
        freight.end("000000", "000001")
        assert not is_called(freight)
        sweep(freight.app.store)
        assert is_called(freight)

    def test_the_group_was_sealed_and_nobody_looked(self, freight: Freight) -> None:
        line = CutDriver(freight.app.store.driver)
        line.cut("select", Moment.BEFORE)
        with pytest.raises(Unavailable):
            seal(Guard(line, patience=0), "freight", new_job(freight.then, callback_id("freight"), b""))
        assert not is_called(freight)
        sweep(freight.app.store)
        assert is_called(freight)

    def test_the_callback_was_stored_and_the_group_not_marked(self, freight: Freight) -> None:
        freight.members(1)
        freight.group.seal(freight.then)
        ends = freight.end("000000")

        line = CutDriver(freight.app.store.driver)
        line.cut("write", Moment.BEFORE)
        with pytest.raises(Unavailable):
            follow(Guard(line, patience=0), ends)
        assert is_called(freight)
        freight.work()
        sweep(freight.app.store)
        freight.work()
        assert len(freight.done) == 1, "it was inserted again, under its id"
        assert [record.key for record in freight.app.store.read(CALLED)] == ["freight"]
        assert freight.app.store.read(SEALED) == []

    def test_a_member_that_changes_its_state_between_two_looks_is_seen(self, freight: Freight) -> None:
        """PENDING is looked at alone, first: who is RUNNING then and PENDING a moment later must not be missed."""
        freight.members(1)
        freight.group.seal(freight.then)
        driver = freight.app.store.driver
        (held,) = driver.claim([Claim(("default",))], holder="h", limit=1).jobs

        class Restless(CutDriver):
            """After each look the member is handed back."""

            def select(self, where: Where, **rest: Any) -> Page:
                page = super().select(where, **rest)
                driver.update([Change(held.id, State.PENDING)])
                return page

        assert complete(Guard(Restless(driver), patience=0), ["freight"]) == []
        assert not is_called(freight)
