"""Calls that are enqueued after the application's commit, on every store: by its sessions, and by Django."""

from __future__ import annotations

import logging
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy
from sqlalchemy.ext.asyncio import AsyncSession, async_scoped_session, create_async_engine
from sqlalchemy.orm import Session, scoped_session, sessionmaker
from sqlalchemy.pool import NullPool

from longshore import Longshore, State, Task, Unique
from longshore.contract import Where
from longshore.errors import InvalidValue, NotEnqueued, Refused, TooLarge
from longshore.testing.faults.cut import Moment
from transactions.banks import AwaitedSession, Bank, Django, SQLAlchemySession
from worker.faulty import Line, LineDriver

TESTS = Path(__file__).parents[1]


class Changed(Exception):
    """What a test raises to roll back."""


@pytest.fixture
def app(target: Any) -> Iterator[Longshore]:
    """An application on each store, which gives up at once when that is away."""
    with Longshore(target, patience=0.0) as app:
        app.store.now()
        yield app


@pytest.fixture
def load(app: Longshore) -> Task[..., Any]:
    @app.task
    def load(number: int) -> int:
        return number

    return load


@pytest.fixture
def line(app: Longshore) -> Line:
    """What lies between the application and its store."""
    line = Line()
    app.store.driver = LineDriver(app.store.driver, line)
    return line


@pytest.fixture(params=[SQLAlchemySession, AwaitedSession, Django], ids=["session", "async session", "django"])
def bank(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Bank]:
    """The application's own database, which is not the jobs' store."""
    bank: Bank = request.param(f"sqlite:///{tmp_path}/shop.db")
    bank.create()
    yield bank
    bank.close()


@pytest.fixture
def session(tmp_path: Path) -> Iterator[Session]:
    engine = sqlalchemy.create_engine(f"sqlite:///{tmp_path}/shop.db", poolclass=NullPool)
    with Session(engine) as session:
        yield session


def numbers(app: Longshore) -> list[int]:
    """What the stored calls were called with."""
    arguments = app.tasks["load"].arguments
    return sorted(arguments.named(job.payload, job.codec)["number"] for job in app.store.select(Where()).jobs)


class TestWhatBecomesOfTheTransaction:
    def test_it_commits(self, app: Longshore, load: Task[..., Any], bank: Bank) -> None:
        async def scenario() -> None:
            async with bank.begin() as tx:
                await bank.pay(tx, "ann")
                job = app.after_commit(tx).enqueue(load.call(1))
                app.after_commit(tx).enqueue_many([load.call(2), load.call(3)])
                assert numbers(app) == [], "stored before the commit"
            assert job.info().state is State.PENDING
            async with bank.begin() as tx:
                await app.after_commit(tx).aenqueue(load.call(4))

        bank.run(scenario())
        assert (bank.paid(), numbers(app)) == (["ann"], [1, 2, 3, 4])

    def test_it_is_rolled_back(self, app: Longshore, load: Task[..., Any], bank: Bank) -> None:
        async def scenario() -> None:
            with suppress(Changed):
                async with bank.begin() as tx:
                    await bank.pay(tx, "ann")
                    app.after_commit(tx).enqueue(load.call(1))
                    raise Changed
            async with bank.begin() as tx:
                app.after_commit(tx).enqueue(load.call(2))

        bank.run(scenario())
        assert (bank.paid(), numbers(app)) == ([], [2])

    def test_what_was_kept_in_a_savepoint_has_its_fate(self, app: Longshore, load: Task[..., Any], bank: Bank) -> None:
        async def scenario() -> None:
            async with bank.begin() as tx:
                later = app.after_commit(tx)
                later.enqueue(load.call(1))
                async with bank.savepoint(tx):
                    later.enqueue(load.call(2))
                    with suppress(Changed):
                        async with bank.savepoint(tx):
                            later.enqueue(load.call(3))
                            raise Changed
                    later.enqueue(load.call(4))
                with suppress(Changed):
                    async with bank.savepoint(tx):
                        async with bank.savepoint(tx):
                            later.enqueue(load.call(5))
                        raise Changed
                later.enqueue(load.call(6))
                assert numbers(app) == [], "the release of a savepoint is no commit"

        bank.run(scenario())
        assert numbers(app) == [1, 2, 4, 6]


class TestSessions:
    def test_all_of_a_transaction_is_stored_at_once(
        self, app: Longshore, load: Task[..., Any], session: Session, line: Line
    ) -> None:
        for number in range(50):
            app.after_commit(session).enqueue(load.call(number))
        session.commit()
        assert (numbers(app), line.calls["insert"]) == (list(range(50)), 1)

    def test_a_session_that_is_closed_has_not_committed(
        self, app: Longshore, load: Task[..., Any], session: Session
    ) -> None:
        app.after_commit(session).enqueue(load.call(1))
        session.close()
        app.after_commit(session).enqueue(load.call(2))
        session.commit()
        session.commit()
        assert numbers(app) == [2]

    def test_scoped_ones(self, app: Longshore, load: Task[..., Any], tmp_path: Path) -> None:
        engine = sqlalchemy.create_engine(f"sqlite:///{tmp_path}/shop.db", poolclass=NullPool)
        scoped = scoped_session(sessionmaker(engine))
        app.after_commit(scoped).enqueue(load.call(1))
        scoped.commit()
        scoped.remove()

        async def scenario() -> None:
            awaited = create_async_engine(f"sqlite+aiosqlite:///{tmp_path}/shop.db", poolclass=NullPool)
            sessions = async_scoped_session(sessionmaker(awaited, class_=AsyncSession), scopefunc=lambda: None)
            app.after_commit(sessions).enqueue(load.call(2))
            await sessions.commit()
            await sessions.remove()

        AwaitedSession("sqlite:////none").run(scenario())
        assert numbers(app) == [1, 2]

    def test_two_applications_on_one_session(self, app: Longshore, load: Task[..., Any], session: Session) -> None:
        with Longshore("memory://") as other:
            app.after_commit(session).enqueue(load.call(1))
            other.after_commit(session).enqueue(other.call_by_name("load", {"number": 2}))
            app.after_commit(session).enqueue(load.call(3))
            session.commit()
            assert (numbers(app), sum(other.counts().values())) == ([1, 3], 1)

    def test_calls_that_are_tied_to_each_other(self, app: Longshore, load: Task[..., Any], session: Session) -> None:
        parent = load.call(1)
        child = load.options(after=parent, on_end=load.call(3)).call(2)
        jobs = app.after_commit(session).enqueue_many([parent, child])
        session.commit()
        assert [job.info().state for job in jobs] == [State.PENDING, State.WAITING]
        app.worker().run(until_empty=True)
        assert app.counts()[State.SUCCEEDED] == 3

    def test_a_unique_call_whose_key_is_held_leaves_its_handle_without_a_job(
        self, app: Longshore, load: Task[..., Any], session: Session
    ) -> None:
        once = load.options(unique=Unique())
        once.enqueue(1)
        job = app.after_commit(session).enqueue(once.call(1))
        session.commit()
        assert app.store.select(Where()).jobs[0].id != job.id
        assert numbers(app) == [1]


class TestGiven:
    """What is wrong with a call is said when it is given."""

    def test_a_payload_that_is_too_large(self, app: Longshore, session: Session) -> None:
        later = app.after_commit(session)
        with pytest.raises(TooLarge):
            later.enqueue(app.call_by_name("load", {"text": "x" * 2**21}))
        with pytest.raises(InvalidValue, match="priority"):
            later.enqueue(app.call_by_name("load", options=type(app.call_by_name("x").options)(priority=10**6)))
        session.commit()
        assert sum(app.counts().values()) == 0

    def test_a_parent_that_is_not_given_with_it(self, app: Longshore, load: Task[..., Any], session: Session) -> None:
        with pytest.raises(InvalidValue, match="not in it"):
            app.after_commit(session).enqueue(load.options(after=load.call(1)).call(2))

    def test_what_is_no_call(self, app: Longshore, load: Task[..., Any], session: Session) -> None:
        with pytest.raises(InvalidValue, match=r"load\.call"):
            app.after_commit(session).enqueue(load)  # type: ignore[arg-type]

    def test_hooks(self, app: Longshore, load: Task[..., Any], bank: Bank) -> None:
        told: list[str] = []

        async def refuse(event: Any) -> None:
            if event.arguments["number"] == 7:
                raise ValueError("not that one")

        app.hooks.pre_enqueue(refuse)
        app.hooks.post_enqueue(lambda event: told.append(event.job_id))

        async def scenario() -> str:
            async with bank.begin() as tx:
                later = app.after_commit(tx)
                with pytest.raises(Refused, match="not that one"):
                    later.enqueue(load.call(7))
                if isinstance(bank, AwaitedSession):
                    with pytest.raises(Refused, match="not that one"):
                        await later.aenqueue(load.call(7))
                job = later.enqueue(load.call(8))
                assert told == [], "nothing is enqueued yet"
            return job.id

        assert told == [bank.run(scenario())]
        assert numbers(app) == [8]


class TestRefused:
    @pytest.mark.parametrize("handle", [7, sqlite3.connect(":memory:")], ids=["a number", "sqlite3"])
    def test_what_nobody_knows_the_commits_of(self, app: Longshore, handle: object) -> None:
        with pytest.raises(InvalidValue, match="enqueue_many after the commit"):
            app.after_commit(handle)

    def test_a_connection_of_sqlalchemy_s(self, app: Longshore, load: Task[..., Any], session: Session) -> None:
        with pytest.raises(InvalidValue, match="enqueue_many after the commit"):
            app.after_commit(session.connection()).enqueue(load.call(1))


class TestDjangoAlone:
    @pytest.fixture
    def bank(self, tmp_path: Path) -> Iterator[Django]:
        bank = Django(f"sqlite:///{tmp_path}/shop.db")
        yield bank
        bank.close()

    def test_outside_of_a_transaction_it_is_enqueued_at_once(
        self, app: Longshore, load: Task[..., Any], bank: Django
    ) -> None:
        from django.db import connection

        assert app.after_commit(connection).enqueue(load.call(1)).info().state is State.PENDING

    def test_a_store_that_is_away_is_logged_and_the_rest_is_done(
        self, app: Longshore, load: Task[..., Any], bank: Django, line: Line, caplog: pytest.LogCaptureFixture
    ) -> None:
        from django.db import connection, transaction

        line.cut("insert", Moment.BEFORE)
        with caplog.at_level(logging.ERROR), transaction.atomic():
            app.after_commit(connection).enqueue(load.call(1))
            app.after_commit(connection).enqueue(load.call(2))
        assert "NotEnqueued" in caplog.text
        assert numbers(app) == [2]


class TestCrashes:
    @pytest.mark.parametrize(
        ("point", "rows", "jobs"), [("before the commit", 0, 0), ("after the commit", 1, 0), ("at the end", 1, 1)]
    )
    def test_killed_at_each_point(self, shared_target: str, tmp_path: Path, point: str, rows: int, jobs: int) -> None:
        database = tmp_path / "shop.db"
        with closing(sqlite3.connect(database)) as connection:
            connection.execute("CREATE TABLE sale (who TEXT)")
            command = [sys.executable, "-m", "transactions.shop", str(database), shared_target, point]
            done = subprocess.run(command, cwd=TESTS, capture_output=True, text=True, timeout=55)
            assert done.returncode == -signal.SIGKILL, done.stderr
            (found,) = connection.execute("SELECT count(*) FROM sale").fetchone()
        with Longshore(shared_target) as app:
            assert (found, sum(app.counts().values())) == (rows, jobs)

    def test_jobs_whose_storing_was_not_answered_are_stored_once(self, target: Any, session: Session) -> None:
        with Longshore(target, patience=30.0) as app:
            line = Line()
            app.store.driver = LineDriver(app.store.driver, line)
            line.cut("insert", Moment.AFTER)
            app.after_commit(session).enqueue_many([app.call_by_name("load") for _ in range(3)])
            session.commit()
            assert (sum(app.counts().values()), line.calls["insert"]) == (3, 2)

    def test_a_store_that_is_away_leaves_the_calls_to_the_application(
        self, app: Longshore, load: Task[..., Any], bank: Bank, line: Line
    ) -> None:
        if isinstance(bank, Django):
            pytest.skip("Django logs it, which a test of its own shows")
        parent = load.call(1)

        async def sell() -> None:
            async with bank.begin() as tx:
                await bank.pay(tx, "ann")
                later = app.after_commit(tx)
                later.enqueue_many([parent, load.options(after=parent).call(2)])
                later.enqueue(load.call(3))

        async def scenario() -> NotEnqueued:
            line.go_down()
            with pytest.raises(NotEnqueued, match="enqueue_many again") as raised:
                await sell()
            line.mend()
            async with bank.begin() as tx:
                await bank.pay(tx, "bob")
            return raised.value

        missing = bank.run(scenario())
        assert (bank.paid(), numbers(app)) == (["ann", "bob"], [])
        for _ in range(2):
            app.enqueue_many(missing.calls)
        assert numbers(app) == [1, 2, 3]
