"""A process that inserts, claims and finishes without end, and reports what was acknowledged."""

from __future__ import annotations

import sys
from itertools import count

from longshore.contract import Change, Claim, NewJob, State
from longshore_sql.sqlite.driver import SQLiteDriver

RUNNING = frozenset({State.RUNNING})


def report(verb: str, ids: list[str]) -> None:
    if ids:
        sys.stdout.write(f"{verb} {' '.join(ids)}\n")
        sys.stdout.flush()


def main(url: str, prefix: str) -> None:
    store = SQLiteDriver.connect(url)
    changes: list[Change] = []
    for number in count():
        ids = [f"{prefix}-{number}-{n}" for n in range(20)]
        store.insert([NewJob(identity, "queue", "task", b"payload", parents=("p",)) for identity in ids])
        report("inserted", ids)
        _, claimed = store.exchange(changes, [Claim(("queue",))], holder="busy", limit=15)
        report("finished", [change.id for change in changes])
        report("claimed", [job.id for job in claimed.jobs])
        changes = [
            Change(job.id, State.SUCCEEDED, {"result": b"7"}, RUNNING, job.generation, "busy", settles=True)
            for job in claimed.jobs
        ]


if __name__ == "__main__":
    main(*sys.argv[1:])
