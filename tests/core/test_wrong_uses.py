"""What callers get wrong: the error is typed, says what was expected and what came, and nothing is stored."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from longshore import Context, Exponential, Fixed, Longshore, Retry, State
from longshore.errors import ConfigurationError, InvalidValue, LongshoreError, TooLarge, UnknownDriver


@pytest.fixture
def app() -> Iterator[Longshore]:
    with Longshore("memory://", max_payload=10_000) as app:

        @app.task
        def add(first: int, second: int = 2) -> int:
            return first + second

        @app.task(name="billing.pay")
        def pay(context: Context, amount: float, *parts: int, to: str = "us", cc: list[str] | None = None) -> None: ...

        @app.task
        def keep(value): ...  # type: ignore[no-untyped-def]

        yield app


CALLS: list[tuple[str, tuple[Any, ...], dict[str, Any], list[str]]] = [
    ("add", (), {}, ["add(first: int, second: int = 2)", "missing a required argument: 'first'"]),
    ("add", (1, 2, 3), {}, ["add(first: int, second: int = 2)", "too many positional arguments"]),
    ("add", (1,), {"first": 2}, ["add(", "multiple values for argument 'first'"]),
    ("add", (1,), {"third": 3}, ["add(", "unexpected keyword argument 'third'"]),
    ("add", ("one",), {}, ["add() got 'first': expected `int`, got `str`"]),
    ("add", (object(),), {}, ["add() got 'first' of type object", "no form in JSON"]),
    ("billing.pay", (), {}, ["billing.pay(amount: float", "missing a required argument: 'amount'"]),
    ("billing.pay", ("much",), {}, ["billing.pay() got 'amount': expected `float`, got `str`"]),
    ("billing.pay", (1.0, "two"), {}, ["billing.pay() got 'parts[0]': expected `int`, got `str`"]),
    ("billing.pay", (1.0,), {"cc": ["a", 5]}, ["billing.pay() got 'cc[1]': expected `str`, got `int`"]),
    ("billing.pay", (1.0,), {"to": Path("x\udcff")}, ["billing.pay() got 'to' of type PosixPath"]),
    ("keep", (Path("a"),), {}, ["keep() got 'value' of type PosixPath", "annotate the parameter"]),
    ("keep", ("x" * 20_000,), {}, ["the arguments of keep take 20,", "10,000 allowed", "pass a reference"]),
]


@pytest.mark.parametrize(("task", "args", "kwargs", "said"), CALLS)
def test_wrong_arguments_name_task_parameter_and_what_was_expected(
    app: Longshore, task: str, args: tuple[Any, ...], kwargs: dict[str, Any], said: list[str]
) -> None:
    with pytest.raises(InvalidValue) as caught:
        app.tasks[task].enqueue(*args, **kwargs)
    for part in said:
        assert part in str(caught.value)
    assert sum(app.counts().values()) == 0


OPTIONS: list[tuple[dict[str, Any], str]] = [
    ({"priority": 99_999}, "priority must be a whole number between -32768 and 32767; it is 99999"),
    ({"priority": "high"}, "priority must be a whole number between -32768 and 32767; it is 'high'"),
    ({"queue": ""}, "a queue's name must be 1 to 200 bytes"),
    ({"queue": 5}, "a queue's name must be a text; it is 5"),
    ({"id": "x" * 201}, "a job's id must be 1 to 200 bytes"),
    ({"id": 5}, "a job's id must be a text; it is 5"),
    ({"delay": -1}, "delay must be a number of seconds or a timedelta, not negative; it is -1"),
    ({"delay": "soon"}, "delay must be a number of seconds or a timedelta, not negative; it is 'soon'"),
    ({"at": datetime(2027, 1, 1)}, "at must have a time zone"),  # noqa: DTZ001 - the very mistake
    ({"at": "noon"}, "at must be a datetime; it is 'noon'"),
    ({"expires": "soon"}, "expires must be a number of seconds"),
    ({"max_attempts": 0}, "max_attempts must be a whole number, at least 1, or None for no limit; it is 0"),
    ({"max_attempts": "3"}, "max_attempts must be a whole number, at least 1, or None for no limit; it is '3'"),
    ({"notes": {1: 2}}, "notes must be a JSON object"),
    ({"notes": [1]}, "notes must be a JSON object"),
    ({"unique": True}, "unique must be a Unique, Debounce or Throttle; it is True"),
]


@pytest.mark.parametrize(("options", "said"), OPTIONS, ids=str)
def test_a_wrong_option_is_refused_by_name(app: Longshore, options: dict[str, Any], said: str) -> None:
    with pytest.raises(InvalidValue) as caught:
        app.tasks["add"].options(**options).enqueue(1)
    assert said in str(caught.value)
    assert sum(app.counts().values()) == 0


def numbers(first: int) -> None: ...


USES: list[tuple[str, Callable[[Longshore], Any], type[LongshoreError], str]] = [
    ("a task is no call", lambda app: app.enqueue(app.tasks["add"]), InvalidValue, "made by add.call(…)"),  # type: ignore[arg-type]
    ("a number is no call", lambda app: app.enqueue_many([5]), InvalidValue, "made by task.call(…); got int 5"),  # type: ignore[list-item]
    ("by position", lambda app: app.call_by_name("add", [1]), InvalidValue, "add by name"),  # type: ignore[arg-type]
    ("unknown by name", lambda app: app.call_by_name("far", {"x": Path()}), InvalidValue, "argument 'x' of far"),
    ("no slots", lambda app: app.worker(slots=0), ConfigurationError, "at least 1"),
    ("no queue", lambda app: app.worker(queues=[]), ConfigurationError, "at least one queue"),
    ("an empty name", lambda app: app.worker(queues=[""]), InvalidValue, "a queue's name"),
    ("no such setting", lambda app: app.worker(sluts=5), ConfigurationError, "no setting sluts; it has queues"),
    ("nothing to fetch", lambda app: app.fetch(""), InvalidValue, "a queue's name"),
    ("no function", lambda app: app.task(5), ConfigurationError, "must be a plain function"),  # type: ignore[call-overload]
    ("no policy", lambda app: app.task(retry=3)(numbers), ConfigurationError, "must be a Retry"),  # type: ignore[call-overload]
    ("no queue's name", lambda app: app.task(queue="")(numbers), InvalidValue, "a queue's name"),
    ("no priority", lambda app: app.task(priority=10**6)(numbers), InvalidValue, "priority must be"),
    ("no time", lambda app: app.task(timeout=-1)(numbers), InvalidValue, "timeout must be"),
    ("no attempts", lambda app: Retry(max_attempts=0), ConfigurationError, "max_attempts must be at least 1"),
    ("attempts in words", lambda app: Retry(max_attempts="3"), ConfigurationError, "it is '3'"),  # type: ignore[arg-type]
    ("a delay in words", lambda app: Retry(delay="3"), InvalidValue, "the delay before a retry must be"),  # type: ignore[arg-type]
    ("a delay before", lambda app: Fixed(-3), InvalidValue, "delay must be"),
    ("one exception", lambda app: Retry(discard=ValueError), ConfigurationError, "a tuple of exceptions"),  # type: ignore[arg-type]
    ("by a name", lambda app: Retry(by_exception={"E": 1}), ConfigurationError, "delays by exception"),  # type: ignore[dict-item]
    ("no jitter", lambda app: Retry(delay=Exponential(), jitter=2), ConfigurationError, "jitter must be"),
    ("no store", lambda app: Longshore(None).store, UnknownDriver, "expected a URL or a live handle"),
    ("no option", lambda app: Longshore("memory://?pool=5").store, ConfigurationError, "not pool"),
    ("no codec", lambda app: Longshore("memory://", codec="tar"), ConfigurationError, "no codec is known as 'tar'"),
]


@pytest.mark.parametrize(("use", "error", "said"), [use[1:] for use in USES], ids=[use[0] for use in USES])
def test_a_wrong_use_is_refused_where_it_is_made(
    app: Longshore, use: Callable[[Longshore], Any], error: type[LongshoreError], said: str
) -> None:
    with pytest.raises(error) as caught:
        use(app)
    assert said in str(caught.value)
    assert sum(app.counts().values()) == 0


def test_a_task_given_in_place_of_a_call_harms_no_neighbour(app: Longshore) -> None:
    add = app.tasks["add"]

    async def both() -> list[Any]:
        return await asyncio.gather(add.aenqueue(1), app.aenqueue(add), return_exceptions=True)  # type: ignore[arg-type]

    good, bad = asyncio.run(both())
    assert isinstance(bad, InvalidValue)
    assert not isinstance(good, BaseException)
    assert app.counts()[State.PENDING] == 1


def test_one_queue_may_be_given_by_its_name(app: Longshore) -> None:
    job = app.tasks["add"].options(queue="mail").enqueue(1)
    app.worker(queues="mail").run(until_empty=True)
    assert job.result() == 3


def test_a_result_that_is_too_large_or_has_no_form_fails_its_job_and_says_so(app: Longshore) -> None:
    @app.task
    def grow(times: int) -> str:
        return "x" * times

    @app.task
    def lie() -> Any:
        return object()

    jobs = [grow.enqueue(20_000), lie.enqueue(), grow.enqueue(1)]
    app.worker().run(until_empty=True)
    errors = [job.info().error for job in jobs]
    assert errors[0] is not None
    assert errors[0].startswith(f"{TooLarge.__name__}: its result takes 20,")
    assert "no form in JSON" in str(errors[1])
    assert [job.info().state for job in jobs] == [State.FAILED, State.FAILED, State.SUCCEEDED]
