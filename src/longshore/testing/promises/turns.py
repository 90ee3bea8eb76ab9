"""What the contract promises of ordered keys: who has a turn, who waits for one."""

from __future__ import annotations

from longshore.contract import Change, Driver, Inserted, Insertion, Outcome, State, Where
from longshore.testing.fixtures import StoreFixtures, one_place
from longshore.testing.samples import ids, move, new_job, put, run, settle, state_of, stored, take

KEY = "account 9"
PENDING = Inserted(Insertion.INSERTED, State.PENDING)
WAITING = Inserted(Insertion.INSERTED, State.WAITING)


class TurnPromises(StoreFixtures):
    """Turns."""

    @one_place
    def test_the_first_job_of_a_key_has_the_turn(self, store: Driver) -> None:
        """The first job of a key takes turn 0; the next is stored WAITING, without a turn."""
        answers = store.insert([new_job("a", key=KEY), new_job("b", key=KEY)])
        assert (stored(store, "a").turn, stored(store, "b").turn) == (0, None), "the turn was given to two jobs"
        assert answers == [PENDING, WAITING]
        assert ids(take(store)) == ["a"]

    @one_place
    def test_as_many_have_a_turn_as_the_key_allows(self, store: Driver) -> None:
        """A job takes the lowest free turn of its ``turns``."""
        put(store, *(new_job(name, key=KEY, turns=3) for name in "abcd"))
        assert [stored(store, name).turn for name in "abcd"] == [0, 1, 2, None]
        (answer,) = store.update([settle(take(store, id="b")[0])])
        assert answer.outcome is Outcome.MOVED
        assert move(store, "d", State.PENDING, fields={"turn": 1}).outcome is Outcome.MOVED
        assert stored(store, "d").turn == 1

    @one_place
    def test_nobody_overtakes_those_who_wait(self, store: Driver) -> None:
        """A new job is stored WAITING while another of its key is, though a turn is free."""
        job = run(store, "a", key=KEY)
        put(store, new_job("b", key=KEY))
        store.update([settle(job)])
        assert store.insert([new_job("c", key=KEY)]) == [WAITING], "a new job overtook one that waits for its turn"

    @one_place
    def test_a_job_that_waits_for_parents_takes_no_turn(self, store: Driver) -> None:
        """A job given as waiting takes no turn, and those behind it wait as well."""
        assert store.insert([new_job("a", key=KEY, waiting=True), new_job("b", key=KEY)]) == [WAITING, WAITING]
        assert (stored(store, "a").turn, stored(store, "b").turn) == (None, None)

    @one_place
    def test_keys_do_not_disturb_each_other(self, store: Driver) -> None:
        """Each key has turns of its own."""
        assert store.insert([new_job("a", key=KEY), new_job("b", key="account 10")]) == [PENDING, PENDING]

    @one_place
    def test_a_run_keeps_its_turn_until_it_ends(self, store: Driver) -> None:
        """A turn is kept while the job runs and waits for a retry, and freed by its end."""
        job = run(store, "a", key=KEY)
        store.update([settle(job, State.PENDING)])
        assert stored(store, "a").turn == 0, "a retry freed the turn"
        store.update([settle(take(store)[0])])
        assert stored(store, "a").turn is None, "an end kept the turn"
        assert store.insert([new_job("b", key=KEY)]) == [PENDING]

    @one_place
    def test_a_turn_has_one_owner(self, store: Driver) -> None:
        """A change that would take a turn that is another job's is answered HELD, and changes nothing."""
        put(store, new_job("a", key=KEY), new_job("b", key=KEY))
        answer = move(store, "b", State.PENDING, fields={"turn": 0})
        assert (answer.outcome, answer.state) == (Outcome.HELD, State.WAITING), "the turn was given to two jobs"
        assert state_of(store, "b") is State.WAITING

    @one_place
    def test_the_one_who_ends_passes_the_turn_on(self, store: Driver) -> None:
        """Within one call a turn that a change frees is free for the changes after it."""
        job = run(store, "a", key=KEY)
        put(store, new_job("b", key=KEY))
        answers = store.update([settle(job), Change("b", State.PENDING, fields={"turn": 0})])
        assert [answer.outcome for answer in answers] == [Outcome.MOVED] * 2
        assert ids(take(store)) == ["b"]

    @one_place
    def test_a_removed_job_leaves_its_turn(self, store: Driver) -> None:
        """`delete` frees the turn of a job that had it, and the place of one that waited."""
        put(store, new_job("a", key=KEY), new_job("b", key=KEY))
        assert sorted(store.delete(Where(keys=[KEY]))) == ["a", "b"]
        assert store.insert([new_job("c", key=KEY)]) == [PENDING], "a deleted job leaks its turn"
