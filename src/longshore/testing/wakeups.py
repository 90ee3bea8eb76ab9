"""What wake-ups promise, where WAKEUPS is promised."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator

import pytest

from longshore.contract import Change, Driver, Features, Listener, State
from longshore.testing.fixtures import Connect, needs
from longshore.testing.processes import Begin, ProcessFixtures
from longshore.testing.samples import QUEUE, new_job, put, take
from longshore.testing.together import together

TOPIC = f"queue:{QUEUE}"
SOON = 5.0
"""Seconds within which a wake-up comes, on a machine that is busy."""

Listen = Callable[..., Listener]


class WakeUps(ProcessFixtures):
    """Hints."""

    @pytest.fixture
    def loud(self, store: Driver) -> Driver:
        """A store with wake-ups."""
        needs(store, Features.WAKEUPS)
        return store

    @pytest.fixture
    def listen(self, loud: Driver) -> Iterator[Listen]:
        """Begins to listen; all listeners are closed at the end."""
        begun: list[Listener] = []

        def listen(*topics: str, store: Driver = loud) -> Listener:
            begun.append(store.listen(topics or (TOPIC,)))
            return begun[-1]

        yield listen
        for listener in begun:
            listener.close()

    def test_an_insert_wakes_who_listens_to_its_queue(self, loud: Driver, listen: Listen) -> None:
        """An insert of a pending job wakes the listeners of its queue."""
        listener = listen()
        put(loud, new_job("a"))
        assert listener.wait(self.patience), "an insert woke nobody"

    def test_a_wake_up_between_claim_and_wait_is_not_lost(self, loud: Driver, listen: Listen) -> None:
        """A wake-up that comes when nobody waits makes the next `wait` return at once."""
        listener = listen()
        assert take(loud) == []
        loud.wake([TOPIC])
        settle_down(loud)
        assert listener.wait(self.patience), "a wake-up between a claim and the wait was lost"

    def test_a_wake_up_ends_a_wait(self, loud: Driver, listen: Listen) -> None:
        """A wake-up from another thread ends a wait soon."""
        listener = listen()
        waiting = threading.Event()

        def wait() -> float:
            waiting.set()
            assert listener.wait(self.patience), "nobody was woken"
            return time.monotonic()

        def wake() -> float:
            waiting.wait(self.patience)
            loud.wake([TOPIC])
            return time.monotonic()

        woken, told = together(wait, wake)
        assert woken - told < SOON, "a wake-up came late"

    def test_a_wait_without_a_wake_up_ends_in_time(self, listen: Listen) -> None:
        """`wait` returns False after its timeout; wake-ups may be invented, but not without end."""
        listener = listen()
        found = [listener.wait(0.01) for _ in range(20)]
        assert False in found, "a listener is woken again and again by nothing"

    def test_one_wake_up_is_one(self, loud: Driver, listen: Listen) -> None:
        """After `wait` returned True it waits for the next wake-up, which comes as well."""
        listener = listen()
        for _ in range(3):
            loud.wake([TOPIC])
            assert listener.wait(self.patience), "a later wake-up was lost"
            found = [listener.wait(0.01) for _ in range(20)]
            assert False in found, "one wake-up woke without end"

    def test_every_listener_is_woken(self, loud: Driver, listen: Listen, connect: Connect) -> None:
        """One wake-up reaches every listener of its topic, of this connection and of others, whatever else they listen
        to."""
        listeners = [listen(), listen(TOPIC, "other"), listen("more", TOPIC), listen(store=connect())]
        loud.wake(["nobody", TOPIC])
        assert [listener.wait(self.patience) for listener in listeners] == [True] * 4

    def test_many_queues_wake_each_its_listeners(self, loud: Driver, listen: Listen) -> None:
        """One insert into several queues wakes the listeners of each."""
        listeners = [listen(f"queue:{name}") for name in "xyz"]
        put(loud, *(new_job(name, queue=name) for name in "xyz"))
        assert [listener.wait(self.patience) for listener in listeners] == [True] * 3

    def test_an_interruption_ends_a_wait(self, listen: Listen) -> None:
        """`interrupt` makes a `wait` in another thread return at once."""
        listener = listen()
        started = time.monotonic()
        together(lambda: listener.wait(self.patience), listener.interrupt)
        assert time.monotonic() - started < SOON, "an interruption was lost"

    def test_a_closed_listener_disturbs_nobody(self, loud: Driver, listen: Listen) -> None:
        """Listeners that have gone do not hinder who wakes, nor other listeners."""
        gone, stays = listen(), listen()
        gone.close()
        gone.close()
        loud.wake([TOPIC])
        assert stays.wait(self.patience)

    def test_a_commit_wakes(self, loud: Driver, listen: Listen) -> None:
        """An insert with ``tx`` wakes when it is committed, at the latest."""
        needs(loud, Features.TRANSACTIONS)
        listener = listen()
        with loud.transaction() as tx:
            loud.insert([new_job("a")], tx=tx)
            loud.update([Change("a", fields={"priority": 1})], tx=tx)
        assert listener.wait(self.patience), "a commit woke nobody"
        assert [job.state for job in take(loud)] == [State.RUNNING]

    def test_other_processes_are_woken(self, shared: Driver, begin: Begin) -> None:
        """A wake-up reaches listeners in other processes soon, and theirs reach us."""
        needs(shared, Features.WAKEUPS)
        processes = [begin("listen", topics=[TOPIC], timeout=self.patience) for _ in range(2)]
        for process in processes:
            assert process.hear() == "ready"
            process.go()
        told = time.time()
        put(shared, new_job("a"))
        answers = [process.hear() for process in processes]
        assert [woken for woken, _ in answers] == [True, True], "another process was not woken"
        assert all(when - told < SOON for _, when in answers)

    def test_a_killed_listener_disturbs_nobody(self, shared: Driver, begin: Begin) -> None:
        """A listener whose process was killed does not hinder who wakes, nor other listeners."""
        needs(shared, Features.WAKEUPS)
        process = begin("listen", topics=[TOPIC], timeout=self.patience)
        assert process.hear() == "ready"
        process.kill()
        listener = shared.listen([TOPIC])
        for number in range(3):
            put(shared, new_job(f"{number}"))
            assert listener.wait(self.patience)
        listener.close()


def settle_down(store: Driver) -> None:
    """A round trip, so that a wake-up on its way has come before the wait begins."""
    store.now()
