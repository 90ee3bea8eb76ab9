"""The guard around a driver: it repeats what was lost, splits what is too much, refuses what no store could keep."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from core.broken_line import HOLDS, LOSES_ANSWER, LOSES_CALL, BrokenLine
from longshore.contract import EVERY, Change, Claim, Insertion, Limits, NewJob, Outcome, State, Where, Write
from longshore.errors import InvalidValue, PartialInsert, TooLarge, Unavailable, Unsupported
from longshore.guard import Guard
from longshore.memory_store import MemoryStore
from longshore.testing.clock import ManualClock
from longshore.testing.samples import ANNA, QUEUE, ids, names, new_job, settle, start, stored_job


class Watch:
    """The process's own time, which passes only while the guard sleeps."""

    def __init__(self) -> None:
        self.now = 0.0
        self.slept: list[float] = []

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


@pytest.fixture
def watch() -> Watch:
    return Watch()


@pytest.fixture
def driver(memory: MemoryStore, clock: ManualClock) -> BrokenLine:
    driver = BrokenLine.connect(memory, clock=clock)
    driver.plan()
    return driver


def guarded(driver: BrokenLine, watch: Watch, patience: float = 10.0, **limits: int) -> Guard:
    driver.limits = Limits(**limits)
    return Guard(driver, patience=patience, sleep=watch.sleep, monotonic=lambda: watch.now)


@pytest.fixture
def store(driver: BrokenLine, watch: Watch) -> Guard:
    return guarded(driver, watch)


def stored_ids(store: Guard) -> list[str]:
    return sorted(ids(store.each(EVERY)))


class TestRepeats:
    @pytest.mark.parametrize("fault", [LOSES_CALL, LOSES_ANSWER])
    def test_an_insert_that_was_lost_is_sent_again_and_stored_once(
        self, store: Guard, driver: BrokenLine, fault: Any
    ) -> None:
        driver.plan(fault, fault)
        (answer,) = store.insert([new_job("a")])
        assert answer.outcome is (Insertion.REPEATED if fault is LOSES_ANSWER else Insertion.INSERTED)
        assert stored_ids(store) == ["a"]

    def test_an_update_that_was_lost_is_sent_again_and_answers_what_happened(
        self, store: Guard, driver: BrokenLine
    ) -> None:
        store.insert([new_job("a")])
        run = start(driver, "a")
        driver.plan(LOSES_ANSWER)
        (answer,) = store.update([settle(run)])
        assert (answer.outcome, answer.state) == (Outcome.REPEATED, State.SUCCEEDED)

    def test_the_pauses_grow_and_differ(self, store: Guard, driver: BrokenLine, watch: Watch) -> None:
        driver.plan(*[LOSES_CALL] * 6)
        store.insert([new_job("a")])
        assert len(watch.slept) == 6
        for pause, expected in zip(watch.slept, [0.05, 0.1, 0.2, 0.4, 0.8, 1.6], strict=True):
            assert expected / 2 <= pause <= expected * 1.5
        assert watch.slept != [0.05, 0.1, 0.2, 0.4, 0.8, 1.6]

    @pytest.mark.parametrize("patience", [0.3, 1.0, 10.0])
    def test_a_store_that_stays_away_is_given_up_in_time(
        self, driver: BrokenLine, watch: Watch, patience: float
    ) -> None:
        store = guarded(driver, watch, patience)
        driver.plan(*[LOSES_CALL] * 1_000)
        with pytest.raises(Unavailable):
            store.insert([new_job("a")])
        assert patience / 4 < watch.now <= patience

    def test_without_patience_nothing_is_repeated(self, driver: BrokenLine, watch: Watch) -> None:
        driver.plan(LOSES_CALL)
        with pytest.raises(Unavailable):
            guarded(driver, watch, 0).insert([new_job("a")])
        assert driver.calls == [("insert", 1)]

    @pytest.mark.parametrize(
        "call",
        [
            lambda store: store.insert([new_job("a")], tx=object()),
            lambda store: store.update([Change("a", State.CANCELLED)], tx=object()),
            lambda store: store.write([Write("kind", "key", b"")], tx=object()),
            lambda store: store.claim([Claim((QUEUE,))], holder=ANNA, limit=1),
            lambda store: store.exchange([], [Claim((QUEUE,))], holder=ANNA, limit=1),
            lambda store: store.exchange([Change("a", State.CANCELLED)], [], holder=ANNA, limit=1),
        ],
        ids=["insert in tx", "update in tx", "write in tx", "claim", "exchange that claims", "exchange that settles"],
    )
    def test_a_call_whose_caller_must_look_first_is_sent_once(
        self, store: Guard, driver: BrokenLine, watch: Watch, call: Callable[[Guard], object]
    ) -> None:
        driver.plan(LOSES_CALL)
        with pytest.raises(Unavailable):
            call(store)
        assert len(driver.calls) == 1
        assert not watch.slept

    def test_an_answer_that_is_no_outage_is_not_asked_for_again(self, store: Guard, watch: Watch) -> None:
        with pytest.raises(Unsupported):
            store.insert([new_job("a")], tx=object())
        with pytest.raises(Unsupported):
            store.transaction()
        assert not watch.slept


class TestChunks:
    def test_jobs_are_sent_in_calls_of_at_most_a_batch_and_answered_in_their_order(
        self, driver: BrokenLine, watch: Watch
    ) -> None:
        store = guarded(driver, watch, batch=3)
        store.insert([new_job("job-000003")])
        driver.plan()
        answers = store.insert([new_job(name) for name in names(8)])
        assert driver.calls == [("insert", 3), ("insert", 3), ("insert", 2)]
        assert [answer.outcome is Insertion.REPEATED for answer in answers] == [number == 3 for number in range(8)]

    def test_a_full_batch_is_one_call(self, driver: BrokenLine, watch: Watch) -> None:
        guarded(driver, watch, batch=3).insert([new_job(name) for name in names(3)])
        assert driver.calls == [("insert", 3)]

    def test_jobs_are_sent_in_calls_of_at_most_so_many_bytes(self, driver: BrokenLine, watch: Watch) -> None:
        store = guarded(driver, watch, batch_bytes=10)
        sizes = [4, 4, 4, 11, 1, 9, 1]
        store.insert([new_job(name, payload=b"x" * size) for name, size in zip(names(7), sizes, strict=True)])
        assert driver.calls == [("insert", 2), ("insert", 1), ("insert", 1), ("insert", 2), ("insert", 1)]

    def test_all_that_a_restored_job_carries_counts(self, driver: BrokenLine, watch: Watch) -> None:
        store = guarded(driver, watch, batch_bytes=10)
        carried: list[dict[str, Any]] = [{"result": b"x" * 6}, {"cursor": b"x" * 6}, {"attempts": (b"xxx", b"xxx")}]
        store.insert([stored_job(name, State.FAILED, 0, **more) for name, more in zip("abc", carried, strict=True)])
        assert driver.calls == [("insert", 1)] * 3

    def test_changes_are_sent_in_calls_of_at_most_a_batch_and_so_many_bytes(
        self, driver: BrokenLine, watch: Watch
    ) -> None:
        store = guarded(driver, watch, batch=4, batch_bytes=10)
        fields: list[dict[str, Any]] = [{}, {"result": b"x" * 6}, {"attempt_record": b"x" * 6}, {}, {}, {}, {}]
        answers = store.update([Change(name, None, field) for name, field in zip(names(7), fields, strict=True)])
        assert driver.calls == [("update", 2), ("update", 4), ("update", 1)]
        assert len(answers) == 7

    def test_an_exchange_sends_what_does_not_fit_before(self, driver: BrokenLine, watch: Watch) -> None:
        store = guarded(driver, watch, batch=3)
        store.insert([new_job(name) for name in names(8)])
        runs = [start(driver, name) for name in names(7)]
        driver.plan()
        answers, claimed = store.exchange(
            [settle(run) for run in runs], [Claim((QUEUE,))], holder=ANNA, limit=1_000_000
        )
        assert driver.calls == [("update", 3), ("update", 3), ("update", 1), ("claim", 1)]
        assert [answer.outcome for answer in answers] == [Outcome.MOVED] * 7
        assert ids(claimed.jobs) == names(8)[-1:]

    def test_a_claim_asks_for_no_more_than_a_batch(self, driver: BrokenLine, watch: Watch) -> None:
        store = guarded(driver, watch, batch=3)
        store.insert([new_job(name) for name in names(8)])
        assert ids(store.claim([Claim((QUEUE,))], holder=ANNA, limit=100).jobs) == list(names(8)[:3])

    def test_records_are_sent_in_calls_of_at_most_a_batch_and_so_many_bytes(
        self, driver: BrokenLine, watch: Watch
    ) -> None:
        store = guarded(driver, watch, batch=3, batch_bytes=10)
        sizes = [1, 1, 1, 1, 9, 9]
        writes = [Write("kind", name, b"x" * size, 0) for name, size in zip(names(6), sizes, strict=True)]
        store.write([Write("kind", "job-000001", b"there before")])
        driver.plan()
        versions = store.write(writes)
        assert driver.calls == [("write", 3), ("write", 2), ("write", 1)]
        assert [version is None for version in versions] == [number == 1 for number in range(6)]

    def test_nothing_is_no_call_that_fails(self, store: Guard) -> None:
        assert (store.insert([]), store.update([]), store.write([])) == ([], [], [])

    def test_each_goes_through_all_pages(self, store: Guard) -> None:
        store.insert([new_job(name) for name in names(1_201)])
        assert len({job.id for job in store.each(Where(queues=[QUEUE]))}) == 1_201


class TestPartialInsert:
    jobs = tuple(new_job(name) for name in names(8))

    @pytest.mark.parametrize("fault", [LOSES_CALL, LOSES_ANSWER])
    @pytest.mark.parametrize("failing", [1, 2])
    def test_a_chunk_that_fails_says_what_is_stored_and_the_rest_can_be_inserted_again(
        self, driver: BrokenLine, watch: Watch, failing: int, fault: Any
    ) -> None:
        store = guarded(driver, watch, patience=0, batch=3)
        driver.plan(*[HOLDS] * failing, fault)
        with pytest.raises(PartialInsert) as caught:
            store.insert(self.jobs)
        partial = caught.value
        assert isinstance(partial.__cause__, Unavailable)
        assert [answer.outcome for answer in partial.inserted] == [Insertion.INSERTED] * 3 * failing
        assert partial.remaining == list(self.jobs[3 * failing :])

        again = store.insert(partial.remaining)
        stored_before = 3 if fault is LOSES_ANSWER and failing == 1 else 0
        stored_before = 2 if fault is LOSES_ANSWER and failing == 2 else stored_before
        assert [answer.outcome for answer in again] == [Insertion.REPEATED] * stored_before + [Insertion.INSERTED] * (
            len(again) - stored_before
        )
        assert stored_ids(store) == list(names(8))

    def test_when_the_first_chunk_fails_it_is_an_outage_as_any_other(self, driver: BrokenLine, watch: Watch) -> None:
        store = guarded(driver, watch, patience=0, batch=3)
        driver.plan(LOSES_CALL)
        with pytest.raises(Unavailable):
            store.insert(self.jobs)

    def test_the_message_counts_and_says_what_to_do(self) -> None:
        assert str(PartialInsert([1, 2], [3])) == (
            "expected all of 3 jobs to be stored, 2 are; insert those in `remaining` again, with the ids they have: "
            "none can be stored twice"
        )


class TestCompareAndSet:
    def test_one_whose_first_answer_was_lost_has_won(self, store: Guard, driver: BrokenLine) -> None:
        driver.plan(LOSES_ANSWER)
        (version,) = store.write([Write("kind", "key", b"mine", 0)])
        (record,) = store.read("kind", ["key"])
        assert (record.value, record.version) == (b"mine", version)

    def test_one_that_lost_to_another_has_lost_also_when_it_was_repeated(
        self, store: Guard, driver: BrokenLine
    ) -> None:
        store.write([Write("kind", "key", b"theirs")])
        driver.plan(LOSES_CALL)
        assert store.write([Write("kind", "key", b"mine", 0)]) == [None]

    def test_an_erasure_whose_first_answer_was_lost_has_won(self, store: Guard, driver: BrokenLine) -> None:
        (version,) = store.write([Write("kind", "key", b"mine", 0)])
        driver.plan(LOSES_ANSWER)
        assert store.write([Write("kind", "key", None, version)]) != [None]
        assert store.read("kind", ["key"]) == []

    def test_an_erasure_that_lost_to_another_has_lost(self, store: Guard, driver: BrokenLine) -> None:
        (version,) = store.write([Write("kind", "key", b"mine", 0)])
        store.write([Write("kind", "key", b"theirs")])
        driver.plan(LOSES_CALL)
        assert store.write([Write("kind", "key", None, version)]) == [None]

    def test_neighbours_keep_their_own_answers(self, store: Guard, driver: BrokenLine) -> None:
        store.write([Write("kind", "taken", b"theirs")])
        driver.plan(LOSES_ANSWER)
        free, taken, any_version = store.write(
            [Write("kind", "free", b"mine", 0), Write("kind", "taken", b"mine", 0), Write("kind", "other", b"mine")]
        )
        assert free is not None
        assert taken is None
        assert any_version is not None


class TestLimits:
    def test_arguments_larger_than_allowed_are_refused_with_their_size(self, driver: BrokenLine) -> None:
        store = Guard(driver, max_payload=1_000)
        store.insert([new_job("a", payload=b"x" * 1_000)])
        with pytest.raises(TooLarge, match="1,001 bytes, more than the 1,000 allowed"):
            store.insert([new_job("b", payload=b"x" * 1_001)])

    def test_the_store_s_own_limit_holds_too(self, driver: BrokenLine, watch: Watch) -> None:
        store = guarded(driver, watch, payload=10)
        assert store.max_payload == 10
        with pytest.raises(TooLarge):
            store.insert([new_job("a", payload=b"x" * 11)])
        with pytest.raises(TooLarge):
            store.write([Write("kind", "key", b"x" * 11)])

    def test_one_wrong_job_and_none_is_stored(self, driver: BrokenLine, watch: Watch) -> None:
        store = guarded(driver, watch, batch=1)
        with pytest.raises(InvalidValue):
            store.insert([new_job("a"), new_job("b"), new_job("c", priority=40_000)])
        assert driver.calls == []

    @pytest.mark.parametrize(("priority", "fits"), [(-32_768, True), (32_767, True), (-32_769, False), (32_768, False)])
    def test_a_priority_is_a_number_of_16_bits(self, store: Guard, priority: int, fits: bool) -> None:
        if fits:
            assert store.insert([new_job("a", priority=priority)])[0].outcome is Insertion.INSERTED
        else:
            with pytest.raises(InvalidValue, match=f"between -32768 and 32767; it is {priority}"):
                store.insert([new_job("a", priority=priority)])


GOOD = ["a", "x" * 200, "ü" * 100, "\U0001f600" * 50, " ", "\x01", "a\nb"]
BAD = ["", "x" * 201, "ü" * 100 + "x", "\U0001f600" * 51, "\0", "a\0b", "\ud800", "a\udcff"]
PLACES = {"id": "a job's id", "queue": "a queue's name", "task": "a task's name"} | {
    "key": "a key",
    "unique_key": "a unique key",
    "group": "a group's name",
}


class TestTexts:
    @pytest.mark.parametrize("place", PLACES)
    @pytest.mark.parametrize("text", GOOD, ids=ascii)
    def test_a_text_of_1_to_200_bytes_is_taken_anywhere(self, store: Guard, place: str, text: str) -> None:
        assert store.insert([job_with(place, text)])[0].outcome is Insertion.INSERTED

    @pytest.mark.parametrize("place", PLACES)
    @pytest.mark.parametrize("text", BAD, ids=ascii)
    def test_any_other_is_refused_and_named(self, driver: BrokenLine, store: Guard, place: str, text: str) -> None:
        with pytest.raises(InvalidValue, match=f"{PLACES[place]} must be 1 to 200 bytes of UTF-8 without NUL"):
            store.insert([job_with(place, text)])
        assert driver.calls == []

    @pytest.mark.parametrize("text", BAD, ids=ascii)
    def test_a_record_s_key_and_kind_are_held_to_the_same(self, store: Guard, text: str) -> None:
        with pytest.raises(InvalidValue, match="a record's key"):
            store.write([Write("kind", text, b"")])
        with pytest.raises(InvalidValue, match="a record's kind"):
            store.write([Write(text, "key", b"")])


def job_with(place: str, text: str) -> NewJob:
    return new_job(text) if place == "id" else new_job("a", **{place: text})


class Several(BrokenLine):
    """A store whose next inserts fail as planned: another store would take these jobs, of which it stored none."""

    def fail(self, *elsewhere: tuple[str, ...]) -> None:
        self._failures = list(elsewhere)

    def insert(self, jobs: Any, *, tx: Any = None) -> Any:
        if self._failures:
            raise Unavailable("away", unknown=False, elsewhere=self._failures.pop(0))
        return super().insert(jobs, tx=tx)


class TestJobsThatMayMove:
    @pytest.fixture
    def several(self, memory: MemoryStore, clock: ManualClock) -> Several:
        driver = Several.connect(memory, clock=clock)
        driver.plan()
        return driver

    def test_what_another_store_would_take_is_said_at_once(self, several: Several, watch: Watch) -> None:
        store = guarded(several, watch)
        several.fail(("a", "b"))
        with pytest.raises(Unavailable) as raised:
            store.insert([new_job("a"), new_job("b"), new_job("c")], may_move=True)
        assert (raised.value.elsewhere, watch.slept) == ({"a", "b"}, [])

    def test_what_may_have_been_stored_by_an_earlier_try_is_not_said(self, several: Several, watch: Watch) -> None:
        store = guarded(several, watch)
        several.fail((), *[("a",)] * 100)
        with pytest.raises(Unavailable) as raised:
            store.insert([new_job("a")], may_move=True)
        assert raised.value.elsewhere == frozenset()
        assert watch.now > 5, "it was not repeated"

    def test_who_cannot_name_them_anew_is_patient(self, several: Several, watch: Watch) -> None:
        store = guarded(several, watch)
        several.fail(("a",), ("a",))
        assert store.insert([new_job("a")])[0].outcome is Insertion.INSERTED
        assert len(watch.slept) == 2
