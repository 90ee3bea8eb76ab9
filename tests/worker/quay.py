"""A web application with a worker inside it: each request enqueues a job, which the same process runs."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from longshore import Longshore
from worker.dock import tell, wait_until_open

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

app = Longshore(os.environ.get("QUAY_URL", "memory://"))


@app.task
def stay(pipe: str) -> int:
    tell(pipe, "stay", "-", os.getpid())
    wait_until_open(pipe)
    return os.getpid()


async def web(scope: Message, receive: Receive, send: Send) -> None:
    """By the bare protocol, as a server speaks it to any framework."""
    if scope["type"] == "lifespan":
        await receive()
        async with app.worker(slots=1, drain=60):
            await send({"type": "lifespan.startup.complete"})
            await receive()
        app.close()
        await send({"type": "lifespan.shutdown.complete"})
        return
    job = await stay.aenqueue(os.environ["QUAY_PIPE"])
    body = job.id.encode()
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(body))]})
    await send({"type": "http.response.body", "body": body})
