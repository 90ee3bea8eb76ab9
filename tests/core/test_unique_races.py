"""Unique keys and ids that many threads and processes want at once: one of them wins."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from core import unique_rival
from longshore import Debounce, Job, Longshore, State, Task, Unique
from longshore.errors import IdConflict, UniqueConflict
from longshore.testing.together import together

pytestmark = pytest.mark.every_engine


@pytest.fixture
def app(target: Any) -> Iterator[Longshore]:
    with Longshore(target) as app:
        app.store.now()
        yield app


@pytest.fixture
def send(app: Longshore) -> Task[..., list[Any]]:
    @app.task
    def send(to: str, text: str = "hello") -> list[Any]:
        return [to, text]

    return send


def stored(app: Longshore) -> int:
    return sum(app.counts().values())


class TestManyAtOnce:
    THREADS = 8
    ROUNDS = 20

    def test_one_of_eight_threads_wins_each_key_and_the_others_get_its_job(self, app: Longshore, send: Any) -> None:
        unique = send.options(unique=Unique())

        def enqueue() -> list[Job[Any]]:
            return [unique.enqueue(str(number)) for number in range(self.ROUNDS)]

        first, *others = together(*[enqueue] * self.THREADS)
        assert others == [first] * (self.THREADS - 1)
        assert stored(app) == self.ROUNDS

    def test_one_of_eight_threads_is_not_refused(self, app: Longshore, send: Any) -> None:
        unique = send.options(unique=Unique(if_held="raise"))

        def enqueue() -> list[bool]:
            won = []
            for number in range(self.ROUNDS):
                try:
                    unique.enqueue(str(number))
                    won.append(True)
                except UniqueConflict:
                    won.append(False)
            return won

        winners = [sum(each) for each in zip(*together(*[enqueue] * self.THREADS), strict=True)]
        assert winners == [1] * self.ROUNDS

    def test_replacing_while_workers_run_loses_no_last_call(self, app: Longshore, send: Any) -> None:
        latest = send.options(unique=Unique(key="k", until="start", if_held="replace"))

        def enqueue(name: str) -> list[Job[Any]]:
            return [latest.enqueue(name, str(number)) for number in range(self.ROUNDS)]

        with app.worker(slots=2):
            lists = together(*[lambda name=name: enqueue(name) for name in "abcd"])
            jobs = [job for jobs in lists for job in jobs]
            last = latest.enqueue("z", "last")
            assert last.result(timeout=30) == ["z", "last"]
            for job in set(jobs):
                assert job.wait(timeout=30).state is State.SUCCEEDED
        assert stored(app) == len({*jobs, last})

    def test_debouncing_from_eight_threads_keeps_one_job(self, app: Longshore, send: Any) -> None:
        unique = send.options(unique=Debounce(3600, at_most=7200, key="k"))
        jobs = together(*[lambda: unique.enqueue("anna")] * self.THREADS)
        assert len(set(jobs)) == stored(app) == 1

    def test_one_of_eight_threads_takes_each_id_and_equal_calls_get_its_job(self, app: Longshore, send: Any) -> None:
        def enqueue() -> list[str]:
            return [send.options(id=f"id {number}").enqueue("anna").id for number in range(self.ROUNDS)]

        together(*[enqueue] * self.THREADS)
        assert stored(app) == self.ROUNDS

    def test_of_different_calls_under_one_id_all_but_one_are_refused(self, app: Longshore, send: Any) -> None:
        def enqueue(name: str) -> int:
            refused = 0
            for number in range(self.ROUNDS):
                try:
                    send.options(id=f"id {number}").enqueue(name)
                except IdConflict:
                    refused += 1
            return refused

        refused = together(*[lambda name=name: enqueue(name) for name in "abcdefgh"])
        assert sum(refused) == self.ROUNDS * (self.THREADS - 1)
        assert stored(app) == self.ROUNDS


class TestManyProcesses:
    PROCESSES = 4

    def rivals(self, url: str) -> list[list[list[str]]]:
        """What each of four processes was answered, round by round."""
        command = [sys.executable, unique_rival.__file__, url]
        with ExitStack() as ending:
            processes = [
                ending.enter_context(
                    subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
                )
                for _ in range(self.PROCESSES)
            ]
            for process in processes:
                ending.callback(process.kill)
            for process in processes:
                assert process.stdout
                assert process.stdout.readline() == "ready\n"
            for process in processes:
                assert process.stdin
                process.stdin.write("go\n")
                process.stdin.flush()
            said = [process.communicate(timeout=50)[0] for process in processes]
        return [[line.split() for line in lines.splitlines()] for lines in said]

    def test_one_of_four_wins(self, tmp_path: Path) -> None:
        url = f"sqlite:///{tmp_path}/jobs.db"
        answers = self.rivals(url)
        assert [len(each) for each in answers] == [unique_rival.ROUNDS] * self.PROCESSES
        for rivals in zip(*answers, strict=True):
            skipping, raising, by_id = zip(*rivals, strict=True)
            assert len(set(skipping)) == len(set(by_id)) == 1
            assert sorted(raising)[1:] == ["UniqueConflict"] * (self.PROCESSES - 1)
        with Longshore(url) as app:
            assert stored(app) == 3 * unique_rival.ROUNDS
