"""What the contract promises of unique keys: who holds the slot, who frees it, who may take it."""

from __future__ import annotations

from msgspec.structs import replace

from longshore.contract import SECOND, Driver, Inserted, Insertion, Outcome, State, UniqueScope, Where
from longshore.testing.clock import ManualClock
from longshore.testing.fixtures import StoreFixtures, one_place
from longshore.testing.samples import end, ids, move, new_job, put, run, settle, start, stored, walk

KEY = "invoice 7"
HELD_BY_OWNER = Inserted(Insertion.HELD, held_by="owner")


def insert_rival(store: Driver, identity: str = "rival") -> Inserted:
    """Tries to insert another job with the key."""
    (answer,) = store.insert([new_job(identity, unique_key=KEY)])
    return replace(answer, state=State.PENDING)


class UniquePromises(StoreFixtures):
    """Unique slots."""

    @one_place
    def test_a_held_key_keeps_others_out(self, store: Driver) -> None:
        """While a job holds a unique key, an insert of another with it is answered HELD with the holder's id, and
        stores nothing."""
        put(store, new_job("owner", unique_key=KEY))
        assert insert_rival(store) == HELD_BY_OWNER, "two jobs hold one unique key"
        assert ids(walk(store)) == ["owner"]

    @one_place
    def test_of_two_with_one_key_in_a_call_the_earlier_wins(self, store: Driver) -> None:
        """Within one call the earlier of two jobs with one unique key is stored, the later is answered HELD by it."""
        first, second = store.insert([new_job("owner", unique_key=KEY), new_job("rival", unique_key=KEY)])
        assert first.outcome is Insertion.INSERTED
        assert (second.outcome, second.held_by) == (Insertion.HELD, "owner")
        assert ids(walk(store)) == ["owner"]

    @one_place
    def test_the_id_is_checked_before_the_key(self, store: Driver) -> None:
        """A repeated insert is answered REPEATED though its unique key is held, by itself or by another."""
        put(store, new_job("owner", unique_key=KEY), new_job("other"))
        answers = store.insert([new_job("owner", unique_key=KEY), new_job("other", unique_key=KEY)])
        found = [answer.outcome for answer in answers]
        assert found == [Insertion.REPEATED] * 2, "the unique key was checked before the id"

    @one_place
    def test_every_end_frees_the_key(self, store: Driver) -> None:
        """A job that ends frees its unique slot, however it ends."""
        ends = (State.SUCCEEDED, State.FAILED, State.CANCELLED, State.EXPIRED, State.ABANDONED)
        for number, to in enumerate(ends):
            put(store, new_job(str(number), unique_key=KEY))
            end(store, str(number), to)
            assert not stored(store, str(number)).unique_held, f"a job that is {to.name} leaks its unique slot"
        assert insert_rival(store).outcome is Insertion.INSERTED

    @one_place
    def test_a_key_until_end_is_held_by_a_run(self, store: Driver) -> None:
        """A unique slot of scope END is held while the job runs, and while it waits for a retry."""
        job = run(store, "owner", unique_key=KEY)
        assert insert_rival(store) == HELD_BY_OWNER, "a run freed a slot that it holds until its end"
        store.update([settle(job, State.PENDING, fields={"delay": SECOND})])
        assert insert_rival(store) == HELD_BY_OWNER, "a retry freed a slot that is held until the end"

    @one_place
    def test_a_key_until_start_is_freed_by_a_claim(self, store: Driver) -> None:
        """A unique slot of scope START is freed when the job is claimed to run, not before, and never taken back by
        its retries."""
        put(store, new_job("owner", unique_key=KEY, unique_scope=UniqueScope.START))
        assert insert_rival(store) == HELD_BY_OWNER
        job = start(store, "owner")
        assert not stored(store, "owner").unique_held
        assert insert_rival(store).outcome is Insertion.INSERTED
        store.update([settle(job, State.PENDING)])
        assert not stored(store, "owner").unique_held, "a retry took back a slot that was freed"

    @one_place
    def test_a_reserved_job_keeps_a_key_until_it_is_started(self, store: Driver) -> None:
        """A unique slot of scope START is kept while the job is RESERVED, and freed by the move to RUNNING."""
        put(store, new_job("owner", unique_key=KEY, unique_scope=UniqueScope.START))
        job = start(store, "owner", reserve=True)
        assert insert_rival(store) == HELD_BY_OWNER, "a reservation freed a slot that is held until start"
        store.update([settle(job, State.RUNNING)])
        assert insert_rival(store).outcome is Insertion.INSERTED

    @one_place
    def test_a_period_outlives_its_job(self, store: Driver, clock: ManualClock) -> None:
        """A unique slot of scope PERIOD is held until its time, also when the job has ended before."""
        put(store, new_job("owner", unique_key=KEY, unique_scope=UniqueScope.PERIOD, unique_for=10 * SECOND))
        end(store, "owner")
        clock.advance(9.999_999)
        assert insert_rival(store) == HELD_BY_OWNER, "a unique period was cut short by the job's end"

    @one_place
    def test_a_lapsed_period_gives_way(self, store: Driver, clock: ManualClock) -> None:
        """An insert takes the slot of a period that has passed from its holder, whatever that job does."""
        put(store, new_job("owner", unique_key=KEY, unique_scope=UniqueScope.PERIOD, unique_for=10 * SECOND))
        clock.advance(10)
        assert insert_rival(store).outcome is Insertion.INSERTED, "a unique period that has passed keeps others out"
        assert not stored(store, "owner").unique_held
        assert stored(store, "rival").unique_held

    @one_place
    def test_an_end_after_the_period_frees_the_key(self, store: Driver, clock: ManualClock) -> None:
        """A job that ends after its unique period frees the slot."""
        put(store, new_job("owner", unique_key=KEY, unique_scope=UniqueScope.PERIOD, unique_for=SECOND))
        clock.advance(2)
        end(store, "owner")
        assert not stored(store, "owner").unique_held

    @one_place
    def test_a_retry_takes_the_slot_again(self, store: Driver) -> None:
        """A change with ``unique_held`` True takes the slot of the job's key again."""
        put(store, new_job("owner", unique_key=KEY))
        end(store, "owner")
        answer = move(store, "owner", State.PENDING, fields={"unique_held": True}, renews=True)
        assert answer.outcome is Outcome.MOVED
        assert insert_rival(store) == HELD_BY_OWNER

    @one_place
    def test_a_slot_of_another_job_is_not_taken(self, store: Driver) -> None:
        """A change that would take another job's unique slot is answered HELD, and changes nothing."""
        put(store, new_job("loser", unique_key=KEY))
        end(store, "loser")
        put(store, new_job("owner", unique_key=KEY))
        before = stored(store, "loser")
        answer = move(store, "loser", State.PENDING, fields={"unique_held": True, "priority": 5}, renews=True)
        assert (answer.outcome, answer.state) == (Outcome.HELD, State.CANCELLED)
        assert stored(store, "loser") == before, "a change that was answered HELD changed something"

    @one_place
    def test_a_change_takes_a_lapsed_slot(self, store: Driver, clock: ManualClock) -> None:
        """A change takes the slot of a period that has passed, as an insert does."""
        put(store, new_job("winner", unique_key=KEY))
        end(store, "winner")
        put(store, new_job("old", unique_key=KEY, unique_scope=UniqueScope.PERIOD, unique_for=SECOND))
        clock.advance(1)
        answer = move(store, "winner", State.PENDING, fields={"unique_held": True})
        assert answer.outcome is Outcome.MOVED
        assert not stored(store, "old").unique_held

    @one_place
    def test_a_change_can_free_and_exchange_the_slot(self, store: Driver) -> None:
        """``unique_held`` False frees the slot; a new ``unique_key`` frees the old key's and takes its own."""
        put(store, new_job("owner", unique_key=KEY), new_job("other", unique_key="other"))
        assert move(store, "other", fields={"unique_key": KEY}).outcome is Outcome.HELD
        assert move(store, "owner", fields={"unique_key": "new"}).outcome is Outcome.MOVED
        assert move(store, "other", fields={"unique_key": KEY}).outcome is Outcome.MOVED
        assert move(store, "other", fields={"unique_held": False}).outcome is Outcome.MOVED
        assert insert_rival(store).outcome is Insertion.INSERTED
        assert ids(store.select(Where(unique_key="new")).jobs) == ["owner"]

    @one_place
    def test_a_removed_job_leaves_its_key(self, store: Driver) -> None:
        """`delete` frees the unique slot of a job that held it."""
        put(store, new_job("owner", unique_key=KEY))
        assert store.delete(Where(ids=["owner"])) == ["owner"]
        assert insert_rival(store).outcome is Insertion.INSERTED, "a deleted job leaks its unique slot"
