"""How many commands a call costs the server: counted, so that a busy machine changes nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import redis

from longshore.contract import Change, Claim, NewJob, Order, State, StoredJob, Where
from longshore_redis.driver import RedisDriver

JOBS = 500
FEW = 60
"""Commands of a call for so many plain jobs; one for each job would be more than eight times as many."""
CLAIMS = [Claim(queues=("q",), tasks=frozenset({"t"}))]

Commands = Callable[[Callable[[], object]], dict[str, int]]


@pytest.fixture
def commands(url: str) -> Commands:
    """What a call has the server do: commands, those of scripts too, and how often."""

    def commands(call: Callable[[], object]) -> dict[str, int]:
        with redis.Redis.from_url(url.partition("?")[0]) as client:
            client.config_resetstat()
            call()
            stats: dict[str, Any] = client.info("commandstats")
        found = {name.removeprefix("cmdstat_"): int(stat["calls"]) for name, stat in stats.items()}
        return {name: calls for name, calls in found.items() if not name.startswith(("config", "client", "info"))}

    return commands


def settled(job: StoredJob) -> Change:
    return Change(
        job.id, State.SUCCEEDED, {"result": b"1"}, generation=job.generation, holder=job.holder or "", settles=True
    )


def test_plain_jobs_are_stored_claimed_and_settled_with_few_commands(store: RedisDriver, commands: Commands) -> None:
    jobs = [NewJob(f"{number:026}", "q", "t", b"p") for number in range(2 * JOBS)]
    taken: list[StoredJob] = []

    def claim() -> None:
        taken.extend(store.claim(CLAIMS, holder="h", limit=JOBS).jobs)

    def exchange() -> None:
        answers, claimed = store.exchange([settled(job) for job in taken], CLAIMS, holder="h", limit=JOBS)
        assert len(answers) == len(claimed.jobs) == JOBS

    # Whether somebody waits for a job that ended is asked for each.
    spent = {
        "insert": commands(lambda: store.insert(jobs)),
        "claim": commands(claim),
        "exchange": {name: calls for name, calls in commands(exchange).items() if name != "exists"},
    }
    assert len(taken) == JOBS
    assert all(sum(counts.values()) < FEW for counts in spent.values()), spent


def test_the_first_of_a_large_group_is_found_by_one_script(store: RedisDriver, commands: Commands) -> None:
    for first in range(0, 3_000, 1_000):
        store.insert([NewJob(f"{number:026}", "q", "t", b"", group="g") for number in range(first, first + 1_000)])
    found: list[StoredJob] = []
    where = Where(groups=["g", "empty"], states=[State.PENDING])

    def look() -> None:
        found.extend(store.select(where, order=Order.OLDEST, limit=2, each=1, body=False).jobs)

    counts = commands(look)
    assert [job.id for job in found] == [f"{0:026}"]
    assert counts["evalsha"] == 1, counts


def test_a_page_of_what_a_set_holds_is_found_by_one_script_and_its_bodies_by_another(
    store: RedisDriver, commands: Commands
) -> None:
    store.insert([NewJob(f"{number:026}", "q", "t", b"p") for number in range(1_000)])
    where = Where(states=[State.PENDING], queues=["q"])
    assert commands(lambda: store.select(where, limit=100, body=False))["evalsha"] == 1
    assert commands(lambda: store.select(where, limit=100))["evalsha"] == 2
