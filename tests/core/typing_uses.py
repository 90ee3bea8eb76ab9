"""Right and wrong uses of the public API, for the type checker: a line marked with E and a code is such an error."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, assert_type

from msgspec import Struct

from longshore import (
    Call,
    Context,
    Cron,
    Debounce,
    Every,
    Features,
    Fetch,
    FetchedJob,
    Group,
    Job,
    JobInfo,
    Linear,
    Lock,
    Longshore,
    Parent,
    Progress,
    Replies,
    Reply,
    Restarted,
    Retry,
    State,
    Task,
    Throttle,
    Unique,
)
from longshore.admin import (
    Admin,
    Fate,
    HeldJob,
    Hour,
    JobPage,
    Unserved,
    Verdict,
)
from longshore.admin.scheduling import ScheduleInfo
from longshore.codecs import JSON, MESSAGEPACK, Compressed, Encrypted, Pickle
from longshore.locks import LockInfo
from longshore.recipes import Message, Requests, SimpleQueue, append, batches
from longshore.tasks import Configured
from longshore.testing import Delivery, EnqueuedJob, Harness, Ran

app = Longshore("sqlite:///jobs.db", require=Features.DURABLE)


@app.task
def resize(source: Path, width: int, *, sharpen: bool = False) -> int:
    return width


@app.task(queue="http", priority=5, retry=Retry(max_attempts=5, delay=Linear(10)))
async def mirror(context: Context, url: str, target: Path | None = None) -> dict[str, int]:
    return {url: context.attempt}


@app.task
async def fetch(url: str) -> bytes:
    return url.encode()


@app.task(name="nothing")
def quiet(context: Context) -> None: ...


def of_tasks() -> None:
    _narrower: Task[[Path, int], int] = resize
    _other: Task[[str], int] = resize  # E: assignment
    assert_type(resize.name, str)
    assert_type(resize.options(priority=5).call(Path("a"), 5), Call[int])
    assert_type(fetch.call("http://example.org"), Call[bytes])
    assert_type(quiet, Task[[], None])


def of_enqueue() -> None:
    assert_type(resize.enqueue(Path("a"), 5), Job[int])
    assert_type(resize.enqueue(Path("a"), width=5, sharpen=True), Job[int])
    assert_type(mirror.enqueue("http://example.org", target=Path("a")), Job[dict[str, int]])
    assert_type(fetch.enqueue("http://example.org"), Job[bytes])
    assert_type(quiet.enqueue(), Job[None])
    resize.enqueue("a", 5)  # E: arg-type
    resize.enqueue(Path("a"))  # E: call-arg
    resize.enqueue(Path("a"), 5, True)  # E: call-arg
    resize.enqueue(Path("a"), "5")  # E: arg-type
    resize.enqueue(Path("a"), 5, sharp=True)  # E: call-arg
    mirror.enqueue(5)  # E: arg-type
    mirror.enqueue("http://example.org", target="a")  # E: arg-type
    quiet.enqueue(1)  # E: call-arg
    fetch.enqueue()  # E: call-arg


def of_calls() -> None:
    assert_type(resize.call(Path("a"), 5), Call[int])
    assert_type(mirror.call("http://example.org"), Call[dict[str, int]])
    assert_type(app.enqueue(resize.call(Path("a"), 5)), Job[int])
    app.enqueue_many([resize.call(Path("a"), 5), fetch.call("http://example.org")])
    app.enqueue_many(resize.call(Path(name), 5) for name in ("a", "b"))
    app.enqueue_many([resize.call("a", 5)])  # E: arg-type
    app.enqueue(resize)  # E: arg-type
    app.enqueue_many([resize])  # E: list-item
    app.enqueue(app.call_by_name("elsewhere", {"a": 1}))
    app.call_by_name("elsewhere", [1])  # E: arg-type


def of_options() -> None:
    configured: Configured[[Path, int], int] = resize.options()
    configured.enqueue(Path("a"))  # E: call-arg
    resize.options(id="a", queue="b", priority=1, delay=5, expires=timedelta(hours=1)).enqueue(Path("a"), 5)
    resize.options(at=datetime.now(UTC), max_attempts=None, notes={"a": 1}).enqueue(Path("a"), 5)
    resize.options(priority=5).enqueue("a", 5)  # E: arg-type
    resize.options(priority="high")  # E: arg-type
    resize.options(delay="5s")  # E: arg-type
    resize.options(at=5)  # E: arg-type
    resize.options(urgency=5)  # E: call-arg


def of_bonds(job: Job[int], context: Context) -> None:
    top = fetch.call("top")
    resize.options(after=[job, "id", top], lax=True).enqueue(Path("a"), 5)
    resize.options(after=job, if_parent_fails="wait", key="k", turns=2, group=app.group("g")).enqueue(Path("a"), 5)
    resize.options(on_success=top, on_failure=top, on_end=quiet.call()).enqueue(Path("a"), 5)
    assert_type(app.chain(top, fetch.call("next")), list[Job[Any]])
    assert_type(app.group("g").enqueue(top), Job[bytes])
    assert_type(app.group(then=top), Group)
    assert_type(context.parents(), list[Parent])
    resize.options(after=5)  # E: arg-type
    resize.options(if_parent_fails="forget")  # E: arg-type
    resize.options(key=7)  # E: arg-type
    resize.options(on_end=quiet)  # E: arg-type
    app.chain(fetch)  # E: arg-type


def of_jobs(job: Job[int]) -> None:
    assert_type(job.result(timeout=30), int)
    assert_type(job.result(timedelta(seconds=5)), int)
    assert_type(job.wait(), JobInfo)
    assert_type(job.info().started, datetime | None)
    job.result("soon")  # E: arg-type
    job.info().state = None  # E: misc, assignment
    _word: str = job.result()  # E: assignment


def of_unique_calls() -> None:
    resize.options(unique=Unique(by=("source",), until="start", if_held="replace")).enqueue(Path("a"), 5)
    resize.options(unique=Unique(until=timedelta(hours=1), if_held="raise")).enqueue(Path("a"), 5)
    resize.options(unique=Debounce(5, at_most=60)).enqueue(Path("a"), 5)
    resize.options(unique=Throttle(timedelta(minutes=1), key="a")).enqueue(Path("a"), 5)
    resize.options(unique=None).enqueue(Path("a"), 5)
    resize.options(unique="skip")  # E: arg-type
    Unique(if_held="forget")  # E: arg-type
    Unique(until="tomorrow")  # E: arg-type
    Unique("a")  # E: call-arg
    Debounce(at_most=5)  # E: call-arg


async def of_awaiting(job: Job[int]) -> None:
    assert_type(await resize.aenqueue(Path("a"), 5), Job[int])
    assert_type(await mirror.options(delay=5).aenqueue("http://example.org"), Job[dict[str, int]])
    assert_type(await app.aenqueue(fetch.call("http://example.org")), Job[bytes])
    await app.aenqueue_many([resize.call(Path("a"), 5), fetch.call("http://example.org")])
    assert_type(await job.aresult(timeout=30), int)
    assert_type(await job.await_(timedelta(seconds=5)), JobInfo)
    assert_type(await job.ainfo(), JobInfo)
    await resize.aenqueue("a", 5)  # E: arg-type
    await app.aenqueue(resize)  # E: arg-type
    await app.aenqueue(resize.call(Path("a"), 5), tx=None)
    await job.aresult("soon")  # E: arg-type


def of_fetching() -> None:
    for batch in app.fetch("mail", "news", limit=5, wait=timedelta(seconds=30), tasks=["resize"]):
        assert_type(batch, list[FetchedJob])
        for job in batch:
            assert_type(job.touch(), bool)
            job.fail("no")
            job.fail(OSError())
            job.fail(5)  # E: arg-type
            job.release(5)  # E: call-arg
    with app.fetch() as fetching, fetching.take()[0] as one:
        assert_type(fetching, Fetch)
        one.finish({"any": "result"})
    app.fetch(5)  # E: arg-type
    app.fetch(wait="long")  # E: arg-type


def of_admin() -> None:
    admin = app.admin
    assert_type(admin, Admin)
    assert_type(admin.job("a"), JobInfo | None)
    assert_type(admin.jobs(queues="mail", states=State.FAILED, since=timedelta(hours=1)), JobPage)
    assert_type(admin.jobs(queues=["mail"], states=[State.FAILED], notes={"a": 1}).after, str | None)
    assert_type(list(admin.every(tasks=["resize"])), list[JobInfo])
    assert_type(admin.failures().failures[0].enqueued_again, str | None)
    assert_type(admin.stats().since, datetime | None)
    assert_type(admin.stats().enqueued, int)
    assert_type(admin.counts(), dict[str, dict[State, int]])
    assert_type(admin.history(), tuple[Hour, ...])
    assert_type(admin.workers()[0].holds, tuple[HeldJob, ...])
    assert_type(admin.unserved(), tuple[Unserved, ...])
    assert_type(admin.retry("a", delay=5, max_attempts=None)[0].verdict, Verdict)
    assert_type(admin.cancel(["a", "b"], force=True), list[Fate])
    assert_type(admin.edit(("a",), priority=5, expires=None), list[Fate])
    assert_type(admin.purge(queues="mail"), int)
    admin.jobs(states="failed")  # E: arg-type
    admin.jobs("mail")  # E: call-arg
    admin.retry(5)  # E: arg-type
    admin.retry("a", delay="soon")  # E: arg-type
    admin.cancel("a", True)  # E: call-arg
    admin.edit("a", state=State.PENDING)  # E: call-arg
    admin.note("a", ["seen"])  # E: arg-type
    admin.stats().failed = 5  # E: misc


def of_tests() -> None:
    with Harness(app, "memory://") as jobs:
        assert_type(jobs, Harness)
        assert_type(jobs.drain("mail", with_scheduled=True)[0].error, BaseException | None)
        assert_type(jobs.assert_enqueued(resize, {"width": 5}, delay=5, since=timedelta(1)), list[EnqueuedJob])
        assert_type(jobs.crash_after("run", resize.enqueue(Path("a"), 5)), Ran)
        assert_type(jobs.deliver_twice("a"), Delivery)
        jobs.assert_enqueued(5)  # E: arg-type
        jobs.assert_enqueued(resize, urgency=5)  # E: call-arg
        jobs.assert_enqueued(resize, delay="soon")  # E: arg-type
        jobs.crash_after("lunch")  # E: arg-type
        jobs.advance("soon")  # E: arg-type


def of_declarations() -> None:
    Retry(max_attempts=None, delay=lambda failed: 2.0 * failed, by_exception={OSError: 5, KeyError: timedelta(1)})
    Retry(delay="soon")  # E: arg-type
    Retry(delay=lambda failed: "soon")  # E: arg-type, return-value
    Retry(discard=(OSError,))
    Retry(discard=("OSError",))  # E: arg-type
    Longshore("memory://", require="durable")  # E: arg-type
    app.task(5)  # E: call-overload
    app.task(queue=5)  # E: call-overload
    app.task(unique=Unique(key="a"))
    app.task(unique="a")  # E: call-overload


def of_calling_directly() -> None:
    resize(Path("a"), 5)
    quiet()


sealed = Longshore("memory://", codec=Encrypted(JSON, keys=["key"]), old_codecs=[Pickle(keys=[b"key"]), "yaml"])


@sealed.task(codec=Compressed(MESSAGEPACK, least=100), secret=["token"])
def sign(token: str) -> bytes:
    return token.encode()


@sealed.task(codec="yaml", secret={"token"})
async def verify(token: str) -> bool:
    return bool(token)


def of_codecs() -> None:
    assert_type(sign.enqueue("a").result(), bytes)
    assert_type(verify.enqueue("a").result(), bool)
    sign.enqueue(5)  # E: arg-type
    Longshore("memory://", codec=5)  # E: arg-type
    Encrypted(JSON)  # E: call-arg
    Encrypted(JSON, keys=[5])  # E: list-item
    Compressed("json")  # E: arg-type


class Pool:
    def send(self, text: str) -> None: ...


@contextmanager
def open_pool() -> Iterator[Pool]:
    yield Pool()


@app.task(strict=True)
def ship(context: Context) -> int:
    assert_type(context.resource(Pool), Pool)
    context.resource("pool")  # E: arg-type
    context.complete(5)
    return 5


def of_resources() -> None:
    app.resources.add(Pool())
    app.resources.add(Pool(), kind=object)
    app.resources.manage(Pool, open_pool)
    app.resources.manage(Pool, lambda: nullcontext(Pool()))
    assert_type(app.resources.of(Pool), Pool)
    app.resources.manage(Pool, Pool)  # E: arg-type
    app.resources.manage(Path, open_pool)  # E: arg-type
    app.task(strict="yes")  # E: call-overload
    Longshore("memory://", strict=True)


def of_schedules() -> None:
    assert_type(app.schedule("@daily")(quiet), Task[[], None])
    app.schedule("0 3 * * *", missed="never")  # E: call-overload
    app.schedule(Every(60))(resize)  # E: arg-type
    app.schedule("a", Cron("@daily", "Europe/Berlin"), resize.call(Path("a"), 5), missed="all", most=5)
    app.schedule("a", 60, quiet.call())  # E: call-overload
    assert_type(app.admin.schedules.all(), tuple[ScheduleInfo, ...])
    assert_type(app.admin.schedules.put("a", Every(timedelta(hours=1)), quiet.call()), ScheduleInfo)
    app.admin.schedules.change("a", when=60)  # E: arg-type


async def of_locks() -> None:
    with app.lock("a", holders=3, lifetime=timedelta(minutes=1), wait=10) as lock:
        assert_type(lock, Lock)
        assert_type(lock.token, int | None)
        lock.extend("long")  # E: arg-type
    async with app.lock("a", lifetime=None) as held:
        await held.aextend(5)
    app.lock(5)  # E: arg-type
    assert_type(app.admin.locks(), tuple[LockInfo, ...])
    assert_type(app.admin.free_lock("a", lock.owner), bool)


class Step(Struct):
    done: int


@app.task
def walk(context: Context[Step], most: int) -> int:
    context.reply(Step(1))
    context.reply(1)  # E: arg-type
    context.progress(1, 2, "half")
    context.progress("half")  # E: arg-type
    assert_type(context.cursor.get(int, 0), int)
    assert_type(context.cursor.get(Step), Step | None)
    context.cursor.set(Step(1), tx=None)
    context.complete(5, tx=None)
    context.replace([resize.call(Path("a"), 5)], result=5)
    context.replace(resize.call(Path("a"), 5))  # E: arg-type
    context.replace([resize])  # E: list-item
    return most


async def of_replies(job: Job[int]) -> None:
    assert_type(walk.enqueue(5), Job[int])
    walk.enqueue("5")  # E: arg-type
    assert_type(job.replies(Step, timeout=timedelta(seconds=5)), Replies[Step])
    assert_type(job.replies(Step).so_far(), list[Reply[Step] | Restarted])
    for message in job.replies(Step):
        assert_type(message, Reply[Step] | Restarted)
        _ = message.value  # E: union-attr
        if isinstance(message, Reply):
            assert_type(message.value, Step)
    async for message in job.replies(Step):
        assert_type(message, Reply[Step] | Restarted)
    assert_type(await job.replies(Step).anext(), Reply[Step] | Restarted | None)
    job.replies("Step")  # E: call-overload
    job.replies(timeout="soon")  # E: call-overload
    assert_type(job.info().progress, Progress | None)


def of_recipes() -> None:
    assert_type(append(app, resize.call(Path("a"), 5), "a"), Job[int] | None)
    append(app, resize, "a")  # E: arg-type
    with SimpleQueue(app, "orders", wait=timedelta(seconds=1)) as queue:
        assert_type(queue.get(), Message | None)
        queue.done("message")  # E: arg-type
    for batch in batches(app, "orders", 5):
        assert_type(batch, list[FetchedJob])
    assert_type(Requests(app).send(resize.call(Path("a"), 5)), str)
