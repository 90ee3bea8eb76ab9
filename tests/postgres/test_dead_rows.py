"""What is left of jobs that are done: a claim steps over each once, or while an open transaction may still see it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import psycopg
import pytest

from longshore.contract import Change, Claim, NewJob, State, StoredJob
from longshore_sql.postgres.driver import PostgresDriver

BATCH = 100
CLAIMS = [Claim(("q",), frozenset({"t"}))]
RUNNING = frozenset({State.RUNNING})
WITHOUT = 3 * BATCH
"""What an exchange of a hundred examines: it changes, finds and takes a hundred jobs, by an index each."""
OWN_LEAVINGS = 3 * BATCH
"""What the exchange before left, which this one is the first to step over."""


@pytest.fixture
def full(store: PostgresDriver, connection: psycopg.Connection[Any]) -> PostgresDriver:
    """A store with jobs, which nobody tidies up."""
    connection.execute(f"ALTER TABLE {store._schema.namespace}_job SET (autovacuum_enabled = off)")
    connection.commit()
    store.insert([NewJob(f"{number:06}", "q", "t", b"") for number in range(5_000)])
    return store


def exchange(store: PostgresDriver, jobs: list[StoredJob]) -> list[StoredJob]:
    changes = [Change(job.id, State.SUCCEEDED, {}, RUNNING, job.generation, "h", settles=True) for job in jobs]
    found = store.exchange(changes, CLAIMS, holder="h", limit=BATCH)[1].jobs
    assert len(found) == BATCH
    return found


def examined(store: PostgresDriver, call: Callable[[], Any]) -> int:
    before = store.examined()
    call()
    return store.examined() - before


def churn(store: PostgresDriver, rounds: int) -> list[int]:
    """What each exchange of many examines."""
    jobs = exchange(store, [])
    found: list[int] = []
    for _ in range(rounds):
        before = store.examined()
        jobs = exchange(store, jobs)
        found.append(store.examined() - before)
    return found


def test_churn_without_a_vacuum_costs_a_claim_nothing_more(full: PostgresDriver) -> None:
    found = churn(full, 30)
    assert max(found) <= WITHOUT + OWN_LEAVINGS
    assert found[-1] <= found[1] + BATCH, "what is left of jobs adds up"


def test_an_open_snapshot_costs_a_claim_one_entry_for_each_job_done_since(
    full: PostgresDriver, connection: psycopg.Connection[Any]
) -> None:
    """While another session may still see the jobs of before, their entries stay; afterwards one claim clears them."""
    connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ")
    connection.execute("SELECT 1")
    found = churn(full, 20)
    for number, one in enumerate(found, start=1):
        assert one <= WITHOUT + OWN_LEAVINGS + (number + 1) * BATCH
    assert found[-1] >= 15 * BATCH, "the snapshot held nothing back: this tests nothing"
    connection.commit()
    after = churn(full, 3)
    assert after[-1] <= WITHOUT + OWN_LEAVINGS
