"""What the suite lets other processes do to a store.

Started as a script, not as a module, so that it imports neither pytest nor the suite. The first line of its input says,
in JSON, which store and which program with which arguments; it answers in lines of JSON.
"""

from __future__ import annotations

import importlib
import itertools
import json
import sys
import time
from collections.abc import Callable
from operator import attrgetter
from typing import Any

from longshore.contract import Change, Claim, Driver, Insertion, NewJob, Outcome, State, StoredJob, Where, Write

CLAIMS = [Claim(queues=("mail",))]
PENDING = Where(states=[State.PENDING])


def say(word: Any) -> None:
    """One line to the test."""
    sys.stdout.write(json.dumps(word) + "\n")
    sys.stdout.flush()


def wait_for_go() -> None:
    """Until the test says go."""
    say("ready")
    sys.stdin.readline()


def job(identity: str, **fields: Any) -> NewJob:
    """A job that is not remarkable."""
    return NewJob(identity, "mail", "send", b"{}", **fields)


def succeed(done: StoredJob) -> Change:
    """The change by which a run ends itself."""
    running = frozenset({State.RUNNING})
    return Change(
        done.id, State.SUCCEEDED, states=running, generation=done.generation, holder=done.holder, settles=True
    )


def migrate(store: Driver, name: str) -> None:
    """Migrates when all others do, and leaves a job."""
    wait_for_go()
    store.migrate()
    store.insert([job(name)])
    say("done")


def claim_all(store: Driver, holder: str) -> None:
    """Claims and settles until nothing is pending, and answers the ids of what it settled."""
    wait_for_go()
    settled: list[str] = []
    jobs: list[StoredJob] = []
    while jobs or store.select(PENDING, limit=1, body=False).jobs:
        answers, claimed = store.exchange([succeed(done) for done in jobs], CLAIMS, holder=holder, limit=5)
        pairs = zip(jobs, answers, strict=True)
        settled += [done.id for done, answer in pairs if answer.outcome is Outcome.MOVED]
        jobs = claimed.jobs
    say(settled)


def insert_all(store: Driver, identities: list[str], name: str) -> None:
    """Inserts the same ids as the others, and jobs that want the same unique keys; answers what landed of each."""
    wait_for_go()
    same = [job(identity) for identity in identities]
    rivals = [job(f"{identity} {name}", unique_key=identity) for identity in identities]
    landed = [
        [new.id for new, answer in zip(jobs, store.insert(jobs), strict=True) if answer.outcome is Insertion.INSERTED]
        for jobs in (same, rivals)
    ]
    say(landed)


def count_up(store: Driver, times: int) -> None:
    """Adds one to a record by compare-and-set, some times."""
    wait_for_go()
    for _ in range(times):
        landed = None
        while landed is None:
            records = store.read("counter", ["n"])
            value, version = (int(records[0].value), records[0].version) if records else (0, 0)
            (landed,) = store.write([Write("counter", "n", str(value + 1).encode(), version)])
    say("done")


def insert_without_end(store: Driver, name: str) -> None:
    """Inserts jobs and says which were acknowledged, until it is killed."""
    for number in itertools.count():
        identities = [f"{name} {number} {place}" for place in range(3)]
        store.insert([job(identity) for identity in identities])
        say(identities)


def work_without_end(store: Driver, holder: str) -> None:
    """Inserts, claims and settles, and says what was settled and acknowledged, until it is killed."""
    jobs: list[StoredJob] = []
    for number in itertools.count():
        store.insert([job(f"{holder} {number} {place}") for place in range(3)])
        _, claimed = store.exchange([succeed(done) for done in jobs], CLAIMS, holder=holder, limit=5)
        say([done.id for done in jobs])
        jobs = claimed.jobs


def write_without_end(store: Driver, key: str) -> None:
    """Writes a record, each time on the version before, and says which value was acknowledged, until it is killed."""
    version = store.read("counter", [key])[0].version if store.read("counter", [key]) else 0
    for number in itertools.count():
        (landed,) = store.write([Write("counter", key, str(number).encode(), version)])
        version = landed or 0
        say(number)


def listen(store: Driver, topics: list[str], timeout: float) -> None:
    """Listens, and answers whether and when it was woken."""
    listener = store.listen(topics)
    wait_for_go()
    woken = listener.wait(timeout)
    say([woken, time.time()])
    listener.close()


PROGRAMS: dict[str, Callable[..., None]] = {
    program.__name__: program
    for program in (
        *(migrate, claim_all, insert_all, count_up),
        *(insert_without_end, work_without_end, write_without_end, listen),
    )
}


def main() -> None:
    """Reads what to do, does it."""
    order = json.loads(sys.stdin.readline())
    sys.path[:] = order["path"]
    module, _, name = order["driver"].partition(":")
    driver: type[Driver] = attrgetter(name)(importlib.import_module(module))
    store = driver.connect(order["target"], **order["options"])
    PROGRAMS[order["program"]](store, **order["arguments"])
    store.close()


if __name__ == "__main__":
    main()
