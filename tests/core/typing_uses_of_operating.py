"""The same for what operators do, and what binds jobs together."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from typing import assert_type

from longshore import Group, Job, Longshore, State
from longshore.admin import Fate, GroupInfo, Limit, QueueInfo
from longshore.remote import Reply

app = Longshore("memory://")


@app.task
def resize(source: Path, width: int) -> int:
    return width


@app.task
def quiet() -> None: ...


def of_limits() -> None:
    app.limit(queue="mail", running=5, rate=(100, timedelta(minutes=1)), burst=10)
    app.limit(task="resize", running="five")  # E: arg-type
    app.limit("mail", running=5)  # E: call-arg
    app.admin.limit(queue="mail", rate=(100, 60))
    app.admin.limit(queue="mail", rate="100/60")  # E: arg-type
    assert_type(app.admin.limits(), tuple[Limit, ...])
    assert_type(app.admin.remove_limit(task="resize"), bool)
    assert_type(app.admin.pause_queue(["mail", "news"]), tuple[str, ...])
    assert_type(app.admin.queues()[0].paused, datetime | None)
    assert_type(app.admin.queues(), tuple[QueueInfo, ...])
    app.admin.resume_queue(5)  # E: arg-type


@app.command
def reload(path: str, *, force: bool = False) -> int:
    return 5


@app.chore(every=timedelta(hours=1))
def sweep() -> None: ...


def of_remote_control() -> None:
    assert_type(reload("settings.toml", force=True), int)
    assert_type(app.remote.send("reload", "settings.toml", workers=["dock"], wait=5, force=True), list[Reply])
    assert_type(app.remote.stop("a", wait=timedelta(seconds=5)).error, str | None)
    assert_type(app.remote.pause(), list[Reply])
    app.remote.scale("more")  # E: arg-type
    app.remote.signal("a", 9)  # E: arg-type
    app.remote.send("reload", wait="long")  # E: arg-type
    app.command(5)  # E: arg-type
    app.chore(every="day")  # E: arg-type
    app.chore(sweep)  # E: arg-type, call-arg


def of_workflows(job: Job[int]) -> None:
    first = resize.call(Path("a"), 5)
    resize.options(after=[job, "a", first], lax=True, key="ship", turns=2, on_end=quiet.call()).enqueue(Path("a"), 5)
    resize.options(after=5)  # E: arg-type
    resize.options(if_parent_fails="run")  # E: arg-type
    resize.options(on_success=quiet)  # E: arg-type
    with app.group("cargo", then=quiet.call()) as group:
        assert_type(group, Group)
        assert_type(group.enqueue(first), Job[int])
        group.enqueue(resize)  # E: arg-type
        resize.options(group=group).enqueue(Path("a"), 5)
    assert_type(group.counts(), dict[State, int])
    app.group("cargo", then=quiet)  # E: arg-type
    assert_type(app.admin.group("cargo"), GroupInfo | None)
    assert_type(app.admin.groups(ended=True), tuple[GroupInfo, ...])
    assert_type(app.admin.cancel("a", subtree=True), list[Fate])
    assert_type(app.admin.replies("a"), tuple[str, ...] | None)
