"""Hooks on the way into the store: every way to enqueue goes past them, and they may change or refuse the call."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextvars import ContextVar
from typing import Any

import pytest

from core.echo import arguments_of, register_echo
from longshore import Call, Features, Job, Longshore, Options, State, Unique
from longshore.errors import ConfigurationError, IdConflict, InvalidValue, LongshoreError, Refused, UniqueConflict
from longshore.hooks import Enqueued, Enqueuing, Payload

REQUEST: ContextVar[str] = ContextVar("request", default="none")


@pytest.fixture
def app(target: Any) -> Iterator[Longshore]:
    """An application on each store, with a task that gives back what it was called with."""
    with Longshore(target) as app:
        register_echo(app)
        yield app


def enqueue(app: Longshore, call: Call[Any]) -> Job[Any]:
    return app.enqueue(call)


def enqueue_many(app: Longshore, call: Call[Any]) -> Job[Any]:
    return app.enqueue_many(iter([call]))[0]


def enqueue_awaited(app: Longshore, call: Call[Any]) -> Job[Any]:
    return asyncio.run(app.aenqueue(call))


def enqueue_many_awaited(app: Longshore, call: Call[Any]) -> Job[Any]:
    return asyncio.run(app.aenqueue_many([call]))[0]


def enqueue_on_a_loop(app: Longshore, call: Call[Any]) -> Job[Any]:
    async def call_it() -> Job[Any]:
        return app.enqueue(call)

    return asyncio.run(call_it())


def enqueue_in_a_transaction(app: Longshore, call: Call[Any]) -> Job[Any]:
    if Features.TRANSACTIONS not in app.store.features:
        pytest.skip("this store has no transactions")
    with app.transaction() as tx:
        return app.enqueue(call, tx=tx)


WAYS = [
    enqueue,
    enqueue_many,
    enqueue_awaited,
    enqueue_many_awaited,
    enqueue_on_a_loop,
    enqueue_in_a_transaction,
]
Way = Callable[[Longshore, Call[Any]], Job[Any]]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("is_async", [False, True])
def test_every_way_to_enqueue_goes_past_them_in_order(app: Longshore, way: Way, is_async: bool) -> None:
    seen: list[str] = []

    def saying(word: str) -> Callable[[Any], Awaitable[None] | None]:
        def say(event: object) -> None:
            seen.append(word)

        async def say_later(event: object) -> None:
            await asyncio.sleep(0)
            seen.append(word)

        return say_later if is_async else say

    for name in ("first", "second"):
        app.hooks.pre_enqueue(saying(f"pre {name}"))
        app.hooks.serialize(saying(f"bytes {name}"))
        app.hooks.post_enqueue(saying(f"post {name}"))
    app.tasks["echo"].hooks.pre_enqueue(saying("pre third"))
    app.tasks["echo"].hooks.post_enqueue(saying("post third"))
    app.hooks.of_task("other").pre_enqueue(saying("not this one"))
    job = way(app, app.tasks["echo"].call("a"))
    assert job.info().task == "echo"
    assert seen == [
        *("pre first", "pre second", "pre third", "bytes first", "bytes second"),
        *("post third", "post second", "post first"),
    ]


@pytest.mark.parametrize("way", WAYS)
def test_they_may_change_arguments_and_options(app: Longshore, way: Way) -> None:
    @app.hooks.pre_enqueue
    def change(event: Enqueuing) -> None:
        assert event.task == "echo"
        assert event.arguments == {"word": "a", "number": 5, "rest": [6, 7]}
        event.arguments["word"] = "b"
        event.change(priority=9, queue="other", notes={"by": "hook"})

    job = way(app, app.tasks["echo"].call("a", 5, 6, 7))
    info = job.info()
    assert (info.priority, info.queue, info.notes) == (9, "other", {"by": "hook"})
    assert arguments_of(app, job) == {"word": "b", "number": 5, "rest": [6, 7]}


def test_a_change_of_options_alone_keeps_the_arguments(app: Longshore) -> None:
    app.hooks.pre_enqueue(lambda event: event.change(priority=3))
    job = app.tasks["echo"].enqueue("a")
    assert job.info().priority == 3
    assert arguments_of(app, job) == {"word": "a"}


@pytest.mark.parametrize("way", WAYS)
def test_what_one_raises_refuses_the_call_and_nothing_is_stored(app: Longshore, way: Way) -> None:
    told: list[Enqueued] = []
    app.hooks.post_enqueue(told.append)

    @app.hooks.pre_enqueue
    def check(event: Enqueuing) -> None:
        raise PermissionError("not on Sundays")

    with pytest.raises(Refused, match=r"check refused a call of echo: PermissionError: not on Sundays") as problem:
        way(app, app.tasks["echo"].call("a"))
    assert isinstance(problem.value.__cause__, PermissionError)
    assert sum(app.counts().values()) == 0
    assert told == []


def test_one_may_say_itself_why_it_refuses(app: Longshore) -> None:
    error = Refused("come back tomorrow")

    @app.hooks.serialize
    async def refuse(payload: Payload) -> None:
        raise error

    with pytest.raises(Refused) as problem:
        app.tasks["echo"].enqueue("a")
    assert problem.value is error
    assert issubclass(Refused, LongshoreError)


def test_one_call_of_many_that_is_refused_keeps_all_out(app: Longshore) -> None:
    @app.hooks.pre_enqueue
    def refuse_some(event: Enqueuing) -> None:
        if event.arguments["word"] == "c":
            raise Refused("no c")

    calls = [app.tasks["echo"].call(word) for word in "abcd"]
    with pytest.raises(Refused, match="no c"):
        app.enqueue_many(calls)
    assert sum(app.counts().values()) == 0


def test_one_of_calls_that_are_gathered_is_refused_alone(app: Longshore) -> None:
    @app.hooks.pre_enqueue
    async def refuse_some(event: Enqueuing) -> None:
        await asyncio.sleep(0)
        if event.arguments["word"] == "c":
            raise Refused("no c")

    async def enqueue_all() -> list[Any]:
        calls = [app.tasks["echo"].call(word) for word in "abcd"]
        return await asyncio.gather(*map(app.aenqueue, calls), return_exceptions=True)

    answers = asyncio.run(enqueue_all())
    assert [isinstance(answer, Job) for answer in answers] == [True, True, False, True]
    assert str(answers[2]) == "no c"
    assert sum(app.counts().values()) == 3


def test_arguments_that_a_hook_makes_wrong_are_refused_like_others(app: Longshore) -> None:
    wrong: list[Callable[[Enqueuing], None]] = [
        lambda event: event.arguments.update(number="five"),
        lambda event: event.arguments.update(unknown=5),
        lambda event: event.arguments.clear(),
        lambda event: event.change(urgency=5),
        lambda event: event.change(delay=5, at=5),
    ]
    for change in wrong:
        app.hooks.pre_enqueue(change)
        with pytest.raises(InvalidValue):
            app.tasks["echo"].enqueue("a")
        app.hooks.pre_enqueue.remove(change)
    assert sum(app.counts().values()) == 0
    app.hooks.serialize(lambda payload: None)
    with pytest.raises(InvalidValue, match="got Task"):
        app.enqueue(app.tasks["echo"])  # type: ignore[arg-type]


def test_what_happens_after_enqueuing_changes_nothing(app: Longshore, caplog: pytest.LogCaptureFixture) -> None:
    told: list[tuple[str, str, int]] = []

    @app.hooks.post_enqueue
    async def tell(event: Enqueued) -> None:
        told.append((event.job_id, event.task, event.options.priority))

    @app.hooks.post_enqueue
    def fail(event: Enqueued) -> None:
        raise OSError("nobody listens")

    job = app.tasks["echo"].options(priority=4).enqueue("a")
    assert told == [(job.id, "echo", 4)]
    assert "fail failed, which changes nothing else" in caplog.text
    assert "nobody listens" in caplog.text


def test_of_several_calls_each_that_has_a_job_is_told_also_when_another_is_refused_by_the_store(app: Longshore) -> None:
    told: list[str] = []
    app.hooks.post_enqueue(lambda event: told.append(event.job_id))
    echo = app.tasks["echo"]
    echo.options(id="taken").enqueue("a")
    calls = [echo.options(id=name).call("b") for name in ("one", "taken", "two")]
    with pytest.raises(IdConflict):
        app.enqueue_many(calls)
    assert told == ["taken", "one", "two"]


def test_calls_by_name_of_unknown_tasks_go_past_the_hooks_too(app: Longshore) -> None:
    @app.hooks.of_task("elsewhere").pre_enqueue
    def change(event: Enqueuing) -> None:
        event.arguments["number"] += 1

    job = app.enqueue(app.call_by_name("elsewhere", {"number": 1}, options=Options(max_attempts=2)))
    assert job.info().max_attempts == 2
    assert arguments_of(app, job) == {"number": 2}


def test_calls_that_are_tied_to_each_other_are_changed_all_the_same(app: Longshore) -> None:
    @app.hooks.pre_enqueue
    def count_up(event: Enqueuing) -> None:
        event.arguments["number"] = event.arguments["number"] + 1

    @app.hooks.serialize
    def sign(payload: Payload) -> None:
        payload.data = b"signed:" + payload.data

    @app.hooks.deserialize
    def check(payload: Payload) -> None:
        assert payload.data.startswith(b"signed:")
        payload.data = payload.data.removeprefix(b"signed:")

    ran: list[tuple[str, int]] = []

    @app.task
    def step(word: str, number: int) -> None:
        ran.append((word, number))

    last = step.options(on_success=step.call("after", 10)).call("last", 1)
    app.chain(step.call("first", 5), step.call("second", 6), last)
    with app.group("all", then=step.call("then", 20)) as group:
        group.enqueue(step.call("member", 0))
    app.worker().run(until_empty=True)
    assert sorted(ran) == [("after", 11), ("first", 6), ("last", 2), ("member", 1), ("second", 7), ("then", 21)]


def test_the_unique_key_is_that_of_the_changed_call(app: Longshore) -> None:
    @app.hooks.pre_enqueue
    def lower(event: Enqueuing) -> None:
        event.arguments["word"] = event.arguments["word"].lower()

    echo = app.tasks["echo"]
    first = echo.options(unique=Unique()).enqueue("Anna")
    assert echo.options(unique=Unique()).enqueue("ANNA") == first
    with pytest.raises(UniqueConflict):
        echo.options(unique=Unique(if_held="raise")).enqueue("anna")
    replaced = echo.options(unique=Unique(if_held="replace")).enqueue("aNNa", 5)
    assert replaced != first, "its key is of all arguments"
    by_word = Unique(by=("word",), if_held="replace")
    second = echo.options(unique=by_word, queue="unique").enqueue("Bea", 1)
    assert echo.options(unique=by_word, queue="unique").enqueue("BEA", 7) == second
    assert arguments_of(app, second) == {"word": "bea", "number": 7}


def test_a_hook_may_make_a_call_unique(app: Longshore) -> None:
    @app.tasks["echo"].hooks.pre_enqueue
    def once(event: Enqueuing) -> None:
        event.change(unique=Unique())

    jobs = {app.tasks["echo"].enqueue("a") for _ in range(3)}
    assert len(jobs) == 1


def test_a_repeated_id_is_a_repeat_whatever_a_hook_puts_in(app: Longshore) -> None:
    number = iter(range(100))

    @app.hooks.pre_enqueue
    def stamp(event: Enqueuing) -> None:
        event.arguments["number"] = next(number)

    @app.hooks.serialize
    def pad(payload: Payload) -> None:
        payload.data += b" " * next(number)

    echo = app.tasks["echo"].options(id="mine")
    job = echo.enqueue("a")
    assert echo.enqueue("a") == job
    with pytest.raises(IdConflict):
        echo.enqueue("b")
    assert arguments_of(app, job) == {"word": "a", "number": 0}


def test_they_see_the_context_of_the_caller(app: Longshore) -> None:
    @app.hooks.pre_enqueue
    def note_request(event: Enqueuing) -> None:
        event.change(notes={"request": REQUEST.get()})

    async def handle(name: str) -> Job[Any]:
        REQUEST.set(name)
        return await app.tasks["echo"].aenqueue(name)

    async def handle_all() -> list[Job[Any]]:
        return await asyncio.gather(*(handle(name) for name in ("one", "two", "three")))

    jobs = asyncio.run(handle_all())
    assert [job.info().notes["request"] for job in jobs] == ["one", "two", "three"]


def test_they_are_removed_while_all_goes_on(app: Longshore) -> None:
    seen: list[str] = []

    def see(event: object) -> None:
        seen.append("seen")

    echo = app.tasks["echo"]
    app.hooks.pre_enqueue(see)
    echo.hooks.pre_enqueue(see)
    app.hooks.pre_enqueue(see)
    echo.enqueue("a")
    app.hooks.pre_enqueue.remove(see)
    echo.hooks.pre_enqueue.remove(see)
    echo.enqueue("a")
    assert len(seen) == 4
    app.hooks.pre_enqueue.remove(see)
    for point in (app.hooks.pre_enqueue, echo.hooks.pre_enqueue):
        with pytest.raises(ConfigurationError, match=r"see is no hook of .* at pre_enqueue: nothing is removed"):
            point.remove(see)
    with pytest.raises(ConfigurationError, match="'see' cannot be called"):
        app.hooks.pre_enqueue("see")  # type: ignore[arg-type]
    echo.enqueue("a")
    assert len(seen) == 4


def test_the_hooks_of_another_application_stay_its_own(app: Longshore) -> None:
    other = Longshore("memory://")
    other.hooks.pre_enqueue(lambda event: pytest.fail("not of this one"))
    app.tasks["echo"].enqueue("a")
    assert app.counts()[State.PENDING] == 1
