"""The places of a worker that works for several stores: never more than there are, and each store gets its own."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, precondition, rule

from longshore.contract import State, StoredJob
from longshore.worker.berths import Berth, Berths
from longshore.worker.runs import Run
from longshore.worker.settings import WorkerSettings
from longshore.worker.term import Term

TASKS = ("any", "few", "one")
LIMITS = {"few": 3, "one": 1}
LATE = 1.0
"""Seconds after which nobody waits for a claim any more."""


class Hand:
    """A clock in the hand."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class Store:
    """A side of a worker, and what its store has."""

    def __init__(self, berths: Berths) -> None:
        self.told = 0
        self.berth: Berth = berths.join(self._tell)
        self.asked: int | None = None
        self.asked_at = 0.0
        self.here: list[Run] = []

    def _tell(self) -> None:
        self.told += 1


def a_run(task: str = "any") -> Run:
    job = StoredJob("j", "default", task, State.RUNNING, 0, 0, 0, "json", b"", b"")
    return Run(job, 0.0, side=None)  # type: ignore[arg-type]


class AnyUse(RuleBasedStateMachine):
    """Several sides ask, are answered in time or late or never, and begin and end jobs, in any order."""

    stores = Bundle("stores")

    @initialize(slots=st.integers(1, 12), most=st.none() | st.integers(1, 40))
    def begin(self, slots: int, most: int | None) -> None:
        self.clock = Hand()
        self.settings = WorkerSettings(slots=slots, limits=LIMITS, max_jobs=most, prefetch=0)
        self.term = Term(self.settings, monotonic=self.clock)
        self.berths = Berths(self.settings, self.term, monotonic=self.clock)
        self.all: list[Store] = []

    @rule(target=stores)
    @precondition(lambda self: len(self.all) < 4)
    def join(self) -> Store:
        self.all.append(Store(self.berths))
        return self.all[-1]

    @rule(store=stores)
    def ask(self, store: Store) -> None:
        store.asked, store.asked_at = self.berths.ask(store.berth, TASKS, 0), self.clock.now
        asked = sum(each.asked or 0 for each in self.all if each.asked_at == self.clock.now)
        assert store.asked == 0 or len(self.runs()) + asked <= self.settings.slots
        for task, room in self.berths.rooms(store.berth).items():
            assert room == 0 or room + sum(run.job.task == task for run in self.runs()) <= LIMITS[task]

    @rule(store=stores, data=st.data())
    def answer(self, store: Store, data: st.DataObject) -> None:
        rooms, brought = self.berths.rooms(store.berth), Counter[str]()
        for _ in range(store.asked or 0):
            open_tasks = [task for task in TASKS if brought[task] < rooms.get(task, 1_000)]
            brought[data.draw(st.sampled_from([*open_tasks, ""]))] += 1
        del brought[""]
        taken = [run for run in map(a_run, brought.elements()) if self.berths.begins(store.berth, run)]
        is_sure = store.asked_at == self.clock.now and self.settings.max_jobs is None
        assert not is_sure or len(taken) == brought.total(), "what was asked for in time has its place"
        store.here += taken
        self.berths.answered(store.berth, brought)
        store.asked = None

    @rule(store=stores)
    def end(self, store: Store) -> None:
        if store.here:
            self.berths.took([("any", 0.0)])
            self.berths.ends(store.berth, [store.here.pop()])

    @rule()
    def pass_time(self) -> None:
        self.clock.now += LATE

    def runs(self) -> list[Run]:
        return [run for store in self.all for run in store.here]

    @invariant()
    def what_is_limited_holds_for_all_together(self) -> None:
        if not hasattr(self, "all"):
            return
        by_task = Counter(run.job.task for run in self.runs())
        assert all(by_task[task] <= most for task, most in LIMITS.items())
        assert self.berths.busy == len(self.runs())
        most = self.settings.max_jobs
        assert most is None or self.term.left(len(self.runs())) == max(0, self.term.left(0) - len(self.runs()))

    def teardown(self) -> None:
        """Whoever asks last of all gets what nobody has, however the others left off."""
        if not getattr(self, "all", None):
            return
        self.clock.now += LATE
        free = self.settings.slots - len(self.runs())
        left = self.term.left(len(self.runs()))
        wanted = max(0, free if left is None else min(free, left))
        asking, given = self.all[-1], 0
        for _ in self.all:  # Each of the others may be offered some, and not come for them.
            given = given or self.berths.ask(asking.berth, TASKS, 0)
            self.clock.now += LATE
        assert given <= wanted
        assert bool(given) is bool(wanted)


AnyUse.TestCase.settings = settings(max_examples=40, stateful_step_count=25)
TestAnyUse = AnyUse.TestCase


@pytest.fixture
def clock() -> Hand:
    return Hand()


def berths_of(clock: Hand, **settings: object) -> Berths:
    given = WorkerSettings(**settings)  # type: ignore[arg-type]
    return Berths(given, Term(given, monotonic=clock), monotonic=clock)


def fill(berths: Berths, store: Store, number: int | None = None) -> int:
    """Asks, and brings as many as it may, or so many; gives how many."""
    granted = berths.ask(store.berth, TASKS, 0)
    brought = granted if number is None else min(number, granted)
    runs = [a_run() for _ in range(brought)]
    assert all(berths.begins(store.berth, run) for run in runs)
    store.here += runs
    berths.answered(store.berth, {"any": brought})
    return brought


def end(berths: Berths, store: Store) -> None:
    berths.ends(store.berth, [store.here.pop()])


def test_who_is_alone_gets_all(clock: Hand) -> None:
    berths = berths_of(clock, slots=10)
    full, empty = Store(berths), Store(berths)
    assert (fill(berths, empty, 0), fill(berths, full)) == (0, 10)


def test_a_claim_that_is_under_way_keeps_its_places_and_gives_back_what_it_did_not_fill(clock: Hand) -> None:
    berths = berths_of(clock, slots=10)
    one, other = Store(berths), Store(berths)
    assert berths.ask(one.berth, TASKS, 0) == 10
    assert berths.ask(other.berth, TASKS, 0) == 0
    berths.answered(one.berth, {})
    assert other.told == 1
    assert berths.ask(other.berth, TASKS, 0) == 10


def test_a_store_that_does_not_answer_holds_up_nobody(clock: Hand) -> None:
    berths = berths_of(clock, slots=10, limits={"one": 1})
    hanging, living = Store(berths), Store(berths)
    berths.ask(hanging.berth, TASKS, 0)
    assert fill(berths, living) == 0
    assert berths.lapses_at(living.berth) < 1
    clock.now = berths.lapses_at(living.berth)
    assert berths.ask(living.berth, TASKS, 0) == 10
    only = a_run("one")
    assert berths.begins(living.berth, only)
    assert not berths.begins(hanging.berth, a_run("one")), "its answer came late, and others have that place"


@pytest.mark.parametrize("slots", [1, 2, 10])
def test_two_that_are_full_of_jobs_get_about_as_many(clock: Hand, slots: int) -> None:
    berths = berths_of(clock, slots=slots)
    one, other = Store(berths), Store(berths)
    ran: Counter[Store] = Counter()
    assert (fill(berths, one), fill(berths, other)) == (slots, 0)
    line = [one] * slots
    for _ in range(200):
        first = line.pop(0)
        end(berths, first)
        ran[first] += 1
        # Who has just ended a run is the first to ask for its place; the other is told if it is its turn.
        for asking in (first, other if first is one else one):
            line += [asking] * fill(berths, asking)
        assert len(line) == slots
    assert min(ran.values()) >= 90


def test_who_was_offered_a_place_and_does_not_come_loses_it(clock: Hand) -> None:
    berths = berths_of(clock, slots=2)
    one, hanging = Store(berths), Store(berths)
    fill(berths, one)
    fill(berths, hanging)
    end(berths, one)
    assert hanging.told == 1
    assert fill(berths, one) == 0
    clock.now = berths.lapses_at(one.berth)
    assert fill(berths, one) == 1


def test_who_waits_while_all_slots_are_busy_is_not_woken_before_one_is_free(clock: Hand) -> None:
    berths = berths_of(clock, slots=1)
    one, other = Store(berths), Store(berths)
    fill(berths, one)
    fill(berths, other)
    clock.now = 3_600.0
    assert berths.lapses_at(other.berth) == float("inf")
    end(berths, one)
    assert other.told == 1
    assert fill(berths, other) == 1
