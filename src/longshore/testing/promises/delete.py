"""What `delete` promises."""

from __future__ import annotations

from longshore.contract import EVERY, SECOND, By, Driver, Insertion, State, UniqueScope, Where
from longshore.testing.clock import ManualClock
from longshore.testing.fixtures import StoreFixtures, one_place
from longshore.testing.samples import end, ids, move, names, new_job, put, run, settle, start, stored, take, walk


class DeletePromises(StoreFixtures):
    """Removals."""

    @one_place
    def test_what_is_asked_for_is_removed_and_answered(self, store: Driver) -> None:
        """`delete` removes the jobs that ``where`` asks for and no other, and answers their ids."""
        put(store, *(new_job(name) for name in "abcd"), new_job("waiting", waiting=True))
        end(store, "a")
        end(store, "b")
        assert sorted(store.delete(Where(states=[State.CANCELLED, State.WAITING]))) == ["a", "b", "waiting"]
        assert ids(walk(store)) == ["c", "d"]
        assert store.delete(Where(ids=["a", "nobody"])) == []
        assert ids(take(store)) == ["c", "d"]

    def test_held_jobs_are_never_removed(self, store: Driver) -> None:
        """A reserved or running job stays, whoever asks for it."""
        put(store, new_job("reserved"), new_job("running"), new_job("free"))
        start(store, "reserved", reserve=True)
        start(store, "running")
        assert store.delete(EVERY) == ["free"], "a held job was removed"
        assert ids(walk(store)) == ["reserved", "running"]

    @one_place
    def test_the_oldest_are_removed_first(self, store: Driver, clock: ManualClock) -> None:
        """At most ``limit`` jobs are removed, those that were created first."""
        for name in ("z", "y", "b", "a", "c"):
            put(store, new_job(name))
            clock.advance(1)
        assert sorted(store.delete(EVERY, limit=2)) == ["y", "z"], "removed were not the oldest"
        assert store.delete(EVERY, limit=1) == ["b"]
        assert ids(walk(store)) == ["a", "c"]

    def test_held_jobs_do_not_use_up_the_limit(self, store: Driver) -> None:
        """Jobs that stay do not count: the oldest that may go are removed."""
        put(store, *(new_job(name) for name in "abcd"))
        start(store, "a")
        start(store, "b")
        assert sorted(store.delete(EVERY, limit=2)) == ["c", "d"]

    def test_ended_jobs_are_removed_by_their_age(self, store: Driver, clock: ManualClock) -> None:
        """``ended`` names jobs that ended so long ago or longer."""
        put(store, new_job("old"), new_job("new"), new_job("open"))
        end(store, "old")
        clock.advance(60)
        end(store, "new")
        clock.advance(1)
        assert store.delete(Where(ended=61 * SECOND)) == ["old"]
        assert store.delete(Where(ended=0)) == ["new"]

    @one_place
    def test_a_job_whose_unique_period_runs_stays(self, store: Driver, clock: ManualClock) -> None:
        """A job that holds the slot of a running unique period is left until the period is over."""
        put(store, new_job("a", unique_key="u", unique_scope=UniqueScope.PERIOD, unique_for=10 * SECOND))
        end(store, "a")
        clock.advance(9)
        assert store.delete(EVERY) == [], "a unique period was cut short by a removal"
        clock.advance(1)
        assert store.delete(EVERY) == ["a"]
        assert store.insert([new_job("b", unique_key="u")])[0].outcome is Insertion.INSERTED

    @one_place
    def test_nothing_is_left_of_a_removed_job(self, store: Driver) -> None:
        """A new job under the id of a removed one has no attempts, notes, parents or result of it."""
        job = run(store, "a", notes={"old": 1}, parents=("p",), group="g", unique_key="u", key="k")
        store.update([settle(job, fields={"result": b"r", "cursor": b"c", "attempt_record": b"t"})])
        put(store, new_job("p"))
        assert store.delete(Where(ids=["a"])) == ["a"]
        assert store.insert([new_job("a", waiting=True)])[0].outcome is Insertion.INSERTED
        new = stored(store, "a")
        assert (new.attempts, new.tries, dict(new.notes), new.parents) == ((), 0, {}, ())
        assert (new.result, new.cursor, new.generation, new.settled) == (None, None, 0, None)
        assert move(store, "p", State.SUCCEEDED).releases is False, "a removed job is still somebody's child"
        assert store.count(By.GROUP_STATE) == {}

    @one_place
    def test_a_removed_child_waits_no_more(self, store: Driver) -> None:
        """A removed job does not count among the children that wait."""
        put(store, new_job("p"), new_job("child", parents=("p",), waiting=True))
        store.delete(Where(ids=["child"]))
        assert move(store, "p", State.SUCCEEDED).releases is False

    def test_many_are_removed_in_one_call(self, store: Driver, clock: ManualClock) -> None:
        """By default one call removes a thousand."""
        size = min(1_000, store.limits.batch)
        put(store, *(new_job(name) for name in names(size)))
        clock.advance(SECOND)
        put(store, new_job(names(size + 1)[-1]))
        assert sorted(store.delete(EVERY, limit=size)) == names(size)
        assert ids(walk(store)) == [names(size + 1)[-1]]
