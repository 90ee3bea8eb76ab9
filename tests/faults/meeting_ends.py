"""Ends, and jobs that are stored at the same moment to wait for them: the same for every engine."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, ClassVar, NamedTuple

import pytest

from faults.cut_lines import HOLDER, MOST_TRIPS, claim, finish
from faults.line import PATIENCE, Connect, Line, Lines, Lost
from longshore.contract import ENDED, Answer, Claim, Driver, Features, NewJob, State, Where
from longshore.errors import Unavailable
from longshore.following.sweep import sweep
from longshore.guard import Guard


class Way(NamedTuple):
    """A way in which a job ends: what is there before, the call that ends it, and by what another waits for it."""

    prepare: dict[str, Any]
    end: Callable[[Driver, str], Any]
    waits: Callable[[str], dict[str, Any]]


def settle(store: Driver, name: str) -> list[Answer]:
    """Ends the run of a job."""
    return store.update([finish(name)])


def exchange(store: Driver, name: str) -> Any:
    """The same, in one step with a claim."""
    return store.exchange([finish(name)], [Claim(queues=("none",))], holder=HOLDER, limit=1)


def expire(store: Driver, name: str) -> Any:
    """Claims, and meets the job past its deadline."""
    return store.claim([Claim(queues=(name,))], holder=HOLDER, limit=1)


def child(parent: str) -> dict[str, Any]:
    """Waits for a parent."""
    return {"parents": (parent,), "waiting": True}


def follower(parent: str) -> dict[str, Any]:
    """Waits for a turn."""
    return {"key": parent}


WAYS = {
    "parent": Way({}, settle, child),
    "turn": Way({"key": True}, settle, follower),
    "parent, exchanged": Way({}, exchange, child),
    "parent, expired": Way({"expires": 1}, expire, child),
    "turn, expired": Way({"expires": 1, "key": True}, expire, follower),
}


class Meeting:
    """One end, over a line on which it is held at one of its trips while another job is stored."""

    def __init__(self, near: Driver, name: str, way: Way) -> None:
        self._near = near
        self._way = way
        self.name = name
        fields = way.prepare | ({"key": name} if "key" in way.prepare else {})
        near.insert([NewJob(name, name, "t", b"{}", **fields)])
        if way.end is not expire:
            assert claim(near, name)

    def waits(self) -> bool:
        """Stores the other; whether who stored it finds that the first is still to end."""
        self._near.insert([NewJob(f"{self.name} next", "next", "t", b"{}", **self._way.waits(self.name))])
        return self.next() is State.WAITING and not self.has_ended()

    def next(self) -> State:
        """The state of the other."""
        return self._near.select(Where(ids=[f"{self.name} next"])).jobs[0].state

    def has_ended(self) -> bool:
        """Whether the first has."""
        return self._near.select(Where(ids=[self.name])).jobs[0].state in ENDED

    def is_marked(self) -> bool:
        """Whether it stands at the first that somebody waits for it."""
        return bool(self._near.select(Where(ids=[self.name], releases=True)).jobs)


class MeetingEnds(Lines):
    """Inherit from this beside an engine's fixtures ``url`` and ``connect``."""

    looks_again: ClassVar[bool]
    """Whether writers do not see each other's uncommitted ends, and so look once more after the commit."""
    looks_at_once: ClassVar[frozenset[str]] = frozenset()
    """The ways in which the server is asked for that look together with the end."""

    @pytest.fixture
    def pool(self) -> Iterator[ThreadPoolExecutor]:
        """Where ends are made that are held."""
        with ThreadPoolExecutor() as pool:
            yield pool

    @pytest.mark.parametrize("way", WAYS)
    def test_an_end_and_who_is_stored_meanwhile_see_each_other(
        self, near: Driver, far: Driver, line: Line, pool: ThreadPoolExecutor, way: str
    ) -> None:
        """At whatever moment of an end a job is stored that waits for it: one of both sees the other."""
        met = 0
        for trip in range(1, MOST_TRIPS):
            meeting = Meeting(near, f"at {trip}", WAYS[way])
            held = line.hold(trip)
            ending = pool.submit(WAYS[way].end, far, meeting.name)
            if not held.is_reached(ending.done):
                break
            waits = meeting.waits()
            held.release()
            ending.result(PATIENCE)
            met += waits
            assert meeting.has_ended()
            assert not waits or meeting.is_marked(), f"held at trip {trip}: nobody knows that somebody waits"
        line.keep()
        assert met

    @pytest.mark.parametrize("sent_again", [False, True])
    @pytest.mark.parametrize("way", WAYS)
    def test_who_dies_between_the_commit_and_the_look_leaves_it_to_the_sweep(
        self, near: Driver, far: Driver, line: Line, pool: ThreadPoolExecutor, way: str, sent_again: bool
    ) -> None:
        """Or looks then, when the change is sent again."""
        unseen = 0
        for trip in range(1, MOST_TRIPS):
            meeting = Meeting(near, f"at {trip}", WAYS[way])
            held = line.hold(trip)
            ending = pool.submit(WAYS[way].end, far, meeting.name)
            if not held.is_reached(ending.done):
                break
            waits = meeting.waits()
            line.lose(1, Lost.QUESTION)
            held.release()
            is_cut = broke(ending)
            line.keep()
            if not (is_cut and waits and meeting.has_ended() and not meeting.is_marked()):
                continue
            unseen += 1
            if sent_again and WAYS[way].end is not expire:
                WAYS[way].end(far, meeting.name)
                assert meeting.is_marked()
            sweep(Guard(near))
            assert meeting.next() is not State.WAITING
        line.keep()
        assert unseen == (self.looks_again and way not in self.looks_at_once)

    def test_an_end_in_a_transaction_leaves_it_to_the_sweep(self, near: Driver, connect: Connect) -> None:
        """Nobody looks after the application's own commit."""
        if not (self.looks_again and Features.TRANSACTIONS in near.features):
            pytest.skip("here an end in a transaction is seen, or cannot be")
        meeting = Meeting(near, "a", WAYS["parent"])
        with connect().transaction() as tx:
            near.update([finish("a")], tx=tx)
            assert meeting.waits()
        assert meeting.has_ended()
        assert not meeting.is_marked()
        sweep(Guard(near))
        assert meeting.next() is not State.WAITING


def broke(ending: Future[Any]) -> bool:
    """Whether the store did not answer."""
    try:
        ending.result(PATIENCE)
    except Unavailable:
        return True
    return False
