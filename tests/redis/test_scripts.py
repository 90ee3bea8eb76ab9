"""The scripts say what they are given and what they answer, and hold no server for long."""

from __future__ import annotations

import re
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path

import pytest
import redis

from conftest import Serve
from longshore.contract import EVERY, By, Change, Claim, NewJob, State, StoredJob, Where, Write
from longshore_redis import driver as driver_module
from longshore_redis import scripts
from longshore_redis.driver import RedisDriver
from stores import fresh_store

FOLDER = files("longshore_redis") / "scripts"
PARTS = {"store", "history", "job", "plain", "standing", "changing", "claiming"}
NAMES = sorted(file.name.removesuffix(".lua") for file in FOLDER.iterdir() if file.name.endswith(".lua"))
METHODS = [name for name in NAMES if name not in PARTS]
LONGEST = 0.075
"""Seconds of its CPU for which a call may hold the server."""


@pytest.fixture(params=["newer", "older"])
def url(request: pytest.FixtureRequest, tmp_path: Path, shared_server: Serve, namespace: str) -> str:
    """An empty namespace of either server."""
    if request.param == "older":
        return f"{request.getfixturevalue('older_server').url}?namespace={namespace}"
    found: str = fresh_store("redis", tmp_path, shared_server)
    return found


def arguments_in_header(name: str) -> tuple[int, bool]:
    """How many arguments a script says that it is given, and whether more may follow."""
    (said,) = re.findall(r"^-- ARGV: (.+)$", (FOLDER / f"{name}.lua").read_text(), re.MULTILINE)
    parts = said.split(" | ")
    fixed = [part for part in parts if "…" not in part]
    return len(fixed), len(fixed) < len(parts)


@pytest.mark.parametrize("name", METHODS)
def test_a_script_says_what_it_is_given_and_what_it_answers(name: str) -> None:
    first, *rest = (FOLDER / f"{name}.lua").read_text().splitlines()
    assert first.startswith("-- ")
    assert first.endswith(".")
    assert [line for line in rest if line.startswith("-- KEYS: ")] == ["-- KEYS: the namespace's tag"]
    assert any(line.startswith("-- Answer: ") for line in rest)
    assert arguments_in_header(name)[0] >= 1


def test_what_is_sent_is_what_the_headers_say(store: RedisDriver, monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[tuple[str, int]] = []
    run = scripts.run

    def noted(call: Callable[..., object], name: str, root: str, *arguments: object) -> object:
        sent.append((name, len(arguments)))
        return run(call, name, root, *arguments)

    monkeypatch.setattr(driver_module.scripts, "run", noted)
    restored = StoredJob("b", "q", "t", State.FAILED, 0, 1, 1, "json", b"", b"", ended=2, tries=1, attempts=(b"1",))
    store.migrate()
    store.insert([NewJob("a", "q", "t", b""), restored])
    (job,) = store.claim([Claim(queues=("q",))], holder="h", limit=1).jobs
    settle = Change("a", State.SUCCEEDED, {"result": b"r"}, generation=job.generation, holder="h", settles=True)
    store.exchange([settle], [Claim(queues=("q",))], holder="h", limit=1)
    store.update([Change("a", fields={"notes": {"n": 1}})])
    store.select(EVERY)
    store.count(By.QUEUE_STATE)
    store.count(By.GROUP_STATE, Where(groups=["g"]))
    store.delete(Where(ids=["a"]))
    store.write([Write("k", "a", b"1")])
    store.read("k")
    store.clear()
    assert {name for name, _ in sent} == set(METHODS), "a script is never sent, or has no method"
    for name, count in sent:
        fixed, more = arguments_in_header(name)
        assert count >= fixed if more else count == fixed, f"{name} was sent {count} arguments"


def test_a_server_that_forgot_the_scripts_is_told_them_again(store: RedisDriver, url: str) -> None:
    store.insert([NewJob("a", "q", "t", b"")])
    with redis.Redis.from_url(url.partition("?")[0]) as client:
        client.script_flush()
    assert [job.id for job in store.claim([Claim(queues=("q",))], holder="h", limit=1).jobs] == ["a"]


def server_seconds(client: redis.Redis, call: Callable[[], object]) -> float:
    """What a call costs the server of its CPU."""
    before = client.info("cpu")
    call()
    after = client.info("cpu")
    return sum(float(after[part]) - float(before[part]) for part in ("used_cpu_user", "used_cpu_sys"))


def spent_on_a_thousand(store: RedisDriver, client: redis.Redis, name: str) -> dict[str, float]:
    """Seconds of the server for storing, claiming and settling them, and half of those for an exchange."""
    jobs = [NewJob(f"{name}{number:025}", "q", "t", b"p" * 100) for number in range(2_000)]
    claims, taken = [Claim(queues=("q",))], list[StoredJob]()

    def claim() -> None:
        taken[:] = store.claim(claims, holder="h", limit=1_000).jobs

    def ends() -> list[Change]:
        return [Change(job.id, State.SUCCEEDED, settles=True) for job in taken]

    def exchange() -> None:
        taken[:] = store.exchange(ends(), claims, holder="h", limit=1_000)[1].jobs
        assert len(taken) == 1_000

    store.insert(jobs[:1_000])
    calls = {
        "insert": lambda: store.insert(jobs[1_000:]),
        "claim": claim,
        "exchange": exchange,
        "update": lambda: store.update(ends()),
    }
    spent = {call: server_seconds(client, act) for call, act in calls.items()}
    spent["exchange"] /= 2
    return spent


@pytest.mark.timed
def test_a_thousand_jobs_hold_the_server_for_a_short_time(store: RedisDriver, url: str) -> None:
    with redis.Redis.from_url(url.partition("?")[0]) as client:
        rounds = [spent_on_a_thousand(store, client, name) for name in "abcde"]
    least = {call: min(spent[call] for spent in rounds) for call in rounds[0]}
    assert all(seconds < LONGEST for seconds in least.values()), least
