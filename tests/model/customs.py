"""The application whose runs are killed in tests, each once, at a named point of completing or replacing."""

from __future__ import annotations

import os
import signal

from longshore import Context, Features, Longshore

app = Longshore("memory://")


def die_at(point: str, named: str, context: Context) -> None:
    """Ends this process as a crash would, on the first run of the job alone."""
    if point == named and context.crashes == 0:
        os.kill(os.getpid(), signal.SIGKILL)


@app.task(queue="effects")
def effect(by: str) -> None: ...


@app.task
def pay(context: Context, point: str) -> str:
    """Makes an effect and completes, both in one transaction."""
    with app.transaction() as transaction:
        app.enqueue(effect.call(context.job_id), tx=transaction)
        die_at(point, "before completing", context)
        context.complete("paid", tx=transaction)
        die_at(point, "before the commit", context)
    die_at(point, "after the commit", context)
    return "not looked at"


@app.task
def split(context: Context, point: str) -> None:
    """Puts two jobs in its place."""
    die_at(point, "before replacing", context)
    if point == "between" and context.crashes == 0:
        dying = app.store.update if Features.TRANSACTIONS in app.store.features else None
        assert dying is not None, "without transactions there is no point between the two within the task"

        def die(*_: object, **__: object) -> None:
            die_at(point, "between", context)

        app.store.update = die  # type: ignore[assignment]
    context.replace([effect.call("first"), effect.call("second")], result="split")
    die_at(point, "after", context)
