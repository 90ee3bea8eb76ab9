"""Waiting for a lock: in the order of coming, without asking all the time, and past those who died."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import pytest

from longshore import Lock, Longshore
from longshore.contract import SECOND
from longshore.errors import LockHeld, LockLost, Unavailable
from longshore.guard import Guard
from longshore.locks.record import KIND, LockRecord, Seen, Ticket, look, put, waiting
from longshore.testing.clock import ManualClock
from longshore.testing.faults.cut import Moment
from longshore.testing.together import together
from model import lock_rival
from model.counted import CountedDriver

pytestmark = pytest.mark.timed

PATIENCE = 15.0


class Pier:
    """A store whose calls are counted and can be cut, for one lock."""

    def __init__(self, app: Longshore) -> None:
        self.line = CountedDriver(app.store.driver)
        self.store = Guard(self.line, sleep=lambda seconds: None)


def line_of(app: Longshore) -> int:
    """How many wait."""
    return sum(lock.waiting for lock in app.admin.locks())


def await_line(app: Longshore, length: int) -> None:
    """Waits until so many wait."""
    ends = time.monotonic() + PATIENCE
    while line_of(app) != length:
        assert time.monotonic() < ends, f"expected {length} to wait; {line_of(app)} do"


@contextmanager
def in_line(app: Longshore, *names: str) -> Iterator[list[str]]:
    """Threads that wait for the lock, one behind the other; gives who has been inside, in order."""
    went_in: list[str] = []

    def go_in(name: str) -> None:
        with app.lock("a", wait=PATIENCE):
            went_in.append(name)

    threads = []
    for length, name in enumerate(names, 1):
        threads.append(threading.Thread(target=go_in, args=(name,)))
        threads[-1].start()
        await_line(app, length)
    yield went_in
    for thread in threads:
        thread.join(PATIENCE)


class TestWaiting:
    def test_who_waits_goes_in_when_another_goes_out(self, app: Longshore) -> None:
        took: list[float] = []
        # On a busy machine it may take longer than that to be woken.
        while len(took) < 10 and min(took, default=1) >= 0.5:
            lock = app.lock("a")
            lock.acquire()
            with in_line(app, "x"):
                began = time.monotonic()
                lock.release()
            took.append(time.monotonic() - began)
        assert min(took) < 0.5, f"they waited {took} s for a wake-up, and found it by looking again"

    def test_they_go_in_in_the_order_of_coming(self, app: Longshore) -> None:
        lock = app.lock("a")
        lock.acquire()
        with in_line(app, *"abcd") as went_in:
            lock.release()
        assert went_in == list("abcd")

    def test_who_comes_back_at_once_does_not_pass_those_who_wait(self, app: Longshore) -> None:
        lock = app.lock("a", wait=PATIENCE)
        lock.acquire()
        with in_line(app, *"ab") as went_in:
            lock.release()
            lock.acquire()
            assert went_in == list("ab")
            lock.release()

    def test_after_the_time_given_nobody_waits_any_more(self, app: Longshore) -> None:
        with app.lock("a") as lock:
            began = time.monotonic()
            with pytest.raises(LockHeld, match=r"within 0\.2 s"):
                app.lock("a", wait=0.2).acquire()
            assert time.monotonic() - began >= 0.2
            assert line_of(app) == 0
            lock.extend()

    def test_a_free_lock_costs_three_calls_each_way_and_a_taken_one_two(self, app: Longshore) -> None:
        pier = Pier(app)
        with Lock(pier, "a"):
            pass
        assert pier.line.calls == {"read": 2, "now": 2, "write": 2}
        with app.lock("a"):
            pier.line.calls.clear()
            with pytest.raises(LockHeld):
                Lock(pier, "a", wait=0).acquire()
            assert pier.line.calls == {"read": 1, "now": 1}

    def test_who_waits_asks_once_a_second_and_writes_nothing(self, app: Longshore) -> None:
        pier = Pier(app)
        with app.lock("a"), pytest.raises(LockHeld):
            Lock(pier, "a", wait=1.5).acquire()
        calls = pier.line.calls
        assert calls["write"] == 2, "a ticket is taken, and given back"
        assert calls["read"] <= 6, calls

    def test_who_was_freed_by_an_operator_makes_room(self, app: Longshore) -> None:
        lock = app.lock("a")
        lock.acquire()
        with in_line(app, "x") as went_in:
            assert app.admin.free_lock("a")
        assert went_in == ["x"]

    def test_who_waits_longer_than_a_ticket_lasts_keeps_the_place(self, timed: Longshore, clock: ManualClock) -> None:
        lock = timed.lock("a", lifetime=1000)
        lock.acquire()
        with in_line(timed, "first"):
            seen = look(timed.store, "a")
            (before,) = seen.record.tickets
            assert before.until == seen.now + 10 * SECOND
            clock.advance(6)
            ends = time.monotonic() + PATIENCE
            while look(timed.store, "a").record.tickets == (before,):
                assert time.monotonic() < ends, "the ticket is not renewed"
            (renewed,) = look(timed.store, "a").record.tickets
            assert (renewed.owner, renewed.until) == (before.owner, clock() + 10 * SECOND)
            lock.release()


class TestCrashes:
    """Each row of docs/design/crash-windows.md."""

    def test_who_died_in_the_line_is_passed_when_its_ticket_is_over(self, timed: Longshore, clock: ManualClock) -> None:
        seen = look(timed.store, "a")
        dead = Ticket("dead", seen.now + 10 * SECOND, 1)
        assert put(timed.store, "a", seen, waiting(LockRecord(), dead))
        with pytest.raises(LockHeld):
            timed.lock("a", wait=0).acquire()
        clock.advance(10)
        with timed.lock("a", wait=0):
            assert timed.admin.locks()[0].waiting == 0

    def test_a_release_that_was_not_announced_is_found_within_a_second(self, app: Longshore) -> None:
        pier = Pier(app)
        lock = Lock(pier, "a")
        lock.acquire()
        pier.line.cut("wake", Moment.BEFORE)
        with in_line(app, "x") as went_in:
            lock.release()
            assert pier.line.is_whole
        assert went_in == ["x"]

    @pytest.mark.parametrize("moment", list(Moment))
    @pytest.mark.parametrize("times", [1, 3])
    def test_who_goes_in_by_a_lost_answer_is_inside_once(self, app: Longshore, moment: Moment, times: int) -> None:
        pier = Pier(app)
        for _ in range(times):
            pier.line.cut("write", moment)
        with Lock(pier, "a", wait=0) as lock:
            assert pier.line.is_whole
            ((hold,),) = [lock.holds for lock in app.admin.locks()]
            assert hold.owner == lock.owner
        assert app.admin.locks() == ()

    def test_also_when_another_came_meanwhile(self, app: Longshore) -> None:
        pier = Pier(app)
        other = app.lock("a", holders=2, wait=0)
        pier.line.meanwhile = other.acquire
        pier.line.cut("write", Moment.AFTER)
        with Lock(pier, "a", holders=2, wait=0) as lock:
            assert pier.line.is_whole
            assert [hold.owner for hold in app.admin.locks()[0].holds] == [lock.owner, other.owner]
            lock.extend()

    def test_who_goes_out_by_a_lost_answer_is_out_and_was_inside(self, app: Longshore) -> None:
        pier = Pier(app)
        lock, other = Lock(pier, "a"), app.lock("a", wait=0)
        lock.acquire()
        pier.line.meanwhile = other.acquire
        pier.line.cut("write", Moment.AFTER)
        lock.release()
        other.extend()

    def test_who_could_not_reach_the_store_leaves_nothing_for_long(self, timed: Longshore, clock: ManualClock) -> None:
        pier = Pier(timed)
        pier.store = Guard(pier.line, patience=0)
        pier.line.cut("write", Moment.AFTER)
        pier.line.cut("write", Moment.BEFORE)  # It cannot take it back either.
        lock = Lock(pier, "a", lifetime=5)
        with pytest.raises(Unavailable):
            lock.acquire()
        assert not lock.is_held()
        with pytest.raises(LockHeld):
            timed.lock("a", wait=0).acquire()
        clock.advance(5)
        with timed.lock("a", wait=0):
            assert timed.store.read(KIND)

    def test_who_could_not_extend_does_not_believe_to_be_inside_for_longer(self, timed: Longshore) -> None:
        now = 100.0
        pier = Pier(timed)
        pier.store = Guard(pier.line, patience=0)
        lock = Lock(pier, "a", lifetime=5, monotonic=lambda: now)
        lock.acquire()
        pier.line.cut("write", Moment.BEFORE)
        with pytest.raises(Unavailable):
            lock.extend(100)
        now += 5
        with pytest.raises(LockLost):
            lock.check()

    def test_who_saw_what_is_no_longer_so_changes_nothing(self, app: Longshore) -> None:
        stale: Seen = look(app.store, "a")
        with app.lock("a") as lock:
            assert put(app.store, "a", stale, waiting(LockRecord(), Ticket("late", stale.now + SECOND, 1))) is None
            lock.extend()


class TestProcesses:
    PROCESSES = 4
    ROUNDS = 8

    @contextmanager
    def rivals(self, url: str, number: int, holders: int, rounds: int) -> Iterator[list[subprocess.Popen[str]]]:
        """So many processes, ready to go in."""
        command = [sys.executable, lock_rival.__file__, url, "a", str(holders), str(rounds)]
        with ExitStack() as ending:
            processes = [
                ending.enter_context(
                    subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
                )
                for _ in range(number)
            ]
            for process in processes:
                ending.callback(process.kill)
            for process in processes:
                assert process.stdout
                assert process.stdout.readline() == "ready\n"
            yield processes

    def test_never_more_than_so_many_of_four_processes_are_inside(self, shared_target: Any) -> None:
        with Longshore(shared_target) as app:
            app.store.now()
            with self.rivals(shared_target, self.PROCESSES, 2, self.ROUNDS) as processes:
                said = together(*[lambda each=each: each.communicate("go\n", timeout=50)[0] for each in processes])
            assert app.admin.locks() == ()
        stays = [tuple(map(int, line.split())) for lines in said for line in lines.splitlines()]
        assert len(stays) == self.PROCESSES * self.ROUNDS
        moments = sorted([(began, 1) for began, _ in stays] + [(ended, -1) for _, ended in stays])
        inside = most = 0
        for _, step in moments:
            inside += step
            most = max(most, inside)
        assert most == 2, f"{most} were inside at a time"

    def test_the_hold_of_a_killed_process_is_free_after_its_lifetime(self, shared_target: Any) -> None:
        with Longshore(shared_target) as app:
            app.store.now()
            with self.rivals(shared_target, 1, 1, 0) as (process,):
                assert process.stdin
                assert process.stdout
                process.stdin.write("go\n")
                process.stdin.flush()
                assert process.stdout.readline() == "inside\n"
                process.kill()
            (shown,) = app.admin.locks()
            until = shown.holds[0].until
            with app.lock("a", wait=PATIENCE):
                since = app.admin.locks()[0].holds[0].since
        assert until is not None
        assert since >= until
        assert (since - until).total_seconds() < 1, "it was looked at only a second later"
