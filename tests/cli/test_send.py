"""``longshore send``: a command to living workers, a line for each, and what scripts learn by the exit code."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from cli.conftest import Say
from longshore import Context, Longshore, Retry, State
from longshore.holders import Lease
from worker.gate import Gate


@pytest.fixture
def gate() -> Iterator[Gate]:
    gate = Gate()
    yield gate
    gate.open()


def name_of(holder: str) -> str:
    return holder.rpartition(".")[0]


def test_every_living_worker_obeys_and_has_a_line(app: Longshore, say: Say) -> None:
    with app.worker() as one, app.worker() as other:
        names = sorted(name_of(worker.holder) for worker in (one, other))
        assert say("send", "scale", "3").lines() == [[name, "done"] for name in names]
        assert [worker["slots"] for worker in say("workers", "--json").json()] == [3, 3]
        assert say("send", "pause", "--worker", one.holder).lines() == [[name_of(one.holder), "done"]]
        assert sorted(worker["status"] for worker in say("workers", "--json").json()) == ["paused", "working"]
        assert say("send", "resume").code == 0
        assert [worker["status"] for worker in say("workers", "--json").json()] == ["working", "working"]


def test_an_own_command_with_its_arguments_and_its_answer(app: Longshore, say: Say) -> None:
    @app.command
    def greet(name: str, *, times: int = 1) -> str:
        return ", ".join([f"hello {name}"] * times)

    with app.worker() as worker:
        name = name_of(worker.holder)
        assert say("send", "greet", "Ada").lines() == [[name, "done", "hello Ada"]]
        replies = say("send", "greet", '"Ada"', "--named", "times=2", "--json").json()
        assert replies == [{"worker": name, "answered": True, "value": "hello Ada, hello Ada", "error": None}]


def test_one_that_fails_is_told_and_the_exit_code_says_so(app: Longshore, say: Say) -> None:
    with app.worker() as worker:
        said = say("send", "sing")
        assert (said.code, said.error) == (1, "")
        assert said.lines()[0][:2] == [name_of(worker.holder), "failed"]
        assert "sing" in said.lines()[0][2]
        assert say("send", "scale", "many").code == 1


def test_one_that_does_not_answer_is_told_and_the_exit_code_says_so(app: Longshore, say: Say) -> None:
    lease = Lease(60, has_inbox=True)
    lease.begin(app.store)
    said = say("send", "pause", "--wait", "0")
    assert (said.code, said.lines()) == (1, [[name_of(lease.holder), "no answer"]])
    said = say("send", "pause", "--wait", "0", "--json")
    assert (said.code, json.loads(said.out)[0]["answered"]) == (1, False)


def test_without_workers_nothing_is_sent(app: Longshore, say: Say) -> None:
    assert say("send", "pause") == (1, "", "longshore: no worker lives\n")
    said = say("send", "pause", "--worker", "nobody")
    assert said.code == 2
    assert "nobody" in said.error


def test_the_run_of_a_job_is_stopped_by_whoever_has_it(app: Longshore, say: Say, gate: Gate) -> None:
    @app.task(retry=Retry(max_attempts=1))
    def wait(context: Context) -> None:
        gate.stop_here()
        context.check()

    assert say("send", "stop", "7") == (1, "", "longshore: there is no job 7: it was removed, or never stored\n")
    job = wait.options(id="7").enqueue()
    assert say("send", "stop", "7").code == 1, "it does not run"
    with app.worker() as worker:
        gate.arrived()
        said = say("send", "signal", "7", "TERM")
        assert (said.code, said.lines()[0][1]) == (1, "failed"), "it has no process of its own"
        assert say("send", "stop", "7").lines() == [[name_of(worker.holder), "done"]]
        gate.open()
        assert job.wait(timeout=30).state is State.FAILED


@pytest.mark.parametrize(
    "words",
    [("stop",), ("stop", "7", "8"), ("signal", "7"), ("stop", "7", "--worker", "one"), ("greet", "--named", "seven")],
    ids=" ".join,
)
def test_wrong_usage(say: Say, words: tuple[str, ...]) -> None:
    assert say("send", *words).code == 2
