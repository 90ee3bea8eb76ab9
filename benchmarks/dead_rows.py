"""How much slower PostgreSQL serves claims while another session's transaction stays open under churn.

    python -m benchmarks.dead_rows --seconds 60

What is done while a transaction is open stays in the table and in its indexes until that has ended, as it might still
look at it. Jobs are stored and drained by hundreds all the while: first for a third of the time with nobody else
there, then beside the open transaction, then after its end.
"""

import argparse
import statistics
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg

from benchmarks.__main__ import real_disk
from benchmarks.measure import scratch
from benchmarks.postgres_server import serving_postgres
from longshore.contract import Change, Claim, NewJob, State, StoredJob
from longshore_sql.postgres.driver import PostgresDriver

BATCH = 100
AHEAD = 1_000
CLAIMS = [Claim(("default",), frozenset({"noop"}))]
RUNNING = frozenset({State.RUNNING})


class Churn:
    """Stores as many jobs as it drains."""

    def __init__(self, store: PostgresDriver) -> None:
        self._store = store
        self._stored = 0
        self._held: list[StoredJob] = []
        self._store_more(AHEAD)

    def milliseconds(self, seconds: float) -> Iterator[float]:
        """How long each exchange of a hundred took, for so many seconds."""
        ends = time.monotonic() + seconds
        while time.monotonic() < ends:
            self._store_more(BATCH)
            changes = [
                Change(job.id, State.SUCCEEDED, {}, RUNNING, job.generation, "worker", settles=True)
                for job in self._held
            ]
            began = time.perf_counter()
            _, claimed = self._store.exchange(changes, CLAIMS, holder="worker", limit=BATCH)
            yield (time.perf_counter() - began) * 1e3
            self._held = claimed.jobs

    def _store_more(self, number: int) -> None:
        first, self._stored = self._stored, self._stored + number
        self._store.insert([NewJob(f"{first + place:026}", "default", "noop", b"[]") for place in range(number)])


def said(name: str, found: list[float]) -> str:
    """One line: the first and the last tenth, as their medians, and how many jobs were done."""
    tenth = max(1, len(found) // 10)
    first, last = statistics.median(found[:tenth]), statistics.median(found[-tenth:])
    return f"{name}: {first:.1f} ms at first, {last:.1f} ms at last, {len(found) * BATCH:,} jobs done"


def measure(url: str, seconds: float) -> None:
    """Prints what an exchange takes before, beside and after the open transaction."""
    store = PostgresDriver.connect(url)
    store.migrate()
    churn = Churn(store)
    print(said("alone", list(churn.milliseconds(seconds / 3))), flush=True)
    with psycopg.connect(url) as other:
        other.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        other.execute("SELECT 1")
        print(said("beside an open transaction", list(churn.milliseconds(seconds))), flush=True)
    print(said("after its end", list(churn.milliseconds(seconds / 3))), flush=True)
    store.close()


def main() -> None:
    """Measure on a server of its own."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0, help="for which the transaction stays open")
    parser.add_argument("--disk", type=Path, default=real_disk(), help="directory on the disk to measure")
    arguments = parser.parse_args()
    with scratch(arguments.disk) as directory, serving_postgres(directory) as url:
        measure(url, arguments.seconds)


if __name__ == "__main__":
    main()
