"""Handles given where they cannot work are refused, with what to do."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import aiosqlite
import psycopg
import pytest
import sqlalchemy
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, create_async_engine
from sqlalchemy.orm import Session
from sqlalchemy.pool import NullPool

from engines import Server
from longshore import Context, Longshore
from longshore.contract import Claim
from longshore.errors import ConfigurationError, InvalidValue, Unsupported
from stores import fresh_store
from transactions.banks import Django


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "jobs.db"


@pytest.fixture
def app(path: Path) -> Iterator[Longshore]:
    with Longshore(f"sqlite:///{path}") as app:
        app.store.now()
        yield app


def engine_of(path: Path) -> AsyncEngine:
    return create_async_engine(f"sqlite+aiosqlite:///{path}", poolclass=NullPool)


def call(app: Longshore) -> Any:
    return app.call_by_name("load")


class TestOnAnEventLoop:
    def test_an_asynchronous_session_is_to_be_awaited(self, app: Longshore, path: Path) -> None:
        async def scenario() -> None:
            async with AsyncSession(engine_of(path)) as session:
                with pytest.raises(InvalidValue, match=r"await app\.aenqueue"):
                    app.enqueue(call(app), tx=session)
                app.enqueue(call(app))
                (run,) = app.store.claim([Claim(("default",))], holder="holder", limit=1).jobs
                context = Context(app, run)
                with pytest.raises(InvalidValue, match="begins with an a"):
                    context.complete(tx=session)
                with pytest.raises(InvalidValue, match="begins with an a"):
                    context.cursor.set(1, tx=session)

        asyncio.run(scenario())

    def test_its_inner_side_works_in_run_sync_alone(self, app: Longshore, path: Path) -> None:
        async def scenario() -> None:
            async with AsyncSession(engine_of(path)) as session:
                with pytest.raises(InvalidValue, match="run_sync"):
                    app.enqueue(call(app), tx=session.sync_session)
                job = await session.run_sync(lambda own: app.enqueue(call(app), tx=own))
                with pytest.raises(InvalidValue, match="run_sync"):
                    app.enqueue(call(app), tx=session.sync_session)
                await session.commit()
            assert (await job.ainfo()).attempt == 0

        asyncio.run(scenario())

    def test_a_synchronous_session_is_not_awaited(self, app: Longshore, path: Path) -> None:
        with (
            Session(sqlalchemy.create_engine(f"sqlite:///{path}", poolclass=NullPool)) as session,
            pytest.raises(InvalidValue, match="leave out the a"),
        ):
            asyncio.run(app.aenqueue(call(app), tx=session))

    def test_a_library_s_own_asynchronous_connection_is_sent_to_sqlalchemy(self, app: Longshore, path: Path) -> None:
        async def scenario() -> None:
            async with aiosqlite.connect(path) as connection:
                with pytest.raises(InvalidValue, match="create_async_engine"):
                    app.enqueue(call(app), tx=connection)
                with pytest.raises(InvalidValue, match="create_async_engine"):
                    await app.aenqueue(call(app), tx=connection)

        asyncio.run(scenario())

    def test_a_store_without_transactions_says_so(self) -> None:
        async def scenario() -> None:
            app = Longshore("memory://")
            async with AsyncSession(create_async_engine("sqlite+aiosqlite://")) as session:
                with pytest.raises(Unsupported):
                    await app.aenqueue(call(app), tx=session)

        asyncio.run(scenario())

    def test_without_a_transaction_it_completes_when_the_run_ends(self, app: Longshore) -> None:
        @app.task
        async def load(context: Context) -> str | None:
            await context.acomplete("done")
            return "not looked at"

        job = load.enqueue()
        app.worker().run(until_empty=True)
        assert job.result(timeout=0) == "done"

    @pytest.mark.parametrize("commits", [True, False])
    def test_the_cursor_moves_with_it(self, app: Longshore, path: Path, commits: bool) -> None:
        app.enqueue(call(app))
        (run,) = app.store.claim([Claim(("default",))], holder="holder", limit=1).jobs

        async def scenario() -> None:
            async with AsyncSession(engine_of(path)) as session:
                await Context(app, run).cursor.aset(7, tx=session)
                await (session.commit() if commits else session.rollback())

        asyncio.run(scenario())
        (stored,) = app.store.select(limit=1).jobs
        assert Context(app, stored).cursor.get() == (7 if commits else None)


class TestDjango:
    @pytest.fixture
    def bank(self, app: Longshore, path: Path) -> Iterator[Django]:
        bank = Django(f"sqlite:///{path}")
        yield bank
        bank.close()

    def test_outside_of_a_transaction(self, app: Longshore, bank: Django) -> None:
        from django.db import connection

        with pytest.raises(InvalidValue, match=r"transaction\.atomic"):
            app.enqueue(call(app), tx=connection)  # It is not even open.
        connection.ensure_connection()
        with pytest.raises(InvalidValue, match=r"transaction\.atomic"):
            app.enqueue(call(app), tx=connection)
        assert sum(app.counts().values()) == 0

    def test_workers_are_woken_when_it_has_committed(self, app: Longshore, bank: Django) -> None:
        from django.db import connection, transaction

        listener = app.store.listen(["queue:default"])
        with transaction.atomic():
            app.enqueue(call(app), tx=connection)
            assert not listener.wait(0), "woken before there is anything to see"
        assert listener.wait(30)
        listener.close()


def test_a_connection_to_another_kind_of_database(tmp_path: Path, shared_server: Callable[[str], Server]) -> None:
    engine = sqlalchemy.create_engine(f"sqlite:///{tmp_path}/shop.db")
    with (
        Longshore(fresh_store("postgres", tmp_path, shared_server)) as app,
        engine.connect() as connection,
        pytest.raises(ConfigurationError, match="got one to sqlite"),
    ):
        app.enqueue(call(app), tx=connection)
    engine.dispose()


@pytest.mark.parametrize("library", ["psycopg", "asyncpg"])
def test_an_asynchronous_connection_in_autocommit(
    tmp_path: Path, shared_server: Callable[[str], Server], library: str
) -> None:
    url = fresh_store("postgres", tmp_path, shared_server)
    address = sqlalchemy.make_url(url).set(drivername=f"postgresql+{library}", query={})

    async def scenario(app: Longshore) -> None:
        async with create_async_engine(
            address, isolation_level="AUTOCOMMIT", poolclass=NullPool
        ).connect() as connection:
            with pytest.raises(InvalidValue, match="execute BEGIN"):
                await app.aenqueue(call(app), tx=connection)

    with Longshore(url) as app:
        asyncio.run(scenario(app))


def test_an_asynchronous_connection_of_psycopg_s(tmp_path: Path, shared_server: Callable[[str], Server]) -> None:
    url = fresh_store("postgres", tmp_path, shared_server)

    async def scenario(app: Longshore) -> None:
        async with await psycopg.AsyncConnection.connect(url.partition("?")[0]) as connection:
            with pytest.raises(InvalidValue, match="create_async_engine"):
                await app.aenqueue(call(app), tx=connection)

    with Longshore(url) as app:
        asyncio.run(scenario(app))


def test_the_store_is_opened_within_a_transaction_that_holds_the_file_s_lock(app: Longshore, path: Path) -> None:
    """As in the first request that a process serves."""
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("BEGIN IMMEDIATE")
    with Longshore(f"sqlite:///{path}?timeout=0") as fresh:
        fresh.enqueue(call(fresh), tx=connection)
    connection.execute("COMMIT")
    connection.close()
    assert sum(app.counts().values()) == 1
