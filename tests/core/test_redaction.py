"""Secret arguments show nowhere: not in errors, not in attempts, not in what is shown of a call."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Any

import pytest

from core.working import work
from longshore import Longshore, Retry, State
from longshore.codecs import Pickle
from longshore.contract import Change, StoredJob, Where
from longshore.errors import ConfigurationError, InvalidValue
from longshore.memory_store import MemoryStore
from longshore.redaction import hider, shown_call
from longshore.tasks import shown_call as shown_job
from longshore.testing.clock import ManualClock

SECRET = 's3cret "tö"\nken'


@dataclass
class Login:
    user: str
    words: dict[str, list[str]]


class Grade(Enum):
    LOW = "low"


def stored(app: Longshore, identity: str) -> StoredJob:
    return app.store.select(Where(ids=(identity,))).jobs[0]


class Shy:
    def __repr__(self) -> str:
        raise RuntimeError


class TestShown:
    def test_a_call_shows_with_its_secret_arguments_hidden(self, app: Longshore) -> None:
        @app.task(secret=["token"])
        def fetch(url: str, token: str = SECRET, *, times: int = 3) -> None: ...

        job = fetch.enqueue("http://x", SECRET, times=5)
        shown = "fetch(url='http://x', token=***, times=5)"
        assert shown_job(app.tasks, stored(app, job.id)) == shown
        assert app.admin.call(job.id) == shown

    def test_a_call_of_a_task_that_is_not_known_shows_no_argument(self, app: Longshore, memory: MemoryStore) -> None:
        job = app.enqueue(app.call_by_name("fetch", {"token": SECRET}))
        assert shown_job(app.tasks, stored(app, job.id)) == "fetch(… 31 bytes of json)"

    def test_a_call_that_cannot_be_read_shows_no_argument(self, app: Longshore) -> None:
        @app.task
        def fetch(number: int) -> None: ...

        job = fetch.enqueue(1)
        app.store.update([Change(job.id, None, {"payload": b'{"token": "s3cret"}', "codec": "rot13"})])
        assert shown_job(app.tasks, stored(app, job.id)) == "fetch(… 19 bytes of rot13)"

    def test_a_call_that_is_not_yet_stored_shows_no_argument(self, app: Longshore) -> None:
        @app.task
        def fetch(token: str) -> None: ...

        assert repr(fetch.call(SECRET)) == "<Call fetch>"

    def test_long_values_are_cut_and_what_cannot_be_shown_does_not_spoil_the_rest(self) -> None:
        shown = shown_call("f", {"a": "x" * 1_000, "b": Shy(), "c": 1})
        assert shown == f"f(a='{'x' * 199}…, b=a Shy that cannot be shown, c=1)"

    @pytest.mark.parametrize("secret", [["tokne"], ["token", "context"], "tokne"])
    def test_a_secret_that_is_no_argument_is_refused_at_once(self, app: Longshore, secret: Any) -> None:
        with pytest.raises(ConfigurationError, match=r"no parameter (tokne|context) to keep secret"):

            @app.task(secret=secret)
            def fetch(token: str) -> None: ...


class TestErrors:
    def test_a_wrong_secret_is_refused_without_being_told(self, app: Longshore) -> None:
        @app.task(secret=["grade"])
        def rate(grade: Grade, number: int = 1) -> None: ...

        for wrong in ("s3cret", object()):
            with pytest.raises(InvalidValue, match="grade") as caught:
                rate.enqueue(wrong)  # type: ignore[arg-type]
            assert "s3cret" not in str(caught.value)
            assert caught.value.__cause__ is None
            assert caught.value.__suppress_context__

    def test_what_is_wrong_with_another_argument_is_told(self, app: Longshore) -> None:
        @app.task(secret=["token"])
        def rate(token: str, grade: Grade) -> None: ...

        with pytest.raises(InvalidValue, match="got 'grade': invalid enum value 'high'"):
            rate.enqueue(SECRET, "high")  # type: ignore[arg-type]

    def test_stored_arguments_that_cannot_be_read_are_not_told_in_the_attempt(self, app: Longshore) -> None:
        pydantic = pytest.importorskip("pydantic")
        model = pydantic.create_model("Login", pin=(int, ...))

        def login(secret: Any, number: int = 1) -> None: ...

        login.__annotations__["secret"] = model
        task = app.task(secret=["secret"])(login)
        job = task.enqueue(model(pin=1))
        app.store.update([Change(job.id, None, {"payload": b'{"secret": {"pin": "s3cret"}}'})])
        work(app)
        (attempt,) = job.info().attempts
        assert "the secret secret" in attempt.error
        assert "s3cret" not in attempt.error + attempt.traceback


class TestAttempts:
    @pytest.fixture
    def fail(self, app: Longshore) -> Any:
        @app.task(secret=["token", "login", "number"], retry=Retry(max_attempts=1))
        def fail(token: str, login: Login, number: int, other: str) -> None:
            raise ValueError(f"refused: {token}, {token!r}, {login}, {number}, {other}")

        return fail

    def test_what_a_task_raises_does_not_tell_its_secret_arguments(self, app: Longshore, fail: Any) -> None:
        job = fail.enqueue(SECRET, Login("someone", {"pass": ["open sesame"]}), 123_456, "seen")
        work(app)
        (attempt,) = job.info().attempts
        for text in (attempt.error, attempt.traceback):
            assert "ValueError: refused: ***, '***', ***, ***, seen" in text
            for part in ("s3cret", "someone", "sesame", "123456"):
                assert part not in text
        assert job.info().state is State.FAILED

    def test_a_secret_result_of_no_form_is_not_told_either(self, memory: MemoryStore, clock: ManualClock) -> None:
        app = Longshore(memory, clock=clock)

        @app.task(secret=["token"])
        def echo(token: str) -> Grade:
            return token  # type: ignore[return-value]

        job = echo.enqueue("s3cret")
        work(app)
        assert job.info().error == "InvalidValue: Invalid enum value '***'"

    def test_what_is_logged_of_a_retry_policy_that_fails_does_not_tell_them_either(
        self, app: Longshore, caplog: pytest.LogCaptureFixture
    ) -> None:
        def never(failed: int) -> float:
            raise KeyError(f"s3cret {failed}")

        @app.task(secret=["token"], retry=Retry(delay=never))
        def fail(token: str) -> None:
            raise ValueError(f"refused: {token}")

        fail.enqueue("s3cret")
        work(app)
        assert "KeyError: '*** 1'" in caplog.text
        assert "s3cret" not in caplog.text

    def test_a_task_without_secrets_is_told_as_it_is(self, app: Longshore) -> None:
        @app.task(retry=Retry(max_attempts=1))
        def fail(token: str) -> None:
            raise ValueError(token)

        job = fail.enqueue("s3cret")
        work(app)
        assert job.info().error == "ValueError: s3cret"


@pytest.mark.parametrize("value", ["abc", True, None, 12, "", [], {"a": None}, [False]], ids=repr)
def test_what_is_found_everywhere_is_not_looked_for(value: object) -> None:
    text = "True, None, False, abc and 12"
    assert hider([value])(text) == text


def test_of_two_secrets_the_longer_is_hidden_whole() -> None:
    assert hider(["abcd", "abcdef"])("abcdef, abcd") == "***, ***"


def test_bytes_and_what_no_format_knows_are_hidden_as_they_show() -> None:
    class Card:
        def __str__(self) -> str:
            return "card 4711"

    assert hider([b"s3cret", Card(), "\ud800xyz"])("b's3cret' s3cret card 4711 \ud800xyz") == "*** *** *** ***"


def test_a_secret_whose_forms_fail_does_not_stop_what_hides_the_others() -> None:
    assert hider([Shy(), "s3cret"])("s3cret") == "***"


def test_keys_of_codecs_do_not_show_in_an_application(memory: MemoryStore) -> None:
    app = Longshore(memory, codec=Pickle(keys=[b"k" * 32]))
    assert "kkkk" not in repr(app) + repr(vars(app))
