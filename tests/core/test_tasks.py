"""Tasks: which functions may be one, and what a call of one becomes."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

import longshore as harbour
from core.working import work
from longshore import Call, Context, Longshore, Options, Retry
from longshore.calls.call import new_job
from longshore.contract import SECOND
from longshore.errors import ConfigurationError, InvalidValue
from longshore.tasks import takes_context

NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)


def double(number: int) -> int:
    """Twice the number."""
    return 2 * number


def with_context(context: Context, number: int) -> str:
    return f"{context.task} {number}"


class Person:
    def greet(self, name: str) -> None: ...

    @classmethod
    def make(cls) -> None: ...

    def __call__(self) -> None: ...

    @staticmethod
    def shout(text: str) -> str:
        return text.upper()


def numbers() -> Iterator[int]:
    yield 1


class TestRegistering:
    def test_a_task_has_its_function_s_name_and_words_and_can_be_called(self, app: Longshore) -> None:
        task = app.task(double)
        assert (task.name, task.__doc__, repr(task)) == ("double", "Twice the number.", "<Task double>")
        assert task(4) == 8
        assert app.task_named("double") is task

    def test_a_task_may_have_another_name_queue_priority_and_retry(self, app: Longshore) -> None:
        retry = Retry(max_attempts=9)
        task = app.task(name="twice", queue="sums", priority=3, retry=retry)(double)
        call = task.call(4)
        assert (call.task, call.options.queue, call.options.priority, call.max_attempts) == ("twice", "sums", 3, 9)

    def test_a_name_stands_once(self, app: Longshore) -> None:
        app.task(double)
        with pytest.raises(ConfigurationError, match="'double' is registered already: give name="):
            app.task(double)
        assert app.task(name="other")(double).name == "other"

    @pytest.mark.parametrize(
        ("wrong", "said"),
        [
            (Person.greet, "Person.greet is a method"),
            (Person.make, "is a method"),
            (Person().greet, "is a method"),
            (Person, "is a type"),
            (Person(), "is a Person"),
            (functools.partial(double, 1), "is a partial"),
            (len, "is a builtin_function_or_method"),
            (lambda number: number, "a lambda has no name"),
            (numbers, "a generator"),
            (5, "is a int"),
        ],
        ids=[
            "method",
            "class method",
            "bound method",
            "class",
            "object",
            "partial",
            "builtin",
            "lambda",
            "generator",
            "5",
        ],
    )
    def test_what_a_worker_could_not_call_by_name_is_refused_with_the_reason(
        self, app: Longshore, wrong: Any, said: str
    ) -> None:
        with pytest.raises(ConfigurationError, match=said):
            app.task(wrong)
        assert not app.tasks

    def test_a_static_method_is_a_function(self, app: Longshore) -> None:
        assert app.task(Person.shout)("a") == "A"

    @pytest.mark.parametrize("name", ["", "x" * 201, "a\0b"], ids=ascii)
    def test_a_name_that_no_store_could_keep_is_refused(self, app: Longshore, name: str) -> None:
        with pytest.raises(InvalidValue, match="a task's name"):
            app.task(name=name)(double)

    def test_a_result_type_that_cannot_come_back_is_refused_at_once(self, app: Longshore) -> None:
        def either() -> list[int] | set[int]:
            return [1]

        with pytest.raises(ConfigurationError, match="either"):
            app.task(either)


class TestContext:
    def test_a_first_parameter_of_its_type_is_the_context_and_no_argument(self, app: Longshore) -> None:
        job = app.task(with_context).enqueue(4)
        work(app)
        assert job.result() == "with_context 4"

    def test_it_is_known_by_what_the_annotation_means_not_by_how_it_is_written(self, app: Longshore) -> None:
        def aliased(run: harbour.Context, number: int) -> int:
            return run.attempt + number

        job = app.task(aliased).enqueue(4)
        work(app)
        assert job.result() == 5

    def test_another_class_of_that_name_is_no_context(self) -> None:
        def unlike(first: Other, second: int) -> None: ...

        unlike.__annotations__["first"] = Other
        assert not takes_context(unlike)

    @pytest.mark.parametrize("function", [double, numbers, Person.greet, Person.shout])
    def test_a_function_without_it_gets_none(self, function: Callable[..., Any]) -> None:
        assert not takes_context(function)

    def test_it_knows_the_job(self, app: Longshore) -> None:
        def tell(context: Context) -> dict[str, Any]:
            return {
                "job": context.job_id,
                "queue": context.queue,
                "attempt": context.attempt,
                "of": context.max_attempts,
                "crashes": context.crashes,
                "app": context.is_of(app),
            }

        job = app.task(tell).options(id="one", max_attempts=7).enqueue()
        work(app)
        assert job.result() == {"job": "one", "queue": "default", "attempt": 1, "of": 7, "crashes": 0, "app": True}


class Other:
    """Not the context, whatever it is called."""


Other.__name__ = "Context"


def job_of(call: Call[Any]) -> Any:
    return new_job(call, "id", b"digest")


class TestOptions:
    @pytest.fixture
    def task(self, app: Longshore) -> Any:
        return app.task(queue="sums", priority=3, retry=Retry(max_attempts=9))(double)

    def test_what_is_not_given_is_the_task_s_own(self, task: Any) -> None:
        job = job_of(task.options().call(1))
        assert (job.queue, job.priority, job.max_attempts) == ("sums", 3, 9)
        assert (job.delay, job.due, job.expires, job.expires_in, job.notes) == (0, None, None, None, {})

    def test_what_is_given_is_taken_also_when_it_is_nothing(self, task: Any) -> None:
        job = job_of(task.options(queue="other", priority=0, max_attempts=None, notes={"a": 1}).call(1))
        assert (job.queue, job.priority, job.max_attempts, job.notes) == ("other", 0, None, {"a": 1})

    @pytest.mark.parametrize("delay", [90, 90.0, timedelta(minutes=1.5)])
    def test_a_delay_is_seconds_or_a_timedelta(self, task: Any, delay: Any) -> None:
        assert job_of(task.options(delay=delay).call(1)).delay == 90 * SECOND

    def test_a_moment_is_an_instant_of_the_calendar(self, task: Any) -> None:
        assert job_of(task.options(at=NOON).call(1)).due == int(NOON.timestamp()) * SECOND

    def test_an_expiry_is_a_length_or_a_moment(self, task: Any) -> None:
        assert job_of(task.options(expires=60).call(1)).expires_in == 60 * SECOND
        assert job_of(task.options(expires=timedelta(0)).call(1)).expires_in == 0
        assert job_of(task.options(expires=NOON).call(1)).expires == int(NOON.timestamp()) * SECOND

    @pytest.mark.parametrize(
        ("options", "said"),
        [
            ({"delay": -1}, "delay must be"),
            ({"delay": "soon"}, "delay must be"),
            ({"at": NOON.replace(tzinfo=None)}, "at must have a time zone"),
            ({"expires": -1}, "expires must be"),
            ({"expires": NOON.replace(tzinfo=None)}, "expires must have a time zone"),
            ({"delay": 5, "at": NOON}, "delay or at, not both"),
            ({"notes": {"a": b"x"}}, "notes"),
            ({"notes": {1: "a"}}, "notes"),
        ],
        ids=str,
    )
    def test_a_wrong_option_is_refused_by_name(self, task: Any, options: dict[str, Any], said: str) -> None:
        with pytest.raises(InvalidValue, match=said):
            task.options(**options).enqueue(1)

    def test_options_leave_the_task_as_it_is(self, task: Any) -> None:
        task.options(queue="other", priority=9)
        assert task.call(1).options == Options(queue="sums", priority=3)
