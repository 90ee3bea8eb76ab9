"""Whole graphs stored at once, and cancelled at once."""

from __future__ import annotations

import asyncio

import pytest

from longshore import Call, Longshore, Options, State, Unique
from longshore.errors import InvalidValue, UniqueConflict
from model.lineage import Yard


@pytest.fixture
def yard(app: Longshore) -> Yard:
    return Yard(app)


class TestBulk:
    def test_a_million_children_are_no_reason_to_stop_working(self, yard: Yard) -> None:
        """So many that one step does not release them all, while other jobs come and go."""
        parent = yard.note.call("parent")
        children = [yard.note.options(after=parent).call(f"{number}") for number in range(1_200)]
        jobs = yard.app.enqueue_many([parent, *children])
        yard.work()
        assert len(yard.log) == 1_201
        assert jobs[-1].info().state is State.SUCCEEDED

    def test_a_child_of_a_thousand_parents(self, yard: Yard) -> None:
        parents = [yard.note.call(str(number)) for number in range(1_000)]
        yard.app.enqueue_many([*parents, yard.note.options(after=parents).call("child")])
        yard.work()
        assert (yard.log[-1], len(yard.log)) == ("child", 1_001)

    def test_more_are_refused(self, yard: Yard) -> None:
        with pytest.raises(InvalidValue, match=r"1,000 parents; 1,001 are given: put the many into a group"):
            yard.note.options(after=[str(number) for number in range(1_001)])

    def test_a_parent_that_is_a_call_of_no_bulk_is_refused_and_nothing_is_stored(self, yard: Yard) -> None:
        other = yard.note.call("other")
        calls = [yard.note.call("innocent"), yard.note.options(after=other).call("child")]
        with pytest.raises(InvalidValue, match="a call that is not in it"):
            yard.app.enqueue_many(calls)
        assert yard.app.store.select().jobs == []

    def test_on_an_event_loop_a_call_that_comes_alone_names_no_other_calls(self, yard: Yard) -> None:
        """Whether both were gathered into one bulk would be left to chance."""

        async def enqueue() -> None:
            top = yard.note.call("top")
            with pytest.raises(InvalidValue, match="give all to enqueue_many"):
                await yard.app.aenqueue(yard.note.options(after=top).call("child"))
            jobs = await yard.app.aenqueue_many([top, yard.note.options(after=top).call("child")])
            assert jobs[1].info().state is State.WAITING

        asyncio.run(enqueue())

    def test_calls_that_wait_for_each_other_are_refused(self, yard: Yard) -> None:
        calls = [yard.note.options(id=one, after=other).call("x") for one, other in ("ab", "bc", "ca")]
        with pytest.raises(InvalidValue, match="waits for itself"):
            yard.app.enqueue_many(calls)
        assert yard.app.store.select().jobs == []

    @pytest.mark.parametrize("wrong", [7, None, "", object()])
    def test_what_is_no_parent_is_refused(self, yard: Yard, wrong: object) -> None:
        with pytest.raises(InvalidValue, match="parent"):
            yard.note.options(after=[wrong]).enqueue("child")  # type: ignore[list-item]

    def test_lax_and_waiting_contradict_each_other(self, yard: Yard) -> None:
        with pytest.raises(InvalidValue, match="not both"):
            yard.note.options(after="x", lax=True, if_parent_fails="wait")
        with pytest.raises(InvalidValue, match="must be one of cancel, wait"):
            yard.note.options(after="x", if_parent_fails="run")  # type: ignore[arg-type]

    def test_a_child_of_a_unique_call_waits_for_the_job_that_holds_the_key(self, yard: Yard) -> None:
        holder = yard.note.options(unique=Unique(key="k"), delay=600).enqueue("holder")
        parent = yard.note.options(unique=Unique(key="k")).call("parent")
        _, child = yard.app.enqueue_many([parent, yard.note.options(after=parent).call("child")])
        assert child.info().parents == (holder.id,)
        assert child.info().state is State.WAITING

    def test_a_child_of_a_call_that_was_refused_is_refused(self, yard: Yard) -> None:
        yard.note.options(unique=Unique(key="k"), delay=600).enqueue("holder")
        parent = yard.note.options(unique=Unique(key="k", if_held="raise")).call("parent")
        with pytest.raises(UniqueConflict):
            yard.app.enqueue_many([parent, yard.note.options(after=parent).call("child")])
        assert len(yard.app.store.select().jobs) == 1

    def test_a_call_by_name_may_have_bonds(self, yard: Yard) -> None:
        parent = yard.note.enqueue("parent")
        options: Options = yard.note.options(after=parent).call("x").options
        call: Call[object] = yard.app.call_by_name("note", {"word": "child"}, options=options)
        assert yard.app.enqueue(call).info().state is State.WAITING


class TestSubtree:
    def test_is_cancelled_with_its_root_but_for_what_is_called_at_ends(self, yard: Yard) -> None:
        root = yard.note.options(delay=600, on_end=yard.note.call("called at the end")).enqueue("root")
        lax = yard.note.options(after=root, lax=True).enqueue("lax child")
        deep = yard.note.options(after=[lax, root], if_parent_fails="wait").enqueue("deep")
        fates = yard.app.admin.cancel(root.id, subtree=True)
        assert {fate.id for fate in fates} == {root.id, lax.id, deep.id}
        assert yard.states(root, lax, deep) == [State.CANCELLED] * 3
        yard.work()
        assert yard.log == ["called at the end"]

    def test_reaches_those_whose_parents_have_ended(self, yard: Yard) -> None:
        root = yard.note.enqueue("root")
        yard.work()
        child = yard.note.options(after=root, delay=600).enqueue("child")
        yard.app.admin.cancel(root.id, subtree=True)
        assert child.info().state is State.CANCELLED
