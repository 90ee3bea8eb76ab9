"""One application, as its author would write it. Where its jobs are is said from outside, by a URL."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from threading import Event
from typing import Any

from longshore import Context, Fixed, Job, Longshore, Retry, State

PATIENCE = 60.0


def application(target: Any, log: Path, *, moving_from: Any = None, stop: Callable[[str], None] = str) -> Longshore:
    """The application; its tasks write a line of the log each time they run.

    Args:
        stop: where a crane stands still until its test lets it go on.
    """
    app = Longshore(target, moving_from=moving_from)

    def note(*words: object) -> None:
        with log.open("a") as lines:
            lines.write(" ".join(map(str, words)) + "\n")

    @app.task
    def weigh(crate: int) -> int:
        note("weigh", crate)
        return crate * 10

    @app.task
    def add(context: Context) -> int:
        note("add", context.job_id)
        return sum(parent.result for parent in context.parents())

    @app.task(retry=Retry(max_attempts=3, delay=Fixed(0)))
    def lift(context: Context, crate: int) -> int:
        if context.attempt < 3:
            raise OSError("the crane is stuck")
        note("lift", crate)
        return context.attempt

    @app.task
    def load(place: str, number: int) -> None:
        note("load", place, number)

    @app.task
    def wait_for_tide(word: str) -> str:
        stop(word)
        app.tasks["weigh"].options(id=f"after {word}").enqueue(7)
        return word

    @app.task
    def report(place: str) -> str:
        note("report", place)
        return f"{place} is loaded"

    return app


class Work:
    """What one place enqueues, and what becomes of it wherever the jobs are by then."""

    def __init__(self, app: Longshore, place: str) -> None:
        self._place = place
        tasks = app.tasks
        crates = app.enqueue_many(tasks["weigh"].call(number) for number in range(10))
        self._total = tasks["add"].options(after=crates).enqueue()
        self._stuck = tasks["lift"].enqueue(3)
        self._line: Sequence[Job[Any]] = [tasks["load"].options(key=place).enqueue(place, n) for n in range(5)]
        self._later = tasks["weigh"].options(delay=0.5).enqueue(99)
        with app.group(place, then=tasks["report"].call(place)) as group:
            group.enqueue_many([tasks["weigh"].call(number) for number in range(100, 105)])
        self._report = app.job(f"group:{place}:done")

    def check(self, app: Longshore, log: Path) -> None:
        """All has been done, in order, and nothing twice."""
        assert app.job(self._total.id).result(PATIENCE) == 450
        assert app.job(self._stuck.id).result(PATIENCE) == 3
        assert app.job(self._later.id).result(PATIENCE) == 990
        for job in self._line:
            assert app.job(job.id).wait(PATIENCE).state is State.SUCCEEDED
        self._await_report(app)
        lines = log.read_text().splitlines()
        assert [line for line in lines if line.startswith(f"load {self._place}")] == [
            f"load {self._place} {number}" for number in range(5)
        ]
        for line in (f"add {self._total.id}", f"report {self._place}"):
            assert lines.count(line) == 1

    def _await_report(self, app: Longshore) -> None:
        """The callback is there soon after the last of the group has ended."""
        pause = Event()
        for _ in range(round(PATIENCE / 0.02)):
            if app.admin.job(self._report.id) is not None:
                break
            pause.wait(0.02)
        assert app.job(self._report.id).result(PATIENCE) == f"{self._place} is loaded"
