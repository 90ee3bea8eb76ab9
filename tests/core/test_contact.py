"""Who may judge that others are dead: only who has been in touch with the store for a while, and no clock jumped."""

from __future__ import annotations

import pytest

from longshore.contract import SECOND
from longshore.worker.contact import Contact

HEARTBEAT, LEASE = 15.0, 60.0


class Process:
    """A process that beats: its own clock, the store's, and its contact."""

    def __init__(self) -> None:
        self.monotonic = 1_000.0
        self.store = 1_900_000_000.0
        self.contact = Contact(HEARTBEAT, LEASE)

    def passes(self, seconds: float) -> None:
        self.monotonic += seconds
        self.store += seconds

    def beat(self) -> bool:
        """The store answers; may this process rescue now?"""
        self.contact.held(self.monotonic, round(self.store * SECOND))
        return self.contact.may_rescue(self.monotonic)

    def beats(self, times: int) -> list[bool]:
        """Beats, each a heartbeat after the last."""
        answers = []
        for _ in range(times):
            self.passes(HEARTBEAT)
            answers.append(self.beat())
        return answers


@pytest.fixture
def process() -> Process:
    return Process()


@pytest.fixture
def steady(process: Process) -> Process:
    process.beats(20)
    return process


def test_who_never_reached_the_store_may_not(process: Process) -> None:
    assert not process.contact.may_rescue(process.monotonic + 1_000)


def test_a_process_may_after_two_heartbeats_of_contact(process: Process) -> None:
    assert process.beats(4) == [False, False, True, True]


def test_an_outage_begins_the_two_heartbeats_again(steady: Process) -> None:
    steady.contact.broken()
    assert not steady.contact.may_rescue(steady.monotonic)
    steady.passes(600)
    assert not steady.beat()
    assert steady.beats(3) == [False, True, True]


def test_an_outage_is_no_jump_of_the_clock(steady: Process) -> None:
    steady.contact.broken()
    steady.passes(600)
    steady.beat()
    assert steady.beats(2)[-1]


@pytest.mark.parametrize("jump", [16.0, 3_600.0, -16.0, -3_600.0])
def test_after_the_store_s_clock_jumped_nobody_may_for_one_lease(steady: Process, jump: float) -> None:
    steady.store += jump
    assert steady.beats(6) == [False, False, False, False, True, True]


def test_after_the_machine_slept_nobody_may_for_one_lease(steady: Process) -> None:
    steady.store += 8 * 3_600  # The process's own clock stood.
    assert steady.beats(6) == [False, False, False, False, True, True]


def test_a_jump_during_an_outage_is_noticed_too(steady: Process) -> None:
    steady.contact.broken()
    steady.store += 3_600
    assert steady.beats(6) == [False, False, False, False, True, True]


def test_a_second_jump_counts_from_itself(steady: Process) -> None:
    steady.store += 100
    steady.beats(3)
    steady.store -= 100
    assert steady.beats(6) == [False, False, False, False, True, True]


@pytest.mark.parametrize("drift", [5.0, -5.0])
def test_a_clock_that_is_a_little_off_does_no_harm(steady: Process, drift: float) -> None:
    for _ in range(10):
        steady.store += drift
        assert steady.beats(1) == [True]
