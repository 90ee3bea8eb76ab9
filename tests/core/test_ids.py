"""Ids: they sort as they were made, and none is made twice, by whatever thread or process."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from uuid import UUID

import pytest

from longshore.ids import IdMaker

ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
MILLISECOND = 1_000_000
NOON = 1_900_000_000_000 * MILLISECOND


class Wall:
    """A clock on the wall, in nanoseconds, that somebody can set."""

    def __init__(self, now: int = NOON) -> None:
        self.now = now

    def __call__(self) -> int:
        return self.now


def uuid_of(identity: str) -> UUID:
    number = 0
    for letter in identity:
        number = number * 32 + ALPHABET.index(letter)
    return UUID(int=number)


def milliseconds_of(identity: str) -> int:
    return uuid_of(identity).int >> 80


def test_an_id_is_26_characters_that_need_no_quoting() -> None:
    identity = IdMaker()()
    assert len(identity) == 26
    assert set(identity) <= set(ALPHABET)


def test_an_id_is_a_uuid_of_version_7_that_tells_when_it_was_made() -> None:
    identity = IdMaker(clock=Wall())()
    assert (uuid_of(identity).version, uuid_of(identity).variant) == (7, "specified in RFC 4122")
    assert milliseconds_of(identity) == NOON // MILLISECOND


def test_ids_rise_while_time_passes() -> None:
    wall = Wall()
    make = IdMaker(clock=wall)
    made = []
    for _ in range(1_000):
        made.append(make())
        wall.now += MILLISECOND // 3
    assert made == sorted(set(made))


def test_ids_rise_while_the_clock_stands() -> None:
    make = IdMaker(clock=Wall())
    made = [make() for _ in range(10_000)]
    assert made == sorted(set(made))
    assert {uuid_of(identity).version for identity in made} == {7}


def test_ids_rise_when_the_clock_steps_back() -> None:
    wall = Wall()
    make = IdMaker(clock=wall)
    before = make()
    wall.now -= 3_600_000 * MILLISECOND
    after = make()
    assert before < after
    assert milliseconds_of(after) == milliseconds_of(before)


def test_a_millisecond_that_is_used_up_takes_the_ids_of_the_next() -> None:
    make = IdMaker(clock=Wall())
    first = last = make()
    # The first ten characters are the milliseconds; 20 bits count the ids within one.
    while (made := make())[:10] == first[:10]:
        last = made
    assert milliseconds_of(made) == NOON // MILLISECOND + 1
    assert made > last


def test_two_makers_never_agree() -> None:
    wall = Wall()
    one, other = IdMaker(clock=wall), IdMaker(clock=wall)
    assert {one() for _ in range(100)}.isdisjoint(other() for _ in range(100))


def test_ids_of_many_threads_are_unique_and_rise_in_each() -> None:
    make = IdMaker()
    start = threading.Barrier(8)

    def some() -> list[str]:
        start.wait()
        return [make() for _ in range(2_000)]

    with ThreadPoolExecutor(8) as pool:
        lists = [future.result() for future in [pool.submit(some) for _ in range(8)]]
    assert all(made == sorted(made) for made in lists)
    assert len({identity for made in lists for identity in made}) == 16_000


@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_a_forked_child_makes_ids_of_its_own(in_child: Callable[[Callable[[], str]], str]) -> None:
    make = IdMaker(clock=Wall())
    make()
    children = [in_child(lambda: " ".join(make() for _ in range(100))).split() for _ in range(2)]
    made = [make() for _ in range(100)]
    assert len({*made, *children[0], *children[1]}) == 300


@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_a_child_forked_while_another_thread_makes_an_id_is_not_stuck(
    in_child: Callable[[Callable[[], str]], str],
) -> None:
    parent, inside, go_on = os.getpid(), threading.Event(), threading.Event()

    def clock() -> int:
        if os.getpid() == parent:
            inside.set()
            go_on.wait(30)
        return NOON

    make = IdMaker(clock=clock)
    thread = threading.Thread(target=make)
    thread.start()
    inside.wait(30)
    try:
        assert len(in_child(make)) == 26
    finally:
        go_on.set()
        thread.join()
