"""An application whose tasks run in processes of their own."""

from __future__ import annotations

from longshore import Longshore

app = Longshore("memory://")


@app.task
def nothing() -> None: ...


@app.task(executor="process")
def send_another() -> str:
    nothing.enqueue()
    return "sent"
