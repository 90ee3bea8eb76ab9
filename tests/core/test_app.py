"""An application: enqueuing, one and many, and the store behind it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from core.broken_line import HOLDS, LOSES_ANSWER, BrokenLine
from core.working import work
from longshore import Features, Longshore, Options, State, Task, registry
from longshore.contract import EVERY, SECOND, Driver
from longshore.errors import (
    ConfigurationError,
    IdConflict,
    InvalidValue,
    PartialInsert,
    TooLarge,
    Unavailable,
    UnknownDriver,
    UnknownTask,
    Unsupported,
)
from longshore.memory_store import MemoryStore
from longshore.testing.clock import ManualClock
from longshore.testing.samples import ids, stored

Fork = Callable[[Callable[[], str]], str]


@pytest.fixture
def double(app: Longshore) -> Task[[int], int]:
    @app.task(queue="sums")
    def double(number: int) -> int:
        return 2 * number

    return double


@pytest.fixture
def copy(app: Longshore) -> Task[[Path, Path], Path]:
    @app.task
    def copy(source: Path, target: Path) -> Path:
        return target / source.name

    return copy


class TestEnqueue:
    def test_a_job_is_stored_with_its_arguments_and_runs(self, app: Longshore, copy: Task[[Path, Path], Path]) -> None:
        job = copy.enqueue(Path("a/b.txt"), target=Path("c"))
        assert stored(app.store.driver, job.id).payload == b'{"source":"a/b.txt","target":"c"}'
        work(app)
        assert job.result() == Path("c/b.txt")

    def test_every_job_has_an_id_of_its_own(self, double: Task[[int], int]) -> None:
        assert len({double.enqueue(1).id for _ in range(100)}) == 100

    def test_many_are_stored_at_once_and_answered_in_order(
        self, app: Longshore, double: Task[[int], int], copy: Task[[Path, Path], Path]
    ) -> None:
        jobs = app.enqueue_many([double.call(1), copy.call(Path("a"), Path("b")), double.options(priority=9).call(3)])
        work(app, "sums", "default")
        assert [job.result() for job in jobs] == [2, Path("b/a"), 6]

    def test_many_may_come_from_anything_that_can_be_gone_through(
        self, app: Longshore, double: Task[[int], int]
    ) -> None:
        assert len(app.enqueue_many(double.call(number) for number in range(2_500))) == 2_500
        assert app.counts("sums")[State.PENDING] == 2_500

    def test_none_is_no_call(self) -> None:
        unreachable = Longshore("nosuch://")
        assert unreachable.enqueue_many([]) == []

    def test_a_call_waits_until_it_is_enqueued(self, app: Longshore, double: Task[[int], int]) -> None:
        call = double.call(4)
        assert sum(app.counts().values()) == 0
        assert app.enqueue(call).info().state is State.PENDING

    def test_a_wrong_argument_is_refused_before_anything_is_stored(
        self, app: Longshore, double: Task[[int], int]
    ) -> None:
        with pytest.raises(InvalidValue, match="number"):
            app.enqueue_many([double.call(1), double.call("one")])  # type: ignore[arg-type]
        assert sum(app.counts().values()) == 0

    def test_arguments_larger_than_allowed_are_refused(self, memory: MemoryStore) -> None:
        small = Longshore(memory, max_payload=100)

        @small.task
        def keep(text: str) -> None: ...

        keep.enqueue("x" * 80)
        with pytest.raises(TooLarge, match="the arguments of keep"):
            keep.enqueue("x" * 100)

    def test_a_store_without_transactions_refuses_one(self, app: Longshore, double: Task[[int], int]) -> None:
        with pytest.raises(Unsupported):
            app.enqueue(double.call(1), tx=object())
        with pytest.raises(Unsupported):
            app.transaction()


class TestOptions:
    def test_a_delay_is_counted_from_now_by_the_store_s_clock(
        self, app: Longshore, double: Task[[int], int], clock: ManualClock
    ) -> None:
        job = double.options(delay=60).enqueue(1)
        assert job.info().shown_as == "scheduled"
        clock.advance(59.9)
        assert work(app, "sums") == []
        clock.advance(0.1)
        assert len(work(app, "sums")) == 1

    def test_a_moment_is_the_same_in_any_zone(self, double: Task[[int], int]) -> None:
        noon = datetime(2040, 6, 1, 12, tzinfo=UTC)
        assert double.options(at=noon).enqueue(1).info().due == noon

    def test_a_job_not_begun_in_time_expires(
        self, app: Longshore, double: Task[[int], int], clock: ManualClock
    ) -> None:
        late = double.options(expires=10).enqueue(1)
        at = datetime.fromtimestamp((clock() + 20 * SECOND) / SECOND, UTC)
        later = double.options(expires=at).enqueue(2)
        assert later.info().expires == at
        clock.advance(15)
        work(app, "sums")
        assert (late.info().state, later.info().state) == (State.EXPIRED, State.SUCCEEDED)

    def test_a_higher_priority_goes_first(self, app: Longshore, double: Task[[int], int]) -> None:
        low, high = double.enqueue(1), double.options(priority=1).enqueue(2)
        work(app, "sums", limit=1)
        assert (low.info().state, high.info().state) == (State.PENDING, State.SUCCEEDED)

    def test_another_queue_and_notes_are_kept(self, double: Task[[int], int]) -> None:
        info = double.options(queue="other", notes={"customer": 5}).enqueue(1).info()
        assert (info.queue, info.notes) == ("other", {"customer": 5})


class TestIds:
    def test_the_same_call_under_the_same_id_is_the_same_job(self, app: Longshore, double: Task[[int], int]) -> None:
        first = double.options(id="order-5").enqueue(1)
        work(app, "sums")
        second = double.options(id="order-5").enqueue(1)
        assert first == second
        assert second.result() == 2
        assert app.counts("sums")[State.SUCCEEDED] == 1

    def test_other_arguments_under_the_same_id_are_a_conflict(self, double: Task[[int], int]) -> None:
        double.options(id="order-5").enqueue(1)
        with pytest.raises(
            IdConflict, match="expected id order-5 to be free or this very call; it is a call of double"
        ):
            double.options(id="order-5").enqueue(2)

    def test_another_task_under_the_same_id_is_a_conflict_also_with_the_same_arguments(
        self, app: Longshore, double: Task[[int], int]
    ) -> None:
        @app.task
        def triple(number: int) -> int:
            return 3 * number

        double.options(id="order-5").enqueue(1)
        with pytest.raises(IdConflict):
            triple.options(id="order-5").enqueue(1)

    def test_two_tasks_with_long_names_that_begin_alike_are_told_apart(self, app: Longshore) -> None:
        app.enqueue(app.call_by_name("x" * 100 + "a", options=Options(id="order-5")))
        with pytest.raises(IdConflict):
            app.enqueue(app.call_by_name("x" * 100 + "b", options=Options(id="order-5")))

    def test_a_conflict_among_many_leaves_the_others_stored(self, app: Longshore, double: Task[[int], int]) -> None:
        double.options(id="b").enqueue(1)
        with pytest.raises(IdConflict):
            app.enqueue_many([double.options(id=name).call(2) for name in "abc"])
        assert sorted(ids(app.store.each(EVERY))) == ["a", "b", "c"]

    def test_an_id_that_no_store_could_keep_is_refused(self, double: Task[[int], int]) -> None:
        with pytest.raises(InvalidValue, match="a job's id"):
            double.options(id="a\0b").enqueue(1)

    def test_the_handle_of_an_id_reads_nothing(self) -> None:
        assert repr(Longshore("nosuch://").job("order-5")) == "<Job order-5>"


class TestByName:
    def test_a_task_that_is_not_known_here_can_be_called(self, app: Longshore, memory: MemoryStore) -> None:
        job = app.enqueue(app.call_by_name("elsewhere", {"number": 4}, options=Options(queue="sums", priority=2)))
        info = job.info()
        assert (info.task, info.queue, info.priority) == ("elsewhere", "sums", 2)

        other = Longshore(memory)

        @other.task(name="elsewhere")
        def double(number: int) -> int:
            return 2 * number

        work(other, "sums")
        assert job.result() == 8

    def test_a_task_that_is_known_here_is_checked_and_has_its_own_options(
        self, app: Longshore, copy: Task[[Path, Path], Path], double: Task[[int], int]
    ) -> None:
        assert app.call_by_name("double", {"number": 1}) == double.call(1)
        assert (
            app.call_by_name("copy", {"source": Path("a"), "target": Path("b")}).payload
            == b'{"source":"a","target":"b"}'
        )
        with pytest.raises(InvalidValue, match="number"):
            app.call_by_name("double", {"nummer": 1})

    def test_an_argument_of_an_unknown_task_must_be_a_json_value_and_is_named(self, app: Longshore) -> None:
        with pytest.raises(InvalidValue, match="argument 'at' of elsewhere must be a JSON value"):
            app.call_by_name("elsewhere", {"at": datetime.now(UTC)})

    @pytest.mark.parametrize("name", ["", "a\0b", "\ud800", "x" * 201], ids=ascii)
    def test_a_name_that_no_store_could_keep_is_refused(self, app: Longshore, name: str) -> None:
        with pytest.raises(InvalidValue, match="a task's name"):
            app.enqueue(app.call_by_name(name))

    def test_an_unknown_task_is_answered_with_those_that_are_known(
        self, app: Longshore, double: Task[[int], int]
    ) -> None:
        with pytest.raises(UnknownTask, match="no task is registered as 'dubble'; registered: double"):
            app.task_named("dubble")


class TestStore:
    def test_one_that_is_away_when_it_is_opened_is_waited_for(self, monkeypatch: pytest.MonkeyPatch) -> None:
        tries: list[object] = []
        connect = registry.connect

        def late(target: object, **options: Any) -> Driver:
            tries.append(target)
            if len(tries) < 3:
                raise Unavailable("it begins in a moment", unknown=False)
            return connect(target, **options)

        monkeypatch.setattr(registry, "connect", late)
        with Longshore(MemoryStore()) as app:
            assert app.store.now() > 0
        tries.clear()
        hasty = Longshore(MemoryStore(), patience=0)
        with pytest.raises(Unavailable):
            hasty.store.now()

    def test_it_is_opened_when_it_is_first_needed(self) -> None:
        app = Longshore("nosuch://host")

        @app.task
        def double(number: int) -> int:
            return 2 * number

        double.call(1)
        app.close()
        with pytest.raises(UnknownDriver):
            double.enqueue(1)

    def test_it_is_opened_once(self, app: Longshore) -> None:
        assert app.store is app.store

    def test_it_is_opened_again_after_it_was_closed(self, app: Longshore, double: Task[[int], int]) -> None:
        job = double.enqueue(1)
        before = app.store
        app.close()
        assert app.store is not before
        assert job.info().state is State.PENDING

    def test_leaving_the_block_closes_it(self, memory: MemoryStore) -> None:
        with Longshore(memory) as app:
            before = app.store
        assert app.store is not before

    @pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
    def test_a_forked_child_opens_its_own(self, app: Longshore, in_child: Fork) -> None:
        before = app.store
        assert in_child(lambda: str(app.store is before)) == "False"
        assert app.store is before

    @pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
    def test_a_forked_child_s_ids_are_its_own(self, double: Task[[int], int], in_child: Fork) -> None:
        double.enqueue(1)
        assert in_child(lambda: double.enqueue(1).id) != double.enqueue(1).id

    def test_another_connection_reaches_the_same_store_and_clock(self, double: Task[[int], int]) -> None:
        job = double.enqueue(1)
        other = double.app.another_store()
        assert other is not double.app.store
        assert ids(other.each(EVERY)) == [job.id]
        assert other.now() == double.app.store.now()

    def test_what_it_does_not_promise_and_the_application_requires_is_refused(self) -> None:
        with pytest.raises(Unsupported, match="does not promise DURABLE"):
            Longshore("memory://", require=Features.DURABLE).store  # noqa: B018

    def test_an_unknown_option_is_refused(self) -> None:
        with pytest.raises(ConfigurationError, match="colour"):
            Longshore("memory://", colour="red").store  # noqa: B018

    def test_namespaces_do_not_see_each_other(self, memory: MemoryStore) -> None:
        one, other = Longshore(memory, namespace="one"), Longshore(memory, namespace="other")
        one.enqueue(one.call_by_name("task"))
        assert sum(one.counts().values()) == 1
        assert sum(other.counts().values()) == 0

    def test_another_store_may_be_used_from_now_on(self, app: Longshore, double: Task[[int], int]) -> None:
        double.enqueue(1)
        app.use(MemoryStore())
        assert sum(app.counts().values()) == 0

    def test_the_application_shows_its_store_without_the_password(self) -> None:
        assert repr(Longshore("redis://me:secret@host/0")) == "<Longshore redis://me:***@host/0>"
        assert repr(Longshore(MemoryStore())) == "<Longshore a MemoryStore>"


def test_counts_are_by_state_and_queue(app: Longshore, double: Task[[int], int]) -> None:
    for number in range(3):
        double.enqueue(number)
    app.enqueue(app.call_by_name("elsewhere"))
    work(app, "sums", limit=2)
    assert app.counts("sums") == dict.fromkeys(State, 0) | {State.SUCCEEDED: 2, State.PENDING: 1}
    assert app.counts()[State.PENDING] == 2


def test_a_bulk_that_fails_half_way_can_be_completed(memory: MemoryStore) -> None:
    app = Longshore(memory, patience=0)
    driver = BrokenLine.connect(memory)
    look_at_the_seal, first_chunk = HOLDS, HOLDS
    driver.plan(look_at_the_seal, first_chunk, LOSES_ANSWER)
    app.store.driver = driver
    with pytest.raises(PartialInsert) as caught:
        app.enqueue_many(app.call_by_name("elsewhere", {"n": n}) for n in range(2_500))
    app.store.insert(caught.value.remaining)
    assert sum(app.counts().values()) == 2_500
