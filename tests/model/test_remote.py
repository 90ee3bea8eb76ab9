"""Commands to workers: which there are, that each is obeyed once and in order, and what their senders are told."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from core.broken_line import HOLDS, LOSES_ANSWER, LOSES_CALL, BrokenLine, Line
from longshore import Context, Longshore, Retry, State
from longshore.errors import ConfigurationError, IllegalMove, InvalidValue, JobFailed, JobRemoved
from longshore.guard import Guard
from longshore.holders import Lease
from longshore.memory_store import MemoryStore
from longshore.remote.messages import Answered, Message, post, read_answers, read_inbox
from longshore.testing.clock import ManualClock
from longshore.worker.controls import Controls
from longshore.worker.inbox import Inbox
from model import drydock
from worker.gate import PATIENCE, Gate, say, stop
from worker.words import Words

NEVER = 60.0


@pytest.fixture
def app(target: Any) -> Iterator[Longshore]:
    with Longshore(target) as app:
        yield app


@pytest.fixture
def gate() -> Iterator[Gate]:
    gate = Gate()
    yield gate
    gate.open()


@pytest.fixture
def words(tmp_path: Path) -> Iterator[Words]:
    words = Words(tmp_path)
    yield words
    words.close()


def test_a_command_of_the_application_is_obeyed_by_all_workers_and_answered(app: Longshore) -> None:
    @app.command
    def add(first: int, second: int = 1) -> int:
        return first + second

    with app.worker() as one, app.worker() as other:
        replies = app.remote.send("add", 2, second=3, wait=PATIENCE)
        assert [(reply.worker, reply.value, reply.error) for reply in replies] == [
            (name, 5, None) for name in sorted(worker.holder.rpartition(".")[0] for worker in (one, other))
        ]


def test_a_coroutine_may_be_a_command(app: Longshore) -> None:
    @app.command
    async def greet(name: str) -> str:
        return f"Hello {name}"

    with app.worker():
        assert [reply.value for reply in app.remote.send("greet", "Ada", wait=PATIENCE)] == ["Hello Ada"]


def test_only_the_named_workers_obey(app: Longshore) -> None:
    heard: list[int] = []

    @app.command
    def hear() -> None:
        heard.append(1)

    with app.worker() as one, app.worker():
        (reply,) = app.remote.send("hear", workers=[one.holder], wait=PATIENCE)
        assert (reply.worker, heard) == (one.holder.rpartition(".")[0], [1])


def test_messages_are_obeyed_in_the_order_of_sending(app: Longshore, gate: Gate) -> None:
    heard: list[int] = []

    @app.command
    def note(number: int) -> int:
        if number == 0:
            gate.stop_here()
        heard.append(number)
        return number

    with app.worker():
        assert [reply.answered for reply in app.remote.send("note", 0, wait=0)] == [False]
        gate.arrived()
        for number in range(1, 20):
            app.remote.send("note", number, wait=0)
        gate.open()
        app.remote.send("note", 20, wait=PATIENCE)
    assert heard == list(range(21))


def test_what_a_command_raises_is_answered(app: Longshore) -> None:
    @app.command
    def fail() -> None:
        raise ValueError("no")

    @app.command
    def give_no_json() -> object:
        return object()

    with app.worker():
        assert [reply.error for reply in app.remote.send("fail", wait=PATIENCE)] == ["ValueError: no"]
        assert "has no form in JSON" in str(app.remote.send("give_no_json", wait=PATIENCE)[0].error)
        assert "pause, resume, scale, signal, stop" in str(app.remote.send("dance", wait=PATIENCE)[0].error)


def test_without_workers_nobody_answers(app: Longshore) -> None:
    assert app.remote.pause() == []


def test_who_fetches_by_hand_is_not_waited_for(app: Longshore, gate: Gate) -> None:
    gate.serve(app)
    app.enqueue(say(app, "x"))
    for _batch in app.fetch(wait=PATIENCE):
        assert app.remote.pause() == []
        break


@pytest.mark.parametrize("wrong", [{"workers": ["nobody"]}, {"when": object()}])
def test_what_cannot_be_sent_is_refused(app: Longshore, wrong: dict[str, Any]) -> None:
    with app.worker(), pytest.raises(InvalidValue, match=r"no living worker is named nobody|must be a JSON value"):
        app.remote.send("pause", **wrong)


def test_names_of_commands_are_taken_once(app: Longshore) -> None:
    def pause() -> None: ...

    with pytest.raises(ConfigurationError, match="is there already"):
        app.command(pause)


def test_a_paused_worker_takes_nothing_until_it_is_told_to_resume(app: Longshore, gate: Gate) -> None:
    gate.serve(app)
    with app.worker(slots=1, poll=NEVER, hold=NEVER, prefetch=NEVER) as worker:
        app.enqueue(say(app, "before")).wait(timeout=PATIENCE)
        running = app.enqueue(stop(app, "running"))
        while gate.arrived() != "running":
            pass
        behind = app.enqueue(say(app, "behind"))
        app.remote.pause(wait=PATIENCE)
        (about,) = app.admin.workers()
        assert about.status == "paused"
        gate.open()
        assert running.result(timeout=PATIENCE) == "running"
        assert gate.nobody_arrives(within=0.3)
        assert (behind.info().state, behind.info().attempt) == (State.PENDING, 0)
        app.remote.resume(wait=PATIENCE)
        assert behind.result(timeout=PATIENCE) == "behind"
    assert worker.tally.succeeded == 3


def test_a_worker_is_scaled_up_and_down(app: Longshore, gate: Gate) -> None:
    gate.serve(app)
    with app.worker(slots=1, poll=NEVER) as worker:
        jobs = app.enqueue_many([stop(app, f"{number}") for number in range(4)])
        gate.arrived()
        assert gate.nobody_arrives(within=0.2)
        assert [reply.error for reply in app.remote.scale(3, wait=PATIENCE)] == [None]
        gate.arrived()
        gate.arrived()
        assert gate.nobody_arrives(within=0.2)
        assert [about.slots for about in app.admin.workers()] == [3]
        app.remote.scale(0, wait=PATIENCE)
        gate.open()
        while worker.tally.succeeded < 3:
            threading.Event().wait(0.01)
        assert gate.nobody_arrives(within=0.3)
        app.remote.scale(1, wait=PATIENCE)
        assert sorted(job.result(timeout=PATIENCE) for job in jobs) == ["0", "1", "2", "3"]
        assert "0 to 10,000" in str(app.remote.scale(-1, wait=PATIENCE)[0].error)


def test_a_stopped_run_has_failed_and_is_tried_again(app: Longshore, gate: Gate) -> None:
    @app.task(retry=Retry(max_attempts=2, delay=0))
    def stay_at_first(context: Context, number: int) -> int:
        if context.attempt == 1:
            gate.stop_here()
        return number

    with app.worker(poll=NEVER):
        job = stay_at_first.enqueue(7)
        gate.arrived()
        assert app.remote.stop(job.id, wait=PATIENCE).error is None
        assert job.result(timeout=PATIENCE) == 7
    (attempt,) = job.info().attempts
    assert (attempt.outcome, attempt.error) == ("failed", "Stopped: ")


def test_a_job_that_does_not_run_cannot_be_stopped(app: Longshore, gate: Gate) -> None:
    gate.serve(app)
    job = app.enqueue(say(app, "x"))
    with pytest.raises(IllegalMove, match=r"expected job .* to run; it is pending"):
        app.remote.stop(job.id)
    with pytest.raises(JobRemoved, match="there is no job nobody"):
        app.remote.stop("nobody")


class TestSignals:
    def test_a_run_s_own_process_is_sent_it(self, target: Any, words: Words) -> None:
        drydock.app.use(target)
        with drydock.app as app, app.worker(poll=NEVER):
            job = app.enqueue(drydock.stay_until_told.options(max_attempts=1).call(words.path))
            words.hear()
            assert app.remote.signal(job.id, "USR1", wait=PATIENCE).error is None
            with pytest.raises(JobFailed, match=f"SIGUSR1 .signal {signal.SIGUSR1.value}"):
                job.result(timeout=PATIENCE)

    def test_a_run_in_a_thread_is_not(self, app: Longshore, gate: Gate) -> None:
        gate.serve(app)
        with app.worker(poll=NEVER):
            job = app.enqueue(stop(app, "x"))
            gate.arrived()
            assert "executor='process'" in str(app.remote.signal(job.id, "TERM", wait=PATIENCE).error)
            gate.open()


class TestCrashes:
    @pytest.mark.parametrize("line", [LOSES_CALL, LOSES_ANSWER])
    def test_a_command_whose_answer_did_not_get_through_is_obeyed_once_and_answered_later(self, line: Line) -> None:
        heard: list[int] = []
        driver = BrokenLine.connect(MemoryStore())
        driver.plan()
        store = Guard(driver, patience=0)
        lease = Lease(60)
        lease.begin(store)
        post(store, Message("s", "count"), [lease.worker])
        commands = {"count": lambda: heard.append(1)}
        inbox = Inbox(store, lease, Controls(team=None), commands, look_every=0.01)  # type: ignore[arg-type]
        driver.plan(HOLDS, HOLDS, line)
        inbox.start()
        while read_inbox(store, lease.worker) or not read_answers(store, "s"):
            threading.Event().wait(0.01)
        inbox.stop()
        inbox.join()
        assert (heard, read_answers(store, "s")) == ([1], {lease.worker: Answered()})
        assert read_inbox(store, lease.worker) == []

    def test_a_message_of_which_nobody_told_is_found_all_the_same(self, app: Longshore) -> None:
        with app.worker(heartbeat=0.2, lease=1) as worker:
            name = worker.holder.rpartition(".")[0]
            post(app.store, Message("s", "pause"), [name])
            while not read_answers(app.store, "s"):
                threading.Event().wait(0.01)

    def test_the_sender_is_told_that_a_worker_that_died_over_it_has_not_answered(self, shared_target: str) -> None:
        drydock.app.use(shared_target)
        worker = subprocess.Popen(
            [sys.executable, "-c", f"from model.drydock import app; app.use({shared_target!r}); app.worker().run()"],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        )
        with drydock.app as app:
            while not app.admin.workers():
                threading.Event().wait(0.01)
            (reply,) = app.remote.send("end_at_once", wait=0.5)
        assert worker.wait(PATIENCE) == 3
        assert reply.answered is False

    def test_messages_to_the_dead_lapse(self, target: Any) -> None:
        clock = ManualClock()
        with Longshore(target, clock=clock) as app:
            post(app.store, Message("s", "pause"), ["gone"])
            assert len(read_inbox(app.store, "gone")) == 1
            clock.advance(3601)
            assert read_inbox(app.store, "gone") == []
