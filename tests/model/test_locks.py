"""Named locks: how many are inside, for how long, and what operators see of it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from longshore import Context, Lock, Longshore
from longshore.contract import HELD, SECOND, Claim, State, Where
from longshore.errors import InvalidValue, LockHeld, LockLost
from longshore.holders import Lease, rescue
from longshore.locks.record import KIND
from longshore.testing.clock import ManualClock
from longshore.testing.together import together


def is_free(lock: Lock) -> bool:
    """Whether it can be acquired, by doing so."""
    try:
        with lock:
            return True
    except LockHeld:
        return False


class TestHolding:
    def test_one_is_inside_at_a_time(self, app: Longshore) -> None:
        with app.lock("a") as lock:
            assert lock.is_held()
            with pytest.raises(LockHeld, match="room for another in 'a'; 1 or more"):
                app.lock("a", wait=0).acquire()
        assert not lock.is_held()
        assert is_free(app.lock("a", wait=0))

    def test_as_many_are_inside_as_it_has_holders(self, app: Longshore) -> None:
        locks = [app.lock("a", holders=3, wait=0) for _ in range(3)]
        for lock in locks:
            lock.acquire()
        assert not is_free(app.lock("a", holders=3, wait=0))
        locks[1].release()
        assert is_free(app.lock("a", holders=3, wait=0))

    def test_each_is_held_to_its_own_number_of_holders(self, app: Longshore) -> None:
        with app.lock("a", holders=3), app.lock("a", holders=3):
            assert not is_free(app.lock("a", holders=2, wait=0))
            assert is_free(app.lock("a", holders=3, wait=0))

    def test_names_do_not_meet(self, app: Longshore) -> None:
        with app.lock("a"), app.lock("a/1"), app.lock("a%"), app.lock("Ä" * 100):
            assert not is_free(app.lock("a/1", wait=0))
            assert is_free(app.lock("A", wait=0))

    def test_it_can_be_acquired_again(self, app: Longshore) -> None:
        lock = app.lock("a", wait=0)
        with lock:
            first = lock.owner
            with pytest.raises(LockHeld, match="this very object holds it"):
                lock.acquire()
        assert lock.owner == ""
        with lock:
            assert lock.owner not in ("", first)

    def test_an_error_inside_lets_go_and_goes_on(self, app: Longshore) -> None:
        with pytest.raises(ZeroDivisionError), app.lock("a"):
            raise ZeroDivisionError
        assert is_free(app.lock("a", wait=0))

    def test_each_hold_has_a_larger_token_also_after_all_was_forgotten(
        self, timed: Longshore, clock: ManualClock
    ) -> None:
        tokens = []
        for lapse in (False, True, False, False):
            lock = timed.lock("a", lifetime=5, wait=0)
            lock.acquire()
            tokens.append(lock.token or 0)
            if lapse:
                clock.advance(5)
            else:
                lock.release()
            assert timed.store.read(KIND) == [], "a name that nobody holds leaves something"
        assert tokens == sorted(set(tokens)), tokens

    def test_whether_it_is_taken_can_be_asked_without_taking_it(self, app: Longshore) -> None:
        lock = app.lock("a", holders=2)
        assert not lock.locked()
        assert app.store.read(KIND) == []
        with app.lock("a", holders=2):
            assert not lock.locked()
            with app.lock("a", holders=2):
                assert lock.locked()

    @pytest.mark.parametrize(
        ("options", "said"),
        [
            ({"name": ""}, "a lock's name must be 1 to 200 bytes"),
            ({"name": "x" * 201}, "a lock's name must be 1 to 200 bytes"),
            ({"holders": 0}, "holders must be between 1 and 1,000; it is 0"),
            ({"holders": 1001}, "holders must be between 1 and 1,000"),
            ({"lifetime": 0}, "lifetime must be longer than nothing"),
            ({"lifetime": -1}, "lifetime must be a number of seconds"),
            ({"lifetime": None}, "outside of one, give it a lifetime"),
            ({"wait": "long"}, "wait must be a number of seconds"),
        ],
    )
    def test_what_makes_no_sense_is_refused(self, app: Longshore, options: dict[str, Any], said: str) -> None:
        with pytest.raises(InvalidValue, match=said):
            app.lock(**{"name": "a", **options})


class TestLifetime:
    def test_a_hold_ends_after_its_lifetime_by_the_store_s_clock(self, timed: Longshore, clock: ManualClock) -> None:
        timed.lock("a", lifetime=timedelta(seconds=5)).acquire()
        clock.advance(4.999)
        assert not is_free(timed.lock("a", wait=0))
        clock.advance(0.001)
        assert is_free(timed.lock("a", wait=0))

    def test_a_late_release_says_so_and_does_not_free_the_next_s_hold(
        self, timed: Longshore, clock: ManualClock
    ) -> None:
        late = timed.lock("a", lifetime=5)
        late.acquire()
        clock.advance(5)
        with timed.lock("a", wait=0) as lock:
            with pytest.raises(LockLost, match="'a' has ended"):
                late.release()
            assert [hold.owner for hold in timed.admin.locks()[0].holds] == [lock.owner]
            with pytest.raises(LockLost):
                late.release()
        assert timed.admin.locks() == ()

    def test_the_end_of_a_block_says_that_the_hold_was_lost(self, timed: Longshore, clock: ManualClock) -> None:
        with pytest.raises(LockLost), timed.lock("a", lifetime=5):
            clock.advance(5)

    def test_but_an_error_inside_goes_first(self, timed: Longshore, clock: ManualClock) -> None:
        def work() -> None:
            with timed.lock("a", lifetime=5):
                clock.advance(5)
                raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            work()

    def test_extending_makes_it_last_longer(self, timed: Longshore, clock: ManualClock) -> None:
        with timed.lock("a", lifetime=5) as lock:
            token = lock.token
            for _ in range(3):
                clock.advance(4)
                lock.extend()
            lock.extend(100)
            clock.advance(99)
            assert not is_free(timed.lock("a", wait=0))
            assert lock.token == token
            (shown,) = timed.admin.locks()
            assert len(shown.holds) == 1
            assert shown.holds[0].until is not None
            assert shown.holds[0].until - shown.holds[0].since == timedelta(seconds=112)

    def test_what_is_lost_cannot_be_extended(self, timed: Longshore, clock: ManualClock) -> None:
        lock = timed.lock("a", lifetime=5)
        lock.acquire()
        clock.advance(5)
        with pytest.raises(LockLost):
            lock.extend()
        assert is_free(timed.lock("a", wait=0))

    def test_the_holder_learns_by_its_own_clock_and_asks_nobody(self, timed: Longshore) -> None:
        now = 100.0
        lock = Lock(timed, "a", lifetime=5, monotonic=lambda: now)
        with pytest.raises(LockLost):
            lock.check()
        lock.acquire()
        timed.close()
        now += 4.9
        lock.check()
        now += 0.1
        assert not lock.is_held()
        with pytest.raises(LockLost):
            lock.check()


class TestRuns:
    """Locks that end with the run of a task."""

    def test_it_is_held_while_the_task_runs_and_free_when_it_ended(self, app: Longshore) -> None:
        seen = []

        @app.task
        def work(context: Context) -> None:
            app.lock("a", lifetime=None).acquire()
            seen.extend(app.admin.locks())
            assert not is_free(app.lock("a", wait=0))

        job = work.enqueue()
        app.worker().run(until_empty=True)
        assert job.result() is None
        ((hold,),) = [lock.holds for lock in seen]
        assert (hold.job, hold.until) == (job.id, None)
        assert is_free(app.lock("a", wait=0))

    def test_who_waits_for_a_run_goes_in_when_it_is_over(self, app: Longshore) -> None:
        inside = threading.Event()

        @app.task
        def work() -> None:
            app.lock("a", lifetime=None).acquire()
            inside.set()

        with app.worker():
            work.enqueue()
            assert inside.wait(15)
            app.lock("a", wait=15).acquire()

    def test_a_retry_by_hand_ends_it(self, timed: Longshore) -> None:
        lock = self.bound(timed)
        timed.admin.retry(timed.store.select(limit=1).jobs[0].id)
        assert is_free(timed.lock("a", wait=0))
        with pytest.raises(LockLost):
            lock.extend()

    def test_the_rescue_of_a_dead_worker_s_job_ends_it(self, timed: Longshore, clock: ManualClock) -> None:
        lease = Lease(60.0)
        lease.begin(timed.store)
        self.bound(timed, lease.holder)
        clock.advance(60)
        assert not is_free(timed.lock("a", wait=0))
        assert rescue(timed.store, lease.holder, by="another", lease=SECOND) is not None
        assert is_free(timed.lock("a", wait=0))

    def test_extending_one_asks_whether_the_run_is_on(self, timed: Longshore) -> None:
        lock = self.bound(timed)
        lock.extend()
        assert lock.is_held()
        lock.release()
        assert timed.admin.locks() == ()

    def bound(self, app: Longshore, holder: str = "somebody") -> Lock:
        """A lock that was acquired in a run which never ends."""
        app.enqueue(app.call_by_name("anything"))
        (job,) = app.store.claim([Claim(("default",))], holder=holder, limit=1).jobs
        with Context(app, job):
            lock = app.lock("a", lifetime=None, wait=0)
        lock.acquire()
        assert not is_free(app.lock("a", wait=0))
        assert app.store.select(Where(states=tuple(HELD))).jobs[0].state is State.RUNNING
        return lock


class TestOperators:
    def test_they_see_who_holds_what_and_how_many_wait(self, app: Longshore) -> None:
        first, second = app.lock("b", holders=2, lifetime=10), app.lock("b", holders=2, lifetime=20)
        for lock in (first, second, app.lock("a")):
            lock.acquire()
        a, b = app.admin.locks()
        assert (a.name, len(a.holds), a.waiting) == ("a", 1, 0)
        assert (b.name, [hold.owner for hold in b.holds], b.waiting) == ("b", [first.owner, second.owner], 0)
        lengths = [hold.until - hold.since for hold in b.holds if hold.until]
        assert lengths == [timedelta(seconds=10), timedelta(seconds=20)]

    def test_what_is_over_does_not_show(self, timed: Longshore, clock: ManualClock) -> None:
        for lifetime in (5, 50):
            timed.lock("a", holders=2, lifetime=lifetime).acquire()
        clock.advance(5)
        ((hold,),) = [lock.holds for lock in timed.admin.locks()]
        assert hold.until is not None
        assert hold.until - hold.since == timedelta(seconds=50)

    def test_they_free_the_hold_that_would_end_first(self, app: Longshore) -> None:
        long, short = app.lock("a", holders=2, lifetime=50), app.lock("a", holders=2, lifetime=5)
        long.acquire()
        short.acquire()
        assert app.admin.free_lock("a")
        long.extend()
        with pytest.raises(LockLost):
            short.extend()
        assert app.admin.free_lock("a")
        assert not app.admin.free_lock("a")

    def test_they_free_one_owner_s_hold(self, app: Longshore) -> None:
        long, short = app.lock("a", holders=2, lifetime=50), app.lock("a", holders=2, lifetime=5)
        long.acquire()
        short.acquire()
        assert app.admin.free_lock("a", long.owner)
        assert not app.admin.free_lock("a", "nobody")
        short.extend()


class TestAsync:
    def test_many_tasks_of_one_loop_share_it(self, app: Longshore) -> None:
        inside = most = 0
        full = asyncio.Event()

        async def work() -> None:
            nonlocal inside, most
            async with app.lock("a", holders=3, wait=30):
                inside += 1
                most = max(most, inside)
                if inside == 3:
                    full.set()
                await full.wait()
                inside -= 1

        async def work_all() -> None:
            await asyncio.gather(*(work() for _ in range(20)))

        asyncio.run(work_all())
        assert most == 3
        assert app.admin.locks() == ()

    def test_who_is_cancelled_while_waiting_leaves_the_line(self, app: Longshore) -> None:
        async def work() -> None:
            async with app.lock("a") as lock:
                waiting = asyncio.create_task(app.lock("a").aacquire())
                await until(lambda: app.admin.locks()[0].waiting == 1)
                waiting.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await waiting
                await until(lambda: app.admin.locks()[0].waiting == 0)
                await lock.aextend(5)

        asyncio.run(work())
        assert app.admin.locks() == ()

    @pytest.mark.timed
    def test_who_is_cancelled_while_going_in_is_not_inside(self, app: Longshore) -> None:
        async def work() -> None:
            for turns in range(30):
                lock = app.lock("a", holders=2)
                going = asyncio.create_task(lock.aacquire())
                for _ in range(turns):
                    await asyncio.sleep(0)
                await asyncio.sleep(turns / 10_000)
                if not going.cancel():
                    await lock.arelease()  # Its own hold: one who was cancelled before may have just gone in.
                    continue
                with pytest.raises(asyncio.CancelledError):
                    await going
                await until(lambda: not app.admin.locks())

        asyncio.run(work())

    def test_what_is_wrong_is_said_as_without_a_loop(self, app: Longshore) -> None:
        async def work() -> None:
            async with app.lock("a") as lock:
                with pytest.raises(LockHeld):
                    await app.lock("a", wait=0).aacquire()
                await lock.arelease()
                with pytest.raises(LockLost):
                    await lock.arelease()
                await lock.aacquire()

        asyncio.run(work())


async def until(true: Callable[[], bool]) -> None:
    """Looks until it is so."""
    async with asyncio.timeout(15):
        while not await asyncio.to_thread(true):  # noqa: ASYNC110 - the store has no event for it
            await asyncio.sleep(0)


class TestManyAtOnce:
    THREADS = 8
    ROUNDS = 10

    @pytest.mark.parametrize("holders", [1, 3])
    def test_never_more_than_so_many_of_eight_threads_are_inside(self, app: Longshore, holders: int) -> None:
        inside: set[int] = set()
        counts: list[int] = []
        full = threading.Event()

        def work() -> None:
            for _ in range(self.ROUNDS):
                with app.lock("a", holders=holders, wait=30):
                    inside.add(threading.get_ident())
                    counts.append(len(inside))
                    if len(inside) == holders:
                        full.set()
                    assert full.wait(15), "there was never room for as many as may be inside"
                    inside.remove(threading.get_ident())

        together(*[work] * self.THREADS)
        assert len(counts) == self.THREADS * self.ROUNDS
        assert max(counts) == holders
        assert app.admin.locks() == ()
