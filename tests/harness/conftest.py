"""An application under test on each store, with tasks that end in every way."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from longshore import Context, Features, Fixed, Longshore, Retry, Snooze
from longshore.testing import Harness


class Ledger:
    """What tasks did in the world."""

    def __init__(self) -> None:
        self.lines: list[str] = []


@pytest.fixture
def ledger() -> Ledger:
    return Ledger()


@pytest.fixture
def app(ledger: Ledger) -> Longshore:
    """One whose own store nobody can reach."""
    app = Longshore("nowhere://", require=Features.DURABLE)
    register(app, ledger.lines)
    return app


@pytest.fixture
def jobs(app: Longshore, target: Any) -> Iterator[Harness]:
    with Harness(app, target) as jobs:
        yield jobs


def register(app: Longshore, lines: list[str]) -> None:
    @app.task(queue="mail")
    def greet(name: str, title: str = "") -> str:
        lines.append(f"greet {name}")
        return f"Hello {title}{name}"

    @app.task
    async def agreet(name: str) -> str:
        lines.append(f"agreet {name}")
        return f"Hello {name}"

    @app.task(retry=Retry(max_attempts=3, delay=Fixed(60), jitter=0))
    def fail_until(context: Context, attempt: int) -> int:
        lines.append(f"attempt {context.attempt}")
        if context.attempt < attempt:
            raise ValueError(f"attempt {context.attempt}")
        return context.attempt

    @app.task
    def sign_up(name: str) -> None:
        lines.append(f"sign_up {name}")
        greet.enqueue(name)
        lines.append(f"signed_up {name}")

    @app.task
    def snooze_once(context: Context) -> None:
        lines.append("snooze_once")
        if len(lines) == 1:
            raise Snooze(30)
