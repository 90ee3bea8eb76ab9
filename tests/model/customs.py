"""The application whose runs are killed in tests, each once, at a named point of completing or replacing."""

from __future__ import annotations

import os
import signal
from collections.abc import Sequence
from typing import Any

from longshore import Context, Features, Longshore, Snooze
from longshore.contract import Answer, Change
from longshore.errors import LeaseLost
from longshore.testing.faults.cut import CutDriver
from longshore.worker.performing import Interrupted
from worker.dock import tell, wait_until_open

app = Longshore("memory://")


def die() -> None:
    """Ends this process as a crash does."""
    os.kill(os.getpid(), signal.SIGKILL)


def die_at(point: str, named: str, context: Context) -> None:
    """Dies, on the first run of the job alone."""
    if point == named and context.crashes == 0:
        die()


class DeadlyDriver(CutDriver):
    """Whoever changes a job within a transaction dies before the change is made."""

    def update(self, changes: Sequence[Change], *, tx: Any = None) -> list[Answer]:
        if tx is not None:
            die()
        return super().update(changes, tx=tx)


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
def split(context: Context, point: str) -> str:
    """Puts two jobs in its place."""
    die_at(point, "before", context)
    if point == "between" and context.crashes == 0:
        app.store.driver = DeadlyDriver(app.store.driver)
    context.replace([effect.call("first"), effect.call("second")], result="split")
    die_at(point, "after", context)
    return "not looked at"


@app.task(executor="process")
def travel(context: Context) -> int:
    """Tells all that there is to tell, in a process of its own."""
    begun = context.cursor.get(int, 0)
    context.reply(["begun at", begun])
    context.progress(begun, 2)
    context.cursor.mark(begun + 1)
    if begun == 0:
        raise Snooze(0)
    if Features.TRANSACTIONS in app.store.features:
        with app.transaction() as transaction:
            context.complete(begun, tx=transaction)
    return begun


@app.task
def creep(context: Context, pipe: str) -> str:
    """Stands somewhere, and tries to move on when it is late."""
    context.cursor.set("here")
    tell(pipe, "standing")
    while True:
        try:
            wait_until_open(pipe)
            break
        except Interrupted:
            tell(pipe, "interrupted")
    for move in (context.cursor.set, context.reply):
        try:
            move("late")
        except LeaseLost:
            tell(pipe, "refused")
    return "late"
