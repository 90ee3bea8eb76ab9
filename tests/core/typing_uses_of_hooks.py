"""Right and wrong uses of hooks, for the type checker: a line marked with E and a code is such an error."""

from __future__ import annotations

from typing import assert_type

from longshore import Context, Longshore, Options
from longshore.hooks import CallNext, Enqueuing, Settled

app = Longshore("memory://")


@app.task
def resize(width: int) -> int:
    return width


@app.hooks.pre_enqueue
def tidy(call: Enqueuing) -> None:
    call.change(priority=5)
    assert_type(call.options, Options)


@resize.hooks.on_success
async def report(settled: Settled) -> None:
    assert_type(settled.retry_in, float | None)


@app.hooks.middleware
async def measure(context: Context, call_next: CallNext) -> int:
    return 1 + int(await call_next())


def count_only(call: Enqueuing) -> int:
    return len(call.arguments)


def of_hooks() -> None:
    app.hooks.pre_enqueue.remove(tidy)
    seen: list[object] = []
    app.hooks.post_work(lambda worked: seen.append(worked.error))
    app.hooks.worker_idle(lambda worker: seen.append(worker.holder))
    app.hooks.of_task("elsewhere").pre_work(lambda starting: starting.arguments.clear())
    app.hooks.pre_work(tidy)  # E: arg-type
    app.hooks.pre_enqueue(count_only)  # E: arg-type
    app.hooks.worker_start(report)  # E: arg-type
    app.hooks.middleware(tidy)  # E: arg-type
    resize.hooks.worker_idle(tidy)  # E: attr-defined
    app.hooks.load(audit=True)  # E: call-arg
    app.load_tasks("freight")
    app.load_tasks(5)  # E: arg-type
