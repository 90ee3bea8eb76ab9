"""The application that commands are tested on."""

from __future__ import annotations

from longshore import Fixed, Longshore, Retry

app = Longshore("memory://")


@app.task(queue="sums", priority=3)
def add(first: int, second: int = 1) -> int:
    return first + second


@app.task(secret=["token"])
def log_in(name: str, token: str) -> None:
    raise PermissionError(f"{name} may not come in with {token}")


@app.task(retry=Retry(max_attempts=1, delay=Fixed(0)))
def fail(word: str) -> None:
    raise ValueError(word)
