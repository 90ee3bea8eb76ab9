"""Jobs in the application's own transaction, by each library that it may use: they commit with it, and only then."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import pytest

from engines import Server
from longshore import Context, Longshore, State
from longshore.contract import Claim, Where
from longshore.errors import LeaseLost
from stores import fresh_store
from transactions.banks import BANKS, Bank

TESTS = Path(__file__).parents[1]


class Changed(Exception):
    """What a test raises to roll back."""


def jobs(app: Longshore) -> list[str]:
    """The names that the effects were enqueued with, in order."""
    return [str(job.notes["who"]) for job in reversed(app.store.select(Where(queues=("effects",))).jobs)]


def effect(app: Longshore, who: str) -> Any:
    options: Any = type(app.call_by_name("x").options)
    return app.call_by_name("effect", options=options(queue="effects", notes={"who": who}))


class TestEnqueuing:
    def test_the_row_and_the_job_have_the_fate_of_the_transaction(self, app: Longshore, bank: Bank) -> None:
        async def commit() -> None:
            async with bank.begin() as tx:
                await bank.pay(tx, "ann")
                (job,) = await bank.enqueue(app, effect(app, "ann"), tx=tx)
                assert jobs(app) == [], "it is seen before the commit"
            assert job.info().state is State.PENDING

        async def commit_the_job_alone() -> None:
            async with bank.begin() as tx:
                await bank.enqueue(app, effect(app, "bob"), tx=tx)

        async def rollback() -> None:
            async with bank.begin() as tx:
                await bank.pay(tx, "eve")
                await bank.enqueue(app, effect(app, "eve"), tx=tx)
                raise Changed

        async def fail() -> None:
            async with bank.begin() as tx:
                await bank.enqueue(app, effect(app, "kim"), tx=tx)
                await bank.execute(tx, "INSERT INTO no_such_table VALUES (1)")

        bank.run(commit())
        assert (bank.paid(), jobs(app)) == (["ann"], ["ann"])
        bank.run(commit_the_job_alone())
        with pytest.raises(Changed):
            bank.run(rollback())
        with pytest.raises(Exception, match="no_such_table"):
            bank.run(fail())
        assert (bank.paid(), jobs(app)) == (["ann"], ["ann", "bob"])

    def test_a_savepoint_takes_back_what_was_enqueued_in_it_and_no_more(self, app: Longshore, bank: Bank) -> None:
        async def scenario() -> None:
            async with bank.begin() as tx:
                await bank.pay(tx, "ann")
                await bank.enqueue(app, effect(app, "ann"), tx=tx)
                with suppress(Changed):
                    async with bank.savepoint(tx):
                        await bank.pay(tx, "bob")
                        await bank.enqueue(app, effect(app, "bob"), tx=tx)
                        raise Changed
                async with bank.savepoint(tx):
                    await bank.pay(tx, "eve")
                    await bank.enqueue(app, effect(app, "eve"), tx=tx)

        bank.run(scenario())
        assert bank.paid() == jobs(app) == ["ann", "eve"]

    def test_many_jobs_of_all_kinds(self, app: Longshore, bank: Bank) -> None:
        """Every statement that enqueuing may make is made on each library."""

        @app.task
        def load(number: int) -> None: ...

        async def scenario() -> None:
            async with bank.begin() as tx:
                plain = [load.call(number) for number in range(100)]
                parent = load.call(100)
                child = load.options(after=parent, notes={"of": "parent"}).call(101)
                in_line = [load.options(key="line").call(number) for number in (102, 103)]
                called = load.options(on_end=load.call(105)).call(104)
                await bank.enqueue(app, plain[0], tx=tx)
                await bank.enqueue(app, *plain[1:], parent, child, *in_line, called, tx=tx)

        bank.run(scenario())
        app.worker().run(until_empty=True)
        assert app.counts()[State.SUCCEEDED] == 106


class TestCompleting:
    def test_the_row_and_the_job_s_end_are_one_whatever_becomes_of_the_transaction(
        self, app: Longshore, bank: Bank
    ) -> None:
        async def in_one(context: Context, end: str) -> None:
            async with bank.begin() as tx:
                await bank.pay(tx, f"{end} {context.attempt}")
                await bank.enqueue(app, effect(app, end), tx=tx)
                await bank.complete(context, "paid", tx)
                if end != "commit" and context.attempt == 1:
                    raise Changed

        async def commit(context: Context) -> str:
            await in_one(context, "commit")
            return "not looked at"

        async def rollback(context: Context) -> None:
            await in_one(context, "rollback")

        async def swallowed(context: Context) -> None:
            with suppress(Changed):
                await in_one(context, "swallowed")

        async def savepoint(context: Context) -> None:
            async with bank.begin() as tx:
                await bank.pay(tx, f"savepoint {context.attempt}")
                with suppress(Changed):
                    async with bank.savepoint(tx):
                        await bank.complete(context, "paid", tx)
                        if context.attempt == 1:
                            raise Changed

        ends = {one.__name__: bank.task(app, one)() for one in (commit, rollback, swallowed, savepoint)}
        app.worker(slots=1).run(until_empty=True)
        assert {job.result(timeout=0) for job in ends.values()} == {"paid"}
        # The rows of what was taken back are not there, those beside it are.
        assert bank.paid() == ["commit 1", "rollback 2", "savepoint 1", "savepoint 2", "swallowed 2"]
        assert sorted(jobs(app)) == ["commit", "rollback", "swallowed"]
        errors = {end: [str(attempt.error) for attempt in job.info().attempts] for end, job in ends.items()}
        assert errors["commit"] == []
        assert ["Changed" in error for error in errors["rollback"]] == [True]
        assert ["NotCommitted" in error for error in errors["swallowed"]] == [True]
        assert ["NotCommitted" in error for error in errors["savepoint"]] == [True]

    def test_a_run_that_has_lost_its_job_leaves_nothing(self, app: Longshore, bank: Bank) -> None:
        job = app.enqueue(app.call_by_name("by_hand"))
        (late,) = app.store.claim([Claim(id=job.id)], holder="late", limit=1).jobs
        app.admin.retry(job.id)

        async def scenario() -> None:
            async with bank.begin() as tx:
                await bank.pay(tx, "late")
                await bank.complete(Context(app, late), "paid", tx)

        with pytest.raises(LeaseLost, match="must not be committed"):
            bank.run(scenario())
        assert (bank.paid(), job.info().state) == ([], State.PENDING)


@pytest.mark.timeout(180)
@pytest.mark.parametrize("engine", sorted({name.partition(":")[0] for name in BANKS}))
def test_killed_after_one_commit_and_before_the_next(
    engine: str, tmp_path: Path, shared_server: Callable[[str], Server]
) -> None:
    """By each library a process completes two jobs, and is killed before the second commit: all of the first is there,
    nothing of the second."""
    names = [name for name in BANKS if name.startswith(f"{engine}:")]
    with ExitStack() as stack:
        banks, crews, held = {}, {}, {}
        for number, name in enumerate(names):
            folder = tmp_path / str(number)
            folder.mkdir()
            url = fresh_store(engine, folder, shared_server)
            crews[name] = app = stack.enter_context(Longshore(url))
            held[name] = [app.enqueue(app.call_by_name("by_hand")) for _ in range(2)]
            banks[name] = BANKS[name](url)
            banks[name].create()
            banks[name].close()
        orders = [[name, banks[name].url, *(job.id for job in held[name])] for name in names]
        command = [sys.executable, "-m", "transactions.payer", json.dumps(orders)]
        done = subprocess.run(command, cwd=TESTS, capture_output=True, text=True, timeout=150)
        assert done.returncode == 0, done.stderr
        for name in names:
            first, second = held[name]
            assert banks[name].paid() == jobs(crews[name]) == [first.id], name
            assert (first.info().state, second.info().state) == (State.SUCCEEDED, State.RUNNING), name
            assert first.result(timeout=0) == "paid", name
