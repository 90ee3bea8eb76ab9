"""What ``tx`` promises, where TRANSACTIONS is promised."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import pytest

from longshore.contract import SECOND, Change, Driver, Features, Insertion, Outcome, State, Where, Write
from longshore.testing.clock import ManualClock
from longshore.testing.fixtures import Connect, StoreFixtures, needs
from longshore.testing.samples import end, ids, new_job, outcomes, put, run, settle, state_of, stored, take, walk


class Changed(Exception):
    """What a test raises to roll back."""


@contextmanager
def rolled_back(store: Driver) -> Iterator[Any]:
    """A transaction that is rolled back at the end of the block."""
    with suppress(Changed), store.transaction() as tx:
        yield tx
        raise Changed


class Transactions(StoreFixtures):
    """The application's own transaction."""

    @pytest.fixture
    def bank(self, store: Driver) -> Driver:
        """A store with transactions."""
        needs(store, Features.TRANSACTIONS)
        return store

    def test_what_was_done_in_a_transaction_commits_with_it(self, bank: Driver) -> None:
        """Inserts, changes and writes with ``tx`` are there when the transaction has committed."""
        job = run(bank, "old")
        with bank.transaction() as tx:
            assert bank.insert([new_job("new")], tx=tx)[0].outcome is Insertion.INSERTED
            assert outcomes(bank.update([settle(job, fields={"result": b"r"})], tx=tx)) == [Outcome.MOVED]
            assert bank.write([Write("kind", "a", b"1", 0)], tx=tx) != [None]
        assert state_of(bank, "old") is State.SUCCEEDED
        assert ids(take(bank)) == ["new"]
        assert bank.read("kind")[0].value == b"1"

    def test_what_was_done_in_a_transaction_rolls_back_with_it(self, bank: Driver) -> None:
        """Inserts, changes and writes with ``tx`` leave nothing behind when the transaction rolls back: not a job, nor
        an attempt, a parent, a unique slot or a turn."""
        job = run(bank, "old")
        before = stored(bank, "old")
        with rolled_back(bank) as tx:
            bank.insert([new_job("new", unique_key="u", key="k", parents=("p",), waiting=True)], tx=tx)
            bank.update([settle(job, fields={"attempt_record": b"t", "notes": {"n": 1}})], tx=tx)
            bank.write([Write("kind", "a", b"1")], tx=tx)
        assert walk(bank) == [before], "a change outlived the transaction that was rolled back"
        assert bank.read("kind") == []
        (answer,) = bank.insert([new_job("other", unique_key="u", key="k")])
        assert (answer.outcome, answer.state) == (Insertion.INSERTED, State.PENDING)
        assert outcomes(bank.update([settle(job)])) == [Outcome.MOVED]

    def test_nobody_sees_an_open_transaction(self, bank: Driver, connect: Connect) -> None:
        """What is done with ``tx`` is seen by no other connection before the commit."""
        other = connect()
        with bank.transaction() as tx:
            bank.insert([new_job("new")], tx=tx)
            bank.write([Write("kind", "a", b"1")], tx=tx)
            assert walk(other) == [], "an insert was committed before its transaction"
            assert other.read("kind") == [], "a write was committed before its transaction"
        assert ids(walk(other)) == ["new"]
        assert len(other.read("kind")) == 1

    def test_a_transaction_sees_what_it_did(self, bank: Driver) -> None:
        """Calls with one ``tx`` see what those before them did."""
        with bank.transaction() as tx:
            bank.insert([new_job("a", unique_key="u", key="k")], tx=tx)
            repeated, held, waiting = bank.insert(
                [new_job("a", unique_key="u"), new_job("b", unique_key="u"), new_job("c", key="k")], tx=tx
            )
            assert (repeated.outcome, held.outcome, held.held_by) == (Insertion.REPEATED, Insertion.HELD, "a")
            assert waiting.state is State.WAITING
            end_it = Change("a", State.CANCELLED)
            assert outcomes(bank.update([end_it], tx=tx)) == [Outcome.MOVED]
            assert bank.insert([new_job("b", unique_key="u")], tx=tx)[0].outcome is Insertion.INSERTED
            (version,) = bank.write([Write("kind", "a", b"1", 0)], tx=tx)
            assert bank.write([Write("kind", "a", b"2", 0)], tx=tx) == [None]
            assert bank.write([Write("kind", "a", b"3", version)], tx=tx) != [None]
        assert sorted(ids(walk(bank))) == ["a", "b", "c"]
        assert bank.read("kind")[0].value == b"3"

    def test_a_refusal_does_not_spoil_the_transaction(self, bank: Driver) -> None:
        """Elements that are answered REPEATED, HELD or REFUSED leave the transaction usable, and the others in it."""
        job = run(bank, "done")
        bank.update([settle(job)])
        put(bank, new_job("owner", unique_key="u"), new_job("ended", unique_key="w"))
        end(bank, "ended")
        put(bank, new_job("thief", unique_key="w"))
        with bank.transaction() as tx:
            jobs = [new_job("1"), new_job("owner"), new_job("2", unique_key="u"), new_job("3")]
            found = [answer.outcome for answer in bank.insert(jobs, tx=tx)]
            assert found == [Insertion.INSERTED, Insertion.REPEATED, Insertion.HELD, Insertion.INSERTED]
            changes = [
                Change("nobody", State.CANCELLED),
                settle(job),
                Change("ended", State.PENDING, fields={"unique_held": True}),
                Change("owner", fields={"priority": 3}),
            ]
            expected = [Outcome.REFUSED, Outcome.REPEATED, Outcome.HELD, Outcome.MOVED]
            assert outcomes(bank.update(changes, tx=tx)) == expected
            assert bank.write([Write("kind", "a", b"1", 7), Write("kind", "b", b"1")], tx=tx)[0] is None
        assert {"1", "3"} <= set(ids(walk(bank)))
        assert stored(bank, "owner").priority == 3
        assert [record.key for record in bank.read("kind")] == ["b"]

    def test_the_time_is_that_of_the_call(self, bank: Driver, clock: ManualClock) -> None:
        """What is done late in a long transaction has the time of the call, not of the transaction's beginning."""
        with bank.transaction() as tx:
            bank.insert([new_job("early")], tx=tx)
            clock.advance(60)
            bank.insert([new_job("late", delay=SECOND)], tx=tx)
        early, late = stored(bank, "early"), stored(bank, "late")
        assert late.created - early.created == 60 * SECOND
        assert late.due == clock() + SECOND

    def test_complete_and_enqueue_in_one_step(self, bank: Driver) -> None:
        """A run that settles itself in a transaction and says so again outside is answered REPEATED when the
        transaction stood, and MOVED when it was rolled back."""
        jobs = [run(bank, name) for name in ("stands", "falls")]
        with bank.transaction() as tx:
            bank.update([settle(jobs[0])], tx=tx)
            bank.insert([new_job("next")], tx=tx)
        with rolled_back(bank) as tx:
            bank.update([settle(jobs[1])], tx=tx)
        failures = [settle(job, State.FAILED) for job in jobs]
        assert outcomes(bank.update(failures)) == [Outcome.REPEATED, Outcome.MOVED]
        assert ids(walk(bank, Where(states=[State.PENDING]))) == ["next"]

    def test_a_rolled_back_job_can_be_inserted_again(self, bank: Driver) -> None:
        """After a rollback the same job is new."""
        for _ in range(2):
            with rolled_back(bank) as tx:
                assert bank.insert([new_job("a")], tx=tx)[0].outcome is Insertion.INSERTED
        put(bank, new_job("a"))

    def test_a_bulk_goes_into_a_transaction(self, bank: Driver) -> None:
        """As many elements as the limits allow go into one transaction, or leave nothing."""
        size = min(bank.limits.batch, 1_000)
        jobs = [new_job(f"{number}") for number in range(size)]
        with rolled_back(bank) as tx:
            bank.insert(jobs, tx=tx)
        assert walk(bank) == []
        with bank.transaction() as tx:
            bank.insert(jobs, tx=tx)
            bank.update([Change(job.id, State.CANCELLED) for job in jobs], tx=tx)
        assert len(walk(bank, Where(states=[State.CANCELLED]), limit=1_000)) == size
