"""Tasks that write down that they ran, for suites of jobs that wait for each other."""

from __future__ import annotations

from typing import Any

from longshore import Context, Job, Longshore, Retry, State

ONCE = Retry(max_attempts=1)


class Yard:
    """An application with tasks that write down that they ran."""

    def __init__(self, app: Longshore) -> None:
        self.app = app
        self.log: list[str] = []

        @app.task
        def note(word: str) -> str:
            self.log.append(word)
            return word

        @app.task(retry=ONCE)
        def sink(word: str) -> None:
            self.log.append(word)
            raise ValueError(f"{word} sank")

        @app.task
        def gather(context: Context) -> list[str | None]:
            return [parent.result if parent.error is None else parent.error for parent in context.parents()]

        self.note, self.sink, self.gather = note, sink, gather

    def work(self) -> None:
        self.app.worker().run(until_empty=True)

    def states(self, *jobs: Job[Any]) -> list[State]:
        return [job.info().state for job in jobs]
