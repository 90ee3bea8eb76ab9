"""A job that is completed in the application's own transaction succeeds exactly when that commits."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy
from sqlalchemy.orm import Session

from longshore import Context, Features, Fixed, Longshore, Retry, Snooze, State
from longshore.contract import Claim, Where
from longshore.errors import IllegalMove, InvalidValue, LeaseLost, Unsupported
from longshore.holders import worker_topic
from longshore.processes.supervisor import Supervisor
from longshore.worker.settings import WorkerSettings
from worker.faulty import FaultyApp
from worker.gate import PATIENCE, Gate

AGAIN = Retry(max_attempts=2, delay=Fixed(0))
ONCE = Retry(max_attempts=1)
Begin = Callable[[], AbstractContextManager[Any]]


@pytest.fixture
def banking(app: Longshore) -> Longshore:
    """An application on each store with transactions."""
    if Features.TRANSACTIONS not in app.store.features:
        pytest.skip("a store without transactions refuses it, which a test of its own shows")
    return app


def effects(app: Longshore) -> int:
    """How many effects were committed: jobs that were enqueued in the same transaction."""
    return sum(app.counts("effects").values())


def make_effect(app: Longshore, transaction: Any) -> None:
    call = app.call_by_name("effect", options=type(app.call_by_name("x").options)(queue="effects"))
    app.enqueue(call, tx=transaction)


class TestWhatBecomesOfTheTransaction:
    def test_committed_the_job_has_succeeded_with_this_result(self, banking: Longshore) -> None:
        @banking.task(retry=AGAIN)
        def pay(context: Context) -> str:
            with banking.transaction() as transaction:
                make_effect(banking, transaction)
                context.complete("paid", tx=transaction)
            assert banking.job(context.job_id).info().state is State.SUCCEEDED, "not later, when the run ends"
            return "not looked at"

        job = pay.enqueue()
        tally = banking.worker().run(until_empty=True)
        info = job.info()
        assert (job.result(timeout=0), info.attempt, info.tries, effects(banking)) == ("paid", 1, 0, 1)
        assert (tally.succeeded, tally.failed, tally.again, tally.refused) == (1, 0, 0, 0)

    @pytest.mark.parametrize("error", [OSError("late"), Snooze(5), SystemExit(1)])
    def test_committed_and_raised_after_it_the_job_has_succeeded(
        self, banking: Longshore, error: BaseException
    ) -> None:
        @banking.task(retry=AGAIN)
        def pay(context: Context) -> str:
            with banking.transaction() as transaction:
                make_effect(banking, transaction)
                context.complete("paid", tx=transaction)
            raise error

        job = pay.enqueue()
        banking.worker().run(until_empty=True)
        assert (job.result(timeout=0), effects(banking)) == ("paid", 1)

    def test_rolled_back_by_an_exception_it_runs_again_with_that_error(self, banking: Longshore) -> None:
        @banking.task(retry=AGAIN)
        def pay(context: Context) -> str:
            with banking.transaction() as transaction:
                make_effect(banking, transaction)
                context.complete("paid", tx=transaction)
                if context.attempt == 1:
                    raise OSError("before the commit")
            return "not looked at"

        job = pay.enqueue()
        banking.worker().run(until_empty=True)
        assert (job.result(timeout=0), job.info().attempt, effects(banking)) == ("paid", 2, 1)
        assert [attempt.error for attempt in job.info().attempts] == ["OSError: before the commit"]

    def test_rolled_back_and_the_exception_swallowed_it_runs_again(self, banking: Longshore) -> None:
        @banking.task(retry=AGAIN)
        def pay(context: Context) -> str:
            with suppress(OSError), banking.transaction() as transaction:
                make_effect(banking, transaction)
                context.complete("paid", tx=transaction)
                if context.attempt == 1:
                    raise OSError("before the commit")
            return "looks as if all were well"

        job = pay.enqueue()
        tally = banking.worker().run(until_empty=True)
        assert (job.result(timeout=0), job.info().attempt, effects(banking)) == ("paid", 2, 1)
        assert "NotCommitted: " in (job.info().error or "")
        assert (tally.succeeded, tally.again) == (1, 1)

    def test_never_committed_it_fails_when_its_attempts_are_used_up(self, banking: Longshore) -> None:
        @banking.task(retry=ONCE)
        async def pay(context: Context) -> None:
            with suppress(OSError), banking.transaction() as transaction:
                context.complete(tx=transaction)
                raise OSError("before the commit")

        job = pay.enqueue()
        banking.worker().run(until_empty=True)
        assert job.info().state is State.FAILED
        assert "is not committed" in (job.info().error or "")

    def test_a_transaction_that_is_repeated_completes_again(self, banking: Longshore) -> None:
        @banking.task(retry=ONCE)
        def pay(context: Context) -> str | int | None:
            for number in (1, 2, 3):
                with suppress(OSError), banking.transaction() as transaction:
                    make_effect(banking, transaction)
                    context.complete(number, tx=transaction)
                    if number < 3:
                        raise OSError("a conflict with another transaction, say")

        job = pay.enqueue()
        banking.worker().run(until_empty=True)
        assert (job.result(timeout=0), effects(banking)) == (3, 1)

    def test_who_waits_learns_of_it(self, banking: Longshore) -> None:
        @banking.task
        def pay(context: Context) -> str | int | None:
            with banking.transaction() as transaction:
                context.complete("paid", tx=transaction)

        job = pay.enqueue()
        with banking.worker(poll=60.0):
            assert job.result(timeout=PATIENCE) == "paid"

    def test_the_worker_leaves_a_run_in_peace_that_goes_on_after_its_end(
        self, banking: Longshore, target: Any, gate: Gate
    ) -> None:
        with FaultyApp(banking.store.driver.target) as app:

            @app.task
            def pay(context: Context) -> str:
                with app.transaction() as transaction:
                    context.complete("paid", tx=transaction)
                gate.stop_here()
                gate.say("cleaned up")
                return "not looked at"

            job = pay.enqueue()
            with app.worker(poll=60.0) as worker:
                gate.arrived()
                assert job.result(timeout=PATIENCE) == "paid"
                before = app.line.calls["select"]
                # As at each heartbeat: the worker compares what it holds with what runs.
                app.store.wake([worker_topic(worker.holder)])
                app.line.await_calls("select", before + 2)
                gate.open()
                assert gate.arrived() == "cleaned up"
            tally = worker.tally
            assert (tally.succeeded, tally.void, tally.again, tally.failed) == (1, 0, 0, 0)

    @pytest.mark.parametrize("commits", [True, False])
    def test_hooks_are_told_what_really_became_of_it(self, banking: Longshore, commits: bool) -> None:
        @banking.task(retry=ONCE)
        def pay(context: Context) -> str:
            with suppress(KeyError), banking.transaction() as transaction:
                context.complete("paid", tx=transaction)
                if not commits:
                    raise KeyError
            return "not looked at"

        told: list[Any] = []
        banking.hooks.on_success(lambda settled: told.append(settled.result))
        banking.hooks.on_failure(lambda settled: told.append(settled.error.partition(":")[0]))
        pay.enqueue()
        banking.worker().run(until_empty=True)
        assert told == (["paid"] if commits else ["NotCommitted"])

    def test_in_the_foreground_its_result_is_given(self, banking: Longshore) -> None:
        @banking.task(retry=ONCE)
        def pay(context: Context) -> str:
            with banking.transaction() as transaction:
                context.complete("paid", tx=transaction)
            return "not looked at"

        assert banking.admin.run_here(pay.enqueue().id) == "paid"

    def test_a_strict_task_has_completed(self, banking: Longshore) -> None:
        @banking.task(strict=True, retry=ONCE)
        def pay(context: Context) -> str | int | None:
            with banking.transaction() as transaction:
                context.complete("paid", tx=transaction)

        job = pay.enqueue()
        banking.worker().run(until_empty=True)
        assert job.result(timeout=0) == "paid"

    def test_progress_and_the_cursor_go_with_it(self, banking: Longshore) -> None:
        @banking.task(retry=ONCE)
        def pay(context: Context) -> str | int | None:
            context.cursor.mark(5)
            context.progress(5, 5)
            with banking.transaction() as transaction:
                context.complete("paid", tx=transaction)

        job = pay.enqueue()
        banking.worker().run(until_empty=True)
        info = job.info()
        assert info.progress is not None
        assert info.progress.done == 5
        assert banking.store.select(Where(ids=(job.id,))).jobs[0].cursor is None


class TestHandles:
    """Each handle that the SQLite driver takes as a transaction."""

    @pytest.fixture
    def path(self, tmp_path: Path) -> Path:
        return tmp_path / "bank.db"

    @pytest.fixture
    def bank(self, path: Path) -> Iterator[Longshore]:
        with Longshore(f"sqlite:///{path}") as app:
            app.store.now()
            with sqlite3.connect(path, isolation_level=None) as connection:
                connection.execute("CREATE TABLE paid (job TEXT)")
            connection.close()
            yield app

    @pytest.fixture(params=["sqlite3", "connection", "session"])
    def begin(self, request: pytest.FixtureRequest, path: Path) -> Iterator[Begin]:
        """Begins a transaction of the application's: commits at the end of the block, rolls back on an exception."""
        engine = sqlalchemy.create_engine(f"sqlite:///{path}")

        @contextmanager
        def plain() -> Iterator[sqlite3.Connection]:
            connection = sqlite3.connect(path, isolation_level=None)
            try:
                with connection:
                    connection.execute("BEGIN IMMEDIATE")
                    yield connection
            finally:
                connection.close()

        @contextmanager
        def of_session() -> Iterator[Session]:
            with Session(engine) as session, session.begin():
                yield session

        begins: dict[str, Begin] = {"sqlite3": plain, "connection": engine.begin, "session": of_session}
        yield begins[request.param]
        engine.dispose()

    @staticmethod
    def paid(path: Path) -> list[str]:
        with sqlite3.connect(path) as connection:
            rows = [row[0] for row in connection.execute("SELECT job FROM paid")]
        connection.close()
        return rows

    @pytest.mark.parametrize("end", ["commit", "rollback", "swallowed"])
    def test_the_row_and_the_job_s_end_are_one(self, bank: Longshore, begin: Begin, path: Path, end: str) -> None:
        @bank.task(retry=AGAIN)
        def pay(context: Context) -> str | int | None:
            with suppress(OSError if end == "swallowed" else ()), begin() as transaction:  # type: ignore[arg-type]
                statement = f"INSERT INTO paid VALUES ('{context.job_id}')"
                is_plain = isinstance(transaction, sqlite3.Connection)
                transaction.execute(statement if is_plain else sqlalchemy.text(statement))
                context.complete("paid", tx=transaction)
                if end != "commit" and context.attempt == 1:
                    raise OSError("as the test wanted")

        job = pay.enqueue()
        bank.worker().run(until_empty=True)
        assert job.result(timeout=0) == "paid"
        assert self.paid(path) == [job.id], "once, whatever happened before"
        assert job.info().attempt == (1 if end == "commit" else 2)


class TestRefused:
    def test_where_there_are_no_transactions(self, app: Longshore) -> None:
        if Features.TRANSACTIONS in app.store.features:
            pytest.skip("this store has them")

        @app.task(retry=ONCE)
        def pay(context: Context) -> str | int | None:
            with pytest.raises(Unsupported, match="leave out tx"):
                context.complete("paid", tx=sqlite3.connect(":memory:"))
            context.complete("otherwise")

        job = pay.enqueue()
        app.worker().run(until_empty=True)
        assert job.result(timeout=0) == "otherwise"

    def test_a_run_that_does_not_hold_its_job_any_more_leaves_nothing(self, banking: Longshore) -> None:
        banking.enqueue(banking.call_by_name("by_hand"))
        (late,) = banking.store.claim([Claim(("default",))], holder="late", limit=1).jobs
        banking.admin.retry(late.id)

        def work() -> None:
            with banking.transaction() as transaction:
                make_effect(banking, transaction)
                Context(banking, late).complete("late", tx=transaction)

        with pytest.raises(LeaseLost, match="must not be committed"):
            work()
        assert effects(banking) == 0
        assert banking.job(late.id).info().state is State.PENDING

    def test_a_result_that_is_none(self, banking: Longshore) -> None:
        @banking.task(retry=ONCE)
        def pay(context: Context) -> int:
            with banking.transaction() as transaction:
                with pytest.raises(InvalidValue):
                    context.complete("no number", tx=transaction)
                context.complete(5, tx=transaction)
            return 0

        job = pay.enqueue()
        banking.worker().run(until_empty=True)
        assert job.result(timeout=0) == 5

    def test_after_the_word_was_given_otherwise(self, banking: Longshore) -> None:
        @banking.task(retry=ONCE)
        def pay(context: Context) -> str | int | None:
            context.complete("first")
            with banking.transaction() as transaction, pytest.raises(IllegalMove):
                context.complete("second", tx=transaction)
            return "not looked at"

        job = pay.enqueue()
        banking.worker().run(until_empty=True)
        assert job.result(timeout=0) == "first"


class TestCrashes:
    @pytest.mark.parametrize("point", ["before completing", "before the commit", "after the commit"])
    def test_killed_at_each_point_the_effect_is_there_once(self, shared_target: str, point: str) -> None:
        with Longshore(shared_target) as app:
            if Features.TRANSACTIONS not in app.store.features:
                pytest.skip("a store without transactions refuses it, which a test of its own shows")
            job = app.enqueue(app.call_by_name("pay", {"point": point}))
            with Supervisor("model.customs:app", processes=1, url=shared_target, settings=WorkerSettings(slots=1)):
                assert job.result(timeout=PATIENCE) == "paid"
            assert effects(app) == 1
            assert job.info().crashes == (0 if point == "after the commit" else 1)
